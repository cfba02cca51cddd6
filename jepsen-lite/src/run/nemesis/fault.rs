//! The faults by their names, and what a machine must have for each.

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Fault {
    /// SIGKILL to one node.
    Kill,
    /// SIGKILL to all nodes at once.
    KillAll,
    /// SIGSTOP to the node that leads most, and then to one that does not.
    Pause,
    /// SIGKILL to the gateway.
    KillGateway,
    /// SIGSTOP to the gateway.
    PauseGateway,
    /// One node hears no other, and no other hears it.
    Partition,
    /// One node hears no other, or no other hears it.
    OneWay,
    /// Two nodes do not hear each other; all others hear both.
    Bridge,
    /// Each node hears its two neighbours alone. Five nodes or more.
    Ring,
    /// A partition that comes and goes several times a second.
    Flapping,
    /// The kernel loses all between one node and all others.
    NetnsPartition,
    /// The kernel loses all that one node sends to others, or that others send to it.
    NetnsOneWay,
    /// What one node sends arrives late, and what is sent to it.
    Delay,
    /// All messages between all nodes are late, by less than an election takes.
    FarApart,
    /// Callers of one node wait, with jitter, or get its bytes drop by drop, or its answers break off.
    SlowPeers,
    /// Clients of one node wait, with jitter, or get its bytes drop by drop.
    SlowClients,
    /// Answers of one node to clients break off in their middle.
    CutReplies,
    /// The wall clock of one node jumps an hour, ahead and back.
    ClockJump,
    /// The clock of one node runs at half the rate.
    ClockRate,
    /// One node loses its power, and all its disk had not synced.
    PowerLoss,
    /// All nodes lose their power at once.
    PowerLossAll,
    /// One node's disk is full, and then is not.
    DiskFull,
    /// One node's disk answers every access with an error, and then does not.
    DiskError,
    /// One node's disk answers nothing, and then goes on.
    DiskHang,
    /// One node's log is cut short, or a bit of it flips, while the node is down.
    Damage,
    /// One node's disk is lost with all that was on it, and a new node takes the place of the lost one.
    Replace,
    /// Clients of one node open more connections than it can have, and say nothing.
    Sockets,
    /// One node may have few descriptors, idle clients take all they get, and another node starts again.
    Descriptors,
    /// One node comes back with an older copy of its directory, and then with the right one.
    RolledBack,
    /// A copy of one node's directory is started beside the node, on other ports.
    Doubled,
    /// A node joins, and another leaves.
    Churn,
    /// One node is away for so long that the others have purged what it lacks.
    LeftBehind,
}

/// What a machine must have for a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// A disk for each node that can lose its power, which only root can make.
    Disks,
    /// The library that deceives a process about the time.
    Clocks,
    /// A network namespace for each node, which only root can make.
    Namespaces,
    /// Proxies between nodes.
    PeerProxies,
    /// Proxies between clients and nodes.
    ClientProxies,
    /// A gateway that clients talk to.
    Gateway,
}

impl Fault {
    /// Its name in histories.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::KillAll => "kill-all",
            Self::Pause => "pause",
            Self::KillGateway => "kill-gateway",
            Self::PauseGateway => "pause-gateway",
            Self::Partition => "partition",
            Self::OneWay => "one-way",
            Self::Bridge => "bridge",
            Self::Ring => "ring",
            Self::Flapping => "flapping",
            Self::NetnsPartition => "netns-partition",
            Self::NetnsOneWay => "netns-one-way",
            Self::Delay => "delay",
            Self::SlowPeers => "slow-peers",
            Self::SlowClients => "slow-clients",
            Self::CutReplies => "cut-replies",
            Self::ClockJump => "clock-jump",
            Self::ClockRate => "clock-rate",
            Self::PowerLoss => "power-loss",
            Self::PowerLossAll => "power-loss-all",
            Self::DiskFull => "disk-full",
            Self::DiskError => "disk-error",
            Self::DiskHang => "disk-hang",
            Self::FarApart => "far-apart",
            Self::Sockets => "sockets",
            Self::Descriptors => "descriptors",
            Self::RolledBack => "rolled-back",
            Self::Doubled => "doubled",
            Self::Damage => "damage",
            Self::Replace => "replace",
            Self::Churn => "churn",
            Self::LeftBehind => "left-behind",
        }
    }

    /// What it takes.
    pub fn need(self) -> Need {
        match self {
            Self::PowerLoss | Self::PowerLossAll | Self::DiskFull | Self::DiskError | Self::DiskHang => Need::Disks,
            Self::ClockJump | Self::ClockRate => Need::Clocks,
            Self::NetnsPartition | Self::NetnsOneWay => Need::Namespaces,
            Self::SlowPeers => Need::PeerProxies,
            Self::SlowClients | Self::CutReplies => Need::ClientProxies,
            Self::KillGateway | Self::PauseGateway => Need::Gateway,
            _ => Need::Nothing,
        }
    }

    /// Whether a majority stays up, connected and within reach of clients, so that they are to be served meanwhile.
    pub fn spares_a_majority(self) -> bool {
        !matches!(self, Self::KillAll | Self::PowerLossAll | Self::KillGateway | Self::PauseGateway)
    }

    /// Whether leaders are gone or cut off for longer than followers wait, so that an election is due in a run of it.
    pub fn forces_elections(self) -> bool {
        let cuts_off = matches!(self, Self::Partition | Self::NetnsPartition);
        cuts_off || matches!(self, Self::Kill | Self::KillAll | Self::PowerLoss | Self::PowerLossAll)
    }
}
