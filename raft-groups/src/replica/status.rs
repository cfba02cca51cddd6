//! What a replica says of itself: its status, and the age of the state that a read sees.
//!
//! Comes in: openraft's metrics, what was heard of the leader, what is applied. Goes out: [`GroupStatus`],
//! [`ReadPoint`] and the few facts on which leases rest. Nothing is changed here.

use std::collections::BTreeSet;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Instant as _, RaftMetrics, ServerState};

use super::Replica;
use super::incoming_snapshot::IncomingSnapshot;
use crate::consensus::types::{RaftTypes, index_of};
use crate::mutants::{Mutant, is_planted};
use crate::{GroupStatus, Machine, NodeId, ReadPoint, Role};

/// After this many of the longest election timeouts without a message, the leader counts as unknown.
const CONTACT: u32 = 2;
/// Committed entries that a replica may still have to apply before it counts as catching up.
const LAG_ENTRIES: u64 = 256;

impl<M: Machine> Replica<M> {
    /// On the leader: returns `true` if a majority has answered since the machine last slept, or it is the only
    /// voter.
    pub fn was_heard_awake(&self) -> bool {
        let Some(woke) = self.suspension.woke().filter(|_| !is_planted(Mutant::SleepsOnLease)) else { return true };
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let alone = metrics.membership_config.voter_ids().count() == 1;
        alone || metrics.last_quorum_acked.as_ref().is_some_and(|acked| acked.elapsed() < woke.elapsed())
    }

    /// On the leader: returns for how long its lease still holds; zero if it has run out. `None` on other replicas.
    pub fn lease_left(&self) -> Option<Duration> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let acked = metrics.last_quorum_acked.as_ref().filter(|_| metrics.state == ServerState::Leader)?;
        Some(self.settings.lease().saturating_sub(acked.elapsed()))
    }

    /// On the leader: returns the members that have not answered for longer than a follower waits for its leader.
    fn silent_members(&self, metrics: &RaftMetrics<RaftTypes>) -> BTreeSet<NodeId> {
        let answers = metrics.heartbeat.iter().flatten();
        let quiet = |(node, at): (&NodeId, &Option<_>)| {
            let late = at.as_ref().is_none_or(|at: &openraft::alias::SerdeInstantOf<RaftTypes>| {
                at.elapsed() > self.settings.election_max
            });
            (late && *node != self.node()).then_some(*node)
        };
        answers.filter_map(quiet).collect()
    }

    /// Returns why this replica takes no part at the moment, if its node's disk hangs.
    fn hang_reason(&self) -> Option<String> {
        let age = self.log.hung_for(self.settings.longest_sync())?;
        Some(format!(
            "the disk has not synced for {} s; look at the disk: the replica goes on as soon as the disk does",
            age.as_secs()
        ))
    }

    /// Returns what a read of the applied state knows about it.
    pub fn read_point(&self) -> ReadPoint {
        // The index comes first: the state that is read afterwards can only be newer.
        let index = index_of(&self.applied.log_id.borrow());
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let leader_contact = self.leader_contact(&metrics, index);
        ReadPoint { role: role_in(metrics.state), term: metrics.current_term, index, leader_contact }
    }

    /// Returns this replica's view of its group.
    pub fn status(&self) -> GroupStatus {
        // Committed is read before applied, which can only be further on by then.
        let receiver = self.raft.metrics();
        let stopped = self.stop_reason();
        let metrics = receiver.borrow_watched();
        let membership = metrics.membership_config.membership();
        let committed = index_of(&metrics.local_committed);
        let applied = index_of(&self.applied.log_id.borrow());
        // openraft fills `replication` and `heartbeat` only on a leader.
        let matched = metrics.replication.iter().flatten();
        GroupStatus {
            group: self.peers.group,
            role: if stopped.is_some() { Role::Follower } else { role_in(metrics.state) },
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
            catching_up: self.incoming.lock().as_ref().is_some_and(IncomingSnapshot::is_under_way)
                || committed > applied + LAG_ENTRIES,
            members_at: (metrics.membership_config.log_id() == metrics.committed_membership_config.log_id())
                .then(|| index_of(metrics.membership_config.log_id())),
            silent: self.silent_members(&metrics),
            matched: matched.map(|(node, log_id)| (*node, index_of(log_id))).collect(),
            stopped: stopped.or_else(|| self.hang_reason()),
            digests: self.applied.digests.all(),
        }
    }

    /// Returns `true` if a leader has heard from a majority lately. It is `true` for every replica that does not
    /// lead.
    fn has_followers(&self, metrics: &RaftMetrics<RaftTypes>) -> bool {
        let alone = metrics.membership_config.voter_ids().count() == 1;
        let acked = metrics.last_quorum_acked.as_ref();
        metrics.state != ServerState::Leader
            || alone
            || acked.is_some_and(|acked| acked.elapsed() < self.settings.election_max * CONTACT)
    }

    /// Returns `true` if recent messages support what this replica believes of its leader. Else an old vote is all
    /// it has.
    fn has_contact(&self, metrics: &RaftMetrics<RaftTypes>) -> bool {
        if metrics.state == ServerState::Leader {
            return self.has_followers(metrics);
        }
        self.heard_leader.lock().is_some_and(|heard| heard.elapsed() < self.settings.election_max * CONTACT)
    }

    /// Returns `true` if a leader's state holds all that it and earlier leaders committed: an entry of its own term
    /// is committed and applied (Ongaro's thesis, § 6.4).
    fn has_applied_own_commits(&self, metrics: &RaftMetrics<RaftTypes>, applied: u64) -> bool {
        let committed = metrics.local_committed.filter(|committed| committed.leader_id.term == metrics.current_term);
        committed.is_some_and(|committed| applied >= committed.index)
    }

    /// Returns how old the state at `applied` may be; `None` if it is not known.
    fn leader_contact(&self, metrics: &RaftMetrics<RaftTypes>, applied: u64) -> Option<Duration> {
        match metrics.state {
            ServerState::Leader if self.has_applied_own_commits(metrics, applied) => {
                // A lone voter gets no answers, and nobody else can commit.
                let alone = metrics.membership_config.voter_ids().count() == 1;
                let acked = metrics.last_quorum_acked.as_ref().map(|acked| acked.elapsed());
                if alone { Some(Duration::ZERO) } else { acked }
            }
            _ => self.freshness.lock().fresh_as_of(applied).map(|fresh| fresh.elapsed()),
        }
    }
}

/// Returns the role for a state of openraft's.
fn role_in(state: ServerState) -> Role {
    match state {
        ServerState::Leader => Role::Leader,
        ServerState::Candidate => Role::Candidate,
        ServerState::Learner => Role::Learner,
        ServerState::Follower | ServerState::Shutdown => Role::Follower,
    }
}
