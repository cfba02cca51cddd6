//! Settings of `quiver server`: who the node is, where it listens, where its data lives, how its cluster is formed.

use super::address::{advertised, check_url, optional_socket_address, peer_address, socket_address};
use super::table::{filled, settings};
use super::{ConfigError, LogFormat, RequestLimits, read_file};
use crate::model::limits::MAX_SHARDS;
use crate::model::names::name_fault;
use clap::parser::ValueSource;
use clap::{ArgMatches, FromArgMatches as _};
use raft_groups::{BrokenRule, RaftSettings};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Longest name that a node may be started with; the map holds longer ones too.
const MAX_NODE_NAME: usize = 64;

settings! {
    /// The flags, variables and TOML keys (the flag's name with `_`) of `quiver server`. What is absent takes its default.
    ServerArgs {
        /// This node's name in its cluster.
        node_id: String, "QUIVER_NODE_ID", "NAME" = "node1";
        /// Address of the HTTP API; port 0 takes a free one.
        listen: SocketAddr, "QUIVER_LISTEN", "ADDRESS" = SocketAddr::from(([127, 0, 0, 1], 8001)),
            #[arg(value_parser = socket_address)], #[serde(deserialize_with = "optional_socket_address")];
        /// Address for the other nodes.
        peer_listen: SocketAddr, "QUIVER_PEER_LISTEN", "ADDRESS", shown "the API's address, port + 100",
            #[arg(value_parser = socket_address)], #[serde(deserialize_with = "optional_socket_address")];
        /// Host name or IP at which others reach this node.
        advertise: String, "QUIVER_ADVERTISE", "HOST", shown "that of --listen";
        /// Directory of everything the node stores; made where absent.
        data_dir: PathBuf, "QUIVER_DATA_DIR", "DIR", or PathBuf::from("quiver-data"), shown "./quiver-data";
        /// Form a new cluster of N nodes: this one and N-1 that --join it [default on an empty directory: 1].
        bootstrap: usize, "QUIVER_BOOTSTRAP", "N", new cluster;
        /// Join the cluster that the node at this URL forms or belongs to; repeat or separate by commas. A member says there where it is now.
        join: Vec<String>, "QUIVER_JOIN", "URL", new cluster, #[arg(value_delimiter = ',')];
        /// Shards of a new cluster, fixed when it is formed.
        shards: u32, "QUIVER_SHARDS", "N" = 8_u32, in 1..=MAX_SHARDS, new cluster;
        /// Copies of each shard in a new cluster.
        replication_factor: usize, "QUIVER_REPLICATION_FACTOR", "N",
            shown "3, or the number of nodes where that is less", in 1..=7, new cluster;
        /// How often an idle leader of a new cluster proves that it is alive, in milliseconds.
        heartbeat_ms: u64, "QUIVER_HEARTBEAT_MS", "MS" = millis(RaftSettings::default().heartbeat), new cluster;
        /// Shortest silence after which a follower of a new cluster stands for election, in milliseconds.
        election_min_ms: u64, "QUIVER_ELECTION_MIN_MS", "MS" = millis(RaftSettings::default().election_min), new cluster;
        /// Longest such silence, in milliseconds.
        election_max_ms: u64, "QUIVER_ELECTION_MAX_MS", "MS" = millis(RaftSettings::default().election_max), new cluster;
        /// Log entries of a shard after which it takes a snapshot and purges its log.
        snapshot_after: u64, "QUIVER_SNAPSHOT_AFTER", "ENTRIES" = RaftSettings::default().snapshot_after;
        /// Log entries kept behind a snapshot, for replicas that lag a little.
        keep_entries: u64, "QUIVER_KEEP_ENTRIES", "ENTRIES", shown "2000, or half of --snapshot-after where that is less";
        /// Silence after which a node counts as lost and its replicas are made anew where there is room, in milliseconds.
        node_lost_after_ms: u64, "QUIVER_NODE_LOST_AFTER_MS", "MS" = 600_000_u64;
        /// Time within which an adopted node must come up before it is given up, in milliseconds.
        join_within_ms: u64, "QUIVER_JOIN_WITHIN_MS", "MS" = 60_000_u64,
            least 1000: "no node is up so soon: choose 1000 or more";
        /// Most shards whose replicas are moved at once.
        max_moves: usize, "QUIVER_MAX_MOVES", "SHARDS" = 2_usize,
            least 1: "nothing could ever be repaired: choose at least 1";
        /// Most bytes a second that this node sends of the replicas it copies to other nodes, all together.
        move_rate_bytes: u64, "QUIVER_MOVE_RATE_BYTES", "BYTES" = 32_u64 << 20,
            least 65_536: "no replica would ever arrive: choose 65536 or more";
        /// Threads that take new vectors into the index.
        index_threads: usize, "QUIVER_INDEX_THREADS", "N", or half_of_the_processors(),
            shown "half of the processors, at least 1", in 1..=256;
        /// Share of its time that each of them works, above 0 and up to 1.
        index_share: f64, "QUIVER_INDEX_SHARE", "SHARE" = 1.0_f64;
    }
    {
        /// Let tests cut this node's links through /quiver/v1/faults. Never in production.
        test_faults: bool, "QUIVER_TEST_FAULTS", "BOOL", or false,
            #[arg(num_args = 0..=1, default_missing_value = "true", hide = true,
                  value_parser = clap::builder::BoolishValueParser::new())];
    }
}

/// How a node with an empty data directory gets its cluster; a node that has one ignores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing is said of it: it forms a cluster of its own where nobody else can call it, and none elsewhere.
    Unsaid,
    /// It forms a new cluster of this many nodes.
    Bootstrap(usize),
    /// It joins the cluster that a node at one of these URLs forms or belongs to; there is one at least.
    Join(Vec<String>),
}

/// Complete and checked settings of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSettings {
    /// This node's name.
    pub node_id: String,
    /// Address of the HTTP API; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Address for the other nodes; port 0 takes a free one.
    pub peer_listen: SocketAddr,
    /// Host name or IP at which others reach both ports.
    pub advertise: String,
    /// Directory of everything the node stores.
    pub data_dir: PathBuf,
    /// How the node gets its cluster where its directory is empty.
    pub origin: Origin,
    /// Which settings of a new cluster were given, as the flags are called: none of them changes a cluster that exists.
    pub of_new_cluster: Vec<String>,
    /// Shards of a new cluster.
    pub shards: u32,
    /// Copies of each shard in a new cluster; `None` means 3, or the number of nodes where that is less.
    pub replication_factor: Option<usize>,
    /// How often an idle leader proves that it is alive.
    pub heartbeat: Duration,
    /// Shortest silence after which a follower stands for election.
    pub election_min: Duration,
    /// Longest such silence.
    pub election_max: Duration,
    /// Log entries of a shard after which it takes a snapshot.
    pub snapshot_after: u64,
    /// Log entries kept behind a snapshot.
    pub keep_entries: u64,
    /// Silence after which a node counts as lost.
    pub node_lost_after: Duration,
    /// Time within which an adopted node must come up.
    pub join_within: Duration,
    /// Most shards whose replicas are moved at once.
    pub moves: usize,
    /// Most bytes a second sent of one replica that is copied.
    pub move_rate: u64,
    /// Threads that take new vectors into the index.
    pub index_threads: usize,
    /// Share of its time that each of them works.
    pub index_share: f64,
    /// Bounds on one request.
    pub limits: RequestLimits,
    /// Names that clients reach this process by, beside those that are known anyway.
    pub hosts: Vec<String>,
    /// How logs are written.
    pub log_format: LogFormat,
    /// Whether tests may cut this node's links.
    pub test_faults: bool,
}

impl ServerArgs {
    /// Lays the TOML file, if any, under these flags and variables, fills in the defaults, and checks the whole.
    ///
    /// # Errors
    /// Whatever keeps the settings from being used.
    pub fn settle(mut self) -> Result<ServerSettings, ConfigError> {
        if let Some(path) = self.config.take() {
            let mut file: Self = read_file(&path)?;
            // One question, two spellings: what answers it above the file silences the file.
            if self.join.is_some() || self.bootstrap.is_some() {
                (file.bootstrap, file.join) = (None, None);
            }
            self.lay_over(file);
        }
        self.complete()
    }

    /// Reads the arguments that `matches` holds. Where `--bootstrap` and `--join`, which answer one question, are given by a
    /// flag and by a variable, the flag's answer counts.
    ///
    /// # Errors
    /// As the derived reading.
    pub fn read(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::from_arg_matches(matches)?;
        // A flag silences the variable that would give the other answer to the same question.
        let is_flag = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        match (is_flag("bootstrap"), is_flag("join")) {
            (true, false) => args.join = None,
            (false, true) => args.bootstrap = None,
            (true, true) | (false, false) => {}
        }
        Ok(args)
    }

    fn complete(mut self) -> Result<ServerSettings, ConfigError> {
        // What was given is told before defaults are filled in: they ask for nothing.
        let of_new_cluster = self.fill()?;
        let (listen, snapshot_after) = (filled(&self.listen), filled(&self.snapshot_after));
        let duration = |value: &Option<u64>| Duration::from_millis(filled(value));
        // Settings that follow from others come from their functions, and all others from their rows.
        let settings = ServerSettings {
            node_id: node_name(filled(&self.node_id))?,
            listen,
            peer_listen: peer_address(self.peer_listen, listen)?,
            limits: self.request_limits()?,
            advertise: advertised(self.advertise, listen)?,
            data_dir: filled(&self.data_dir),
            origin: origin(self.bootstrap, self.join)?,
            of_new_cluster,
            shards: filled(&self.shards),
            replication_factor: self.replication_factor,
            heartbeat: duration(&self.heartbeat_ms),
            election_min: duration(&self.election_min_ms),
            election_max: duration(&self.election_max_ms),
            snapshot_after,
            keep_entries: self.keep_entries.unwrap_or(RaftSettings::default().keep_entries.min(snapshot_after / 2)),
            node_lost_after: duration(&self.node_lost_after_ms),
            join_within: duration(&self.join_within_ms),
            moves: filled(&self.max_moves),
            move_rate: filled(&self.move_rate_bytes),
            index_threads: filled(&self.index_threads),
            index_share: filled(&self.index_share),
            hosts: filled(&self.allow_host),
            log_format: filled(&self.log_format),
            test_faults: filled(&self.test_faults),
        };
        settings.check()
    }
}

impl ServerSettings {
    /// Looks at what no row can say by itself: what settings owe each other, and what Raft asks of them.
    fn check(self) -> Result<Self, ConfigError> {
        // Raft's own rules are asked, and told with the names of the settings.
        let Self { heartbeat, election_min, election_max, snapshot_after, .. } = self;
        let raft = RaftSettings { heartbeat, election_min, election_max, snapshot_after, ..RaftSettings::default() };
        if let Some(rule) = raft.broken_rule() {
            return Err(broken(rule, &raft));
        }
        // The planner must not mistake an election for the loss of a node.
        if self.node_lost_after < self.election_max * 2 {
            let reason = format!(
                "a node that only restarts would be replaced: keep it at or above twice --election-max-ms ({} ms)",
                self.election_max.as_millis()
            );
            return Err(ConfigError::invalid("--node-lost-after-ms", reason));
        }
        // The comparison is written so that NaN is refused as well.
        if !(self.index_share > 0.0 && self.index_share <= 1.0) {
            let reason = format!("{} is out of range: choose above 0 and up to 1", self.index_share);
            return Err(ConfigError::invalid("--index-share", reason));
        }
        Ok(self)
    }
}

/// Says which setting breaks a rule of Raft's, and the way out.
fn broken(rule: BrokenRule, settings: &RaftSettings) -> ConfigError {
    let (setting, reason) = match rule {
        BrokenRule::HeartbeatTooShort | BrokenRule::HeartbeatTooLong => (
            "--heartbeat-ms",
            format!(
                "a follower would take a late heartbeat for a dead leader: keep it at 10 or above, and at most a third of \
                 --election-min-ms ({} ms)",
                settings.election_min.as_millis()
            ),
        ),
        BrokenRule::ElectionsTooAlike => (
            "--election-max-ms",
            "must exceed --election-min-ms: elections need different patience to be decided".to_owned(),
        ),
        BrokenRule::ElectionsTooLate => ("--election-max-ms", "must not be above 60000: lower it".to_owned()),
        BrokenRule::SnapshotsTooClose => ("--snapshot-after", "must be at least 1 entry".to_owned()),
    };
    ConfigError::invalid(setting, reason)
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

fn half_of_the_processors() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get() / 2).max(1)
}

fn node_name(name: String) -> Result<String, ConfigError> {
    if name.len() <= MAX_NODE_NAME && name_fault(&name).is_none() {
        return Ok(name);
    }
    let but = if name.starts_with('.') { ", and no dot first" } else { "" };
    let reason = format!("`{name}` is no node name: use 1 to {MAX_NODE_NAME} letters, digits, `-`, `_`, `.`{but}");
    Err(ConfigError::invalid("--node-id", reason))
}

fn origin(bootstrap: Option<usize>, join: Option<Vec<String>>) -> Result<Origin, ConfigError> {
    // An empty list of URLs is what an empty variable would say: nothing.
    match (bootstrap, join) {
        (Some(_), Some(_)) => Err(ConfigError::invalid(
            "--join",
            "a node joins a cluster or forms one: leave --bootstrap (QUIVER_BOOTSTRAP) out, or this; a node that belongs \
             to a cluster needs no --bootstrap any more",
        )),
        (None, Some(urls)) if urls.is_empty() => Ok(Origin::Unsaid),
        (None, Some(urls)) => {
            Ok(Origin::Join(urls.iter().map(|url| check_url("--join", url)).collect::<Result<_, _>>()?))
        }
        (Some(0), None) => Err(ConfigError::invalid("--bootstrap", "a cluster has at least 1 node")),
        (Some(nodes), None) => Ok(Origin::Bootstrap(nodes)),
        (None, None) => Ok(Origin::Unsaid),
    }
}
