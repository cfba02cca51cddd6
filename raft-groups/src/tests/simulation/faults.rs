//! The nemesis: one fault at a time out of many kinds, and never more than the protocol tolerates.

use std::ops::Range;
use std::time::Duration;

use rand::RngExt;
use rand::seq::IndexedRandom;
use tokio::time::sleep;

use super::world::World;
use crate::sim::disk::DiskFault;
use crate::storage::keys::LogKey;
use crate::tests::kit::{Cluster, snapshot_storm};
use crate::{NodeId, OpenError, RaftSettings};

/// How soon a node must learn that its directory is an older copy.
const OVERTAKEN_WITHIN: Duration = Duration::from_secs(10);

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A node is cut off.
    Isolate,
    /// All that a node sends is lost.
    Unheard,
    /// All that is sent to a node is lost.
    Deaf,
    /// Every node is heard only by its neighbours, or, of three nodes, by one of the others.
    Ring,
    /// Two halves are connected only through one node.
    Bridge,
    /// Links are cut and restored again and again.
    Flapping,
    /// A node loses its power, and what it had not synced.
    Crash,
    /// All nodes lose their power at once.
    CrashAll,
    /// Messages take long and overtake each other.
    SlowNetwork,
    /// A node's disk takes long to sync.
    SlowDisk,
    /// A node's disk hangs: its syncs end after several elections.
    HungDisk,
    /// A node's directory goes back to an older copy while it is down.
    RolledBack,
    /// A node is started again with other timeouts.
    OtherSettings,
    /// A node's disk fails to sync, once.
    FailedSync,
    /// A node's disk is full for a while.
    FullDisk,
    /// A bit of a node's log or vote is flipped while it is down.
    FlippedBit,
    /// The last entry of a node's log is torn while it is down.
    TornTail,
    /// Other members are wanted for the group.
    OtherMembers,
    /// Leadership is handed over.
    Handover,
}

/// How often each kind is drawn, relative to the others.
const SHAPES: [(Fault, u32); 19] = [
    (Fault::Isolate, 3),
    (Fault::Unheard, 2),
    (Fault::Deaf, 2),
    (Fault::Ring, 1),
    (Fault::Bridge, 1),
    (Fault::Flapping, 1),
    (Fault::Crash, 3),
    (Fault::CrashAll, 2),
    (Fault::SlowNetwork, 1),
    (Fault::SlowDisk, 1),
    (Fault::HungDisk, 1),
    (Fault::RolledBack, 1),
    (Fault::OtherSettings, 1),
    (Fault::FailedSync, 1),
    (Fault::FullDisk, 1),
    (Fault::FlippedBit, 1),
    (Fault::TornTail, 1),
    (Fault::OtherMembers, 3),
    (Fault::Handover, 1),
];

impl World {
    /// Draws a fault, causes it, and waits for a while.
    pub async fn one_fault(&mut self) {
        let drawn = SHAPES.choose_weighted(&mut self.rng, |(_, weight)| *weight);
        let (fault, _) = *drawn.expect("there are shapes, with weights");
        let members = self.members();
        let victim = *members.choose(&mut self.rng).expect("a group has members");
        self.recorder.note(&format!("{fault:?} {victim}"));
        self.inject(fault, victim, &members).await;
        let hold = self.rng.random_range(50..1500);
        sleep(Duration::from_millis(hold)).await;
    }

    async fn inject(&mut self, fault: Fault, victim: NodeId, members: &[NodeId]) {
        let others: Vec<NodeId> = self.cluster.ids().into_iter().filter(|id| *id != victim).collect();
        match fault {
            Fault::Isolate => self.cluster.net.isolate(victim, others),
            Fault::Unheard => others.iter().for_each(|other| self.cluster.net.cut(victim, *other)),
            Fault::Deaf => others.iter().for_each(|other| self.cluster.net.cut(*other, victim)),
            Fault::Ring => self.ring(members),
            Fault::Bridge => self.bridge(victim, &others),
            Fault::Flapping => self.flap(&others).await,
            Fault::Crash => self.crash(&[victim]).await,
            Fault::CrashAll => self.crash(&self.cluster.ids()).await,
            Fault::SlowNetwork => self.slow_network(),
            Fault::SlowDisk => self.slow_disk(victim, 100..500),
            Fault::HungDisk => self.slow_disk(victim, 3_000..8_000),
            Fault::RolledBack => self.roll_back(victim).await,
            Fault::OtherSettings => self.change_settings(victim).await,
            Fault::FailedSync => self.fail_disk(victim, DiskFault::SyncOnce),
            Fault::FullDisk => self.fail_disk(victim, DiskFault::Full),
            Fault::FlippedBit | Fault::TornTail => self.damage(victim, fault).await,
            Fault::OtherMembers => self.want_others(),
            Fault::Handover => self.hand_over(victim).await,
        }
    }

    fn ring(&mut self, members: &[NodeId]) {
        let count = members.len();
        for (at, one) in members.iter().enumerate() {
            for (distance, other) in (1..count).map(|step| (step, members[(at + step) % count])) {
                // Of three nodes none reaches the next one. Of more, each node reaches only its two neighbours.
                let cut = if count <= 3 { distance == 1 } else { distance > 1 && distance < count - 1 };
                if cut {
                    self.cluster.net.cut(*one, other);
                }
            }
        }
        self.coverage.saw("a ring of cuts");
    }

    fn bridge(&mut self, middle: NodeId, others: &[NodeId]) {
        // Only the node in the middle hears both halves.
        let (left, right) = others.split_at(others.len() / 2);
        left.iter().for_each(|one| self.cluster.net.isolate(*one, right.iter().copied()));
        self.recorder.note(&format!("{left:?} and {right:?} meet at {middle}"));
        self.coverage.saw("a bridge");
    }

    async fn flap(&mut self, others: &[NodeId]) {
        for _ in 0..self.rng.random_range(4..10) {
            let one = *others.choose(&mut self.rng).expect("more than one node");
            self.cluster.net.isolate(one, self.cluster.ids());
            let down = self.rng.random_range(30..200);
            sleep(Duration::from_millis(down)).await;
            self.cluster.net.heal();
            let up = self.rng.random_range(30..150);
            sleep(Duration::from_millis(up)).await;
        }
        self.coverage.saw("a flapping link");
    }

    fn slow_network(&mut self) {
        let delay = Duration::from_millis(self.rng.random_range(50..250));
        let conditions = self.cluster.net.conditions();
        self.cluster.net.set_conditions(crate::sim::network::LinkConditions { delay, ..conditions });
        self.coverage.saw("a slow network");
    }

    fn slow_disk(&mut self, victim: NodeId, ms: Range<u64>) {
        let hangs = ms.start > 1000;
        let by = Duration::from_millis(self.rng.random_range(ms));
        if hangs {
            self.coverage.saw("a hung disk");
        }
        let node = self.cluster.node(victim);
        node.log.slow_down(by);
        node.state.slow_down(by);
    }

    fn fail_disk(&mut self, victim: NodeId, fault: DiskFault) {
        let of_logs = self.rng.random_bool(0.7);
        let node = self.cluster.node(victim);
        let disk = if of_logs { &node.log } else { &node.state };
        disk.arm(Some(fault));
        self.failing.insert(victim, fault);
    }

    /// Damages the log of a node that is down. The node must not open, and another takes its place.
    async fn damage(&mut self, victim: NodeId, fault: Fault) {
        let Some(spare) = self.replacement(victim) else { return };
        self.crash(&[victim]).await;
        let log = &self.cluster.node(victim).log;
        let entries = LogKey::Entry(0).for_group(Cluster::GROUP);
        let entries = &entries[..entries.len() - size_of::<u64>()];
        let (what, done) = match fault {
            Fault::TornTail => ("a torn tail refused", log.tear_the_tail(entries)),
            // The vote, which is always there. An entry may be purged already, and its damage would not be seen.
            _ => ("a flipped bit refused", log.flip_a_bit(&LogKey::Vote.for_group(Cluster::GROUP))),
        };
        if !done {
            return;
        }
        match self.cluster.restart(victim).await {
            Err(OpenError::Damaged { .. }) => self.coverage.saw(what),
            Err(error) => self.problem("damage", format!("node {victim} does not open, and not for damage: {error}")),
            Ok(()) => {
                self.problem("damage", format!("node {victim} takes part although its log is damaged: {fault:?}"))
            }
        }
        self.retire(victim, spare);
    }

    /// Starts a node on an older copy of its directory. The others have seen a later life of it, so it must learn
    /// that it is overtaken, and take no part. No client reads from it: before it learns that, its answers may be
    /// old.
    async fn roll_back(&mut self, victim: NodeId) {
        let Some(spare) = self.replacement(victim) else { return };
        self.crash(&[victim]).await;
        let copy = self.cluster.copy(victim);
        if let Err(error) = self.cluster.restart(victim).await {
            return self.problem("recovery", format!("node {victim} does not open after a crash: {error}"));
        }
        self.open_doors();
        // Long enough for the others to see the later life, and for the log to move on.
        let meanwhile = self.rng.random_range(1_000..2_500);
        sleep(Duration::from_millis(meanwhile)).await;
        self.crash(&[victim]).await;
        if let Err(error) = self.cluster.restart_from(victim, &copy).await {
            return self.problem("lives", format!("node {victim} does not open on an older copy: {error}"));
        }
        match self.cluster.is_overtaken(victim, OVERTAKEN_WITHIN).await {
            true => self.coverage.saw("an older copy refused"),
            false => self.problem("lives", format!("node {victim} takes part on an older copy of its directory")),
        }
        self.crash(&[victim]).await;
        self.retire(victim, spare);
    }

    /// Gives a node other timeouts, and crashes it. It restarts with them, as while an operator changes nodes one by
    /// one.
    async fn change_settings(&mut self, victim: NodeId) {
        let slower = self.rng.random_range(1..4);
        let RaftSettings { election_min, election_max, .. } = snapshot_storm();
        let (election_min, election_max) = (election_min * slower, election_max * slower);
        self.cluster.set_settings(victim, RaftSettings { election_min, election_max, ..snapshot_storm() });
        self.crash(&[victim]).await;
        self.coverage.saw("other settings");
    }

    async fn hand_over(&mut self, to: NodeId) {
        if let Some(leader) = self.doors.leader()
            && leader.prefer_leader(to).await.unwrap_or(false)
        {
            self.coverage.saw("leadership handed over");
        }
    }
}
