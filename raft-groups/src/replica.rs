//! One running replica: openraft's handle, the machine it applies to, and what is known beside.
//!
//! [`crate::Group`] is its public face, `read.rs` its reads, `network/server.rs` its answers to peers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Instant as _, Raft, RaftMetrics, ServerState};
use parking_lot::Mutex;

use crate::contact::Contact;
use crate::disk_watch;
use crate::fatal;
use crate::mutants::{Mutant, is_planted};
use crate::network::client::Peers;
use crate::network::server::Incoming;
use crate::promise::LongestPromise;
use crate::read::Confirmations;
use crate::storage::log::GroupLog;
use crate::storage::machine::{Applied, Applier};
use crate::storage::state::GroupState;
use crate::suspend::Sleep;
use crate::types::{Types, index_of};
use crate::watch;
use crate::{GroupStatus, Machine, NodeId, RaftSettings, ReadError, ReadPoint, Role};

/// Bytes of writes that may wait for their commit in one group; more are refused as busy.
const MAX_WAITING_BYTES: usize = 64 << 20;
/// After so many of the longest election timeouts without a message a leader is not known to be there.
const CONTACT: u32 = 2;
/// Committed entries a replica may have yet to apply before it counts as catching up.
const LAG_ENTRIES: u64 = 256;

/// A replica while it takes part in its group.
pub struct Replica<M: Machine> {
    pub raft: Raft<Types, Applier<M>>,
    pub applied: Applied<M>,
    pub state: GroupState,
    pub log: GroupLog,
    pub peers: Peers,
    pub settings: Arc<RaftSettings>,
    /// What was heard of the leader; the leader itself knows its quorum.
    pub contact: Mutex<Contact>,
    /// When a leader was last heard, whatever it said: until a promise's length later this replica votes for nobody else.
    pub heard_leader: Mutex<Option<tokio::time::Instant>>,
    /// Whether the machine has slept since its leader heard a majority.
    pub sleep: Sleep,
    /// What the whole node has promised at most.
    pub longest: Arc<LongestPromise>,
    pub confirmations: Confirmations,
    pub incoming: Mutex<Option<Incoming>>,
    pub waiting_bytes: AtomicUsize,
    /// In earlier lives it may have shown the state as of this index, and no newer one.
    pub shown_before: u64,
    /// Whether it may vote before its log says that it is a member.
    pub founder: bool,
}

/// Room taken by a write until it is committed or given up.
pub struct Admission<'a> {
    waiting: &'a AtomicUsize,
    bytes: usize,
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl<M: Machine> Replica<M> {
    /// The node this replica is on.
    pub fn node(&self) -> NodeId {
        self.peers.identity.node
    }

    /// The leader this replica follows or is.
    pub fn leader(&self) -> Option<NodeId> {
        self.raft.metrics().borrow_watched().current_leader
    }

    /// The term it is in.
    pub fn term(&self) -> u64 {
        self.raft.metrics().borrow_watched().current_term
    }

    /// Whether it may vote at all: see [`crate::storage::mark`].
    pub fn may_vote(&self) -> bool {
        self.founder || is_planted(Mutant::StrangersVote) || {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            let membership = metrics.membership_config.membership();
            membership.voter_ids().chain(membership.learner_ids()).any(|node| node == self.node())
        }
    }

    /// Whether a leader's lease binds this replica: it leads with a majority behind it, or hears one that does.
    pub fn hears_leader(&self) -> bool {
        let promise = self.settings.election_max;
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        if metrics.state == ServerState::Leader {
            return metrics.last_quorum_acked.as_ref().is_some_and(|acked| acked.elapsed() < promise);
        }
        let heard = || self.heard_leader.lock().is_some_and(|heard| heard.elapsed() < promise);
        metrics.vote.committed && (self.peers.promise.binds() || heard())
    }

    /// On the leader: whether a majority has answered since the machine last slept, if it did.
    pub fn was_heard_awake(&self) -> bool {
        let Some(woke) = self.sleep.woke().filter(|_| !is_planted(Mutant::SleepsOnLease)) else { return true };
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let alone = metrics.membership_config.voter_ids().count() == 1;
        alone || metrics.last_quorum_acked.as_ref().is_some_and(|acked| acked.elapsed() < woke.elapsed())
    }

    /// On the leader: for how long its lease still holds.
    pub fn lease_left(&self) -> Option<Duration> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let acked = metrics.last_quorum_acked.as_ref().filter(|_| metrics.state == ServerState::Leader)?;
        Some(self.settings.lease().saturating_sub(acked.elapsed()))
    }

    /// On the leader: members that have not answered for longer than a follower would wait for its leader.
    fn silent(&self, metrics: &RaftMetrics<Types>) -> BTreeSet<NodeId> {
        let answers = metrics.heartbeat.iter().flatten();
        let quiet = |(node, at): (&NodeId, &Option<_>)| {
            let late = at
                .as_ref()
                .is_none_or(|at: &openraft::alias::SerdeInstantOf<Types>| at.elapsed() > self.settings.election_max);
            (late && *node != self.node()).then_some(*node)
        };
        answers.filter_map(quiet).collect()
    }

    /// Takes room for a write of `bytes`; `None` where too much waits already.
    pub fn admit(&self, bytes: usize) -> Option<Admission<'_>> {
        let waiting = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let admission = Admission { waiting: &self.waiting_bytes, bytes };
        (waiting < MAX_WAITING_BYTES).then_some(admission)
    }

    /// Why this replica no longer takes part, with the way out.
    pub fn stopped(&self) -> Option<String> {
        self.log.damage().map(str::to_owned).or_else(|| stopped(&self.raft.metrics()))
    }

    /// Why this replica takes no part at the moment, where its node's disk hangs.
    fn hung(&self) -> Option<String> {
        let age = disk_watch::hung_for(self.log.syncer(), self.settings.longest_sync())?;
        Some(format!(
            "the disk has not synced for {} s; look at the disk: it goes on as soon as that does",
            age.as_secs()
        ))
    }

    /// An error if this replica no longer takes part.
    pub fn check_running(&self) -> Result<(), ReadError> {
        self.stopped().map_or(Ok(()), |reason| Err(ReadError::Stopped { reason }))
    }

    /// What a read of the applied state can say of itself.
    pub fn read_point(&self) -> ReadPoint {
        // The index first: the state read afterwards can only be newer.
        let index = index_of(&self.applied.log_id.borrow());
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let leader_contact = self.leader_contact(&metrics, index);
        ReadPoint { role: role(metrics.state), term: metrics.current_term, index, leader_contact }
    }

    /// This replica's view of its group.
    pub fn status(&self) -> GroupStatus {
        let receiver = self.raft.metrics();
        let stopped = self.stopped();
        let metrics = receiver.borrow_watched();
        let membership = metrics.membership_config.membership();
        let committed = index_of(&metrics.local_committed);
        let applied = index_of(&self.applied.log_id.borrow());
        let matched = metrics.replication.iter().flatten();
        GroupStatus {
            group: self.peers.group,
            role: if stopped.is_some() { Role::Follower } else { role(metrics.state) },
            term: metrics.current_term,
            leader: metrics.current_leader.filter(|_| self.has_contact(&metrics)),
            last_log: metrics.last_log_index.unwrap_or(0),
            committed,
            applied,
            snapshot: index_of(&metrics.snapshot),
            purged: index_of(&metrics.purged),
            voters: membership.voter_ids().collect(),
            learners: membership.learner_ids().collect(),
            joint: membership.get_joint_config().len() > 1,
            leader_contact: self.leader_contact(&metrics, applied),
            catching_up: self.incoming.lock().as_ref().is_some_and(Incoming::is_under_way)
                || committed > applied + LAG_ENTRIES,
            members_at: (metrics.membership_config.log_id() == metrics.committed_membership_config.log_id())
                .then(|| index_of(metrics.membership_config.log_id())),
            silent: self.silent(&metrics),
            matched: matched.map(|(node, log_id)| (*node, index_of(log_id))).collect(),
            stopped: stopped.or_else(|| self.hung()),
            digests: self.applied.digests.all(),
        }
    }

    /// Whether a leader has heard of a majority of late; true of every other replica.
    fn has_followers(&self, metrics: &RaftMetrics<Types>) -> bool {
        let alone = metrics.membership_config.voter_ids().count() == 1;
        let acked = metrics.last_quorum_acked.as_ref();
        metrics.state != ServerState::Leader
            || alone
            || acked.is_some_and(|acked| acked.elapsed() < self.settings.election_max * CONTACT)
    }

    /// Whether what this replica believes of its leader rests on messages of late, and not on a vote of long ago.
    fn has_contact(&self, metrics: &RaftMetrics<Types>) -> bool {
        if metrics.state == ServerState::Leader {
            return self.has_followers(metrics);
        }
        self.heard_leader.lock().is_some_and(|heard| heard.elapsed() < self.settings.election_max * CONTACT)
    }

    /// Whether a leader's state holds all that it and its predecessors committed.
    fn has_applied_own_commits(&self, metrics: &RaftMetrics<Types>, applied: u64) -> bool {
        let committed = metrics.local_committed.filter(|committed| committed.leader_id.term == metrics.current_term);
        committed.is_some_and(|committed| applied >= committed.index)
    }

    /// How old the state at `applied` may be.
    fn leader_contact(&self, metrics: &RaftMetrics<Types>, applied: u64) -> Option<Duration> {
        match metrics.state {
            ServerState::Leader if self.has_applied_own_commits(metrics, applied) => {
                // Nobody else answers a lone voter, and nobody else can commit.
                let alone = metrics.membership_config.voter_ids().count() == 1;
                let acked = metrics.last_quorum_acked.as_ref().map(|acked| acked.elapsed());
                if alone { Some(Duration::ZERO) } else { acked }
            }
            _ => self.contact.lock().fresh_as_of(applied).map(|fresh| fresh.elapsed()),
        }
    }
}

fn stopped(metrics: &watch::Receiver<RaftMetrics<Types>>) -> Option<String> {
    let way_out = "mend what failed and restart the node; the other replicas still hold the data";
    let said = metrics.borrow().running_state.as_ref().err().map(fatal::told);
    // Consensus that panicked says nothing more, not even that: its last words may be that it leads.
    let silent = || metrics.has_ended().then(|| "consensus has ended without a word, as after a panic".to_owned());
    said.or_else(silent).map(|reason| format!("{reason}; {way_out}"))
}

fn role(state: ServerState) -> Role {
    match state {
        ServerState::Leader => Role::Leader,
        ServerState::Candidate => Role::Candidate,
        ServerState::Learner => Role::Learner,
        ServerState::Follower | ServerState::Shutdown => Role::Follower,
    }
}
