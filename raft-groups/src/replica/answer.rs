//! A replica's answers to its peers: whom it listens to, and what it does about entries.
//!
//! Comes in: a request that the node has found to be for this replica. Goes out: a reply. Before a leader's message is
//! looked at, the replica makes sure that it follows no other leader of the same term, and promises what the leader's
//! lease rests on. Votes and snapshots are answered in files of their own.

use std::sync::Arc;
use std::time::Duration;

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use tokio::time::Instant;

use super::Replica;
use crate::consensus::types::{RaftTypes, Vote, index_of};
use crate::mutants::{Mutant, is_planted};
use crate::network::wire::{PeerRefusal, PeerReply, PeerRequest};
use crate::{Machine, NodeId};

impl<M: Machine> Replica<M> {
    /// Answers a peer's request; `lease` is the promise that it asks for where it leads.
    pub async fn answer_peer(self: &Arc<Self>, request: PeerRequest, lease: Duration) -> PeerReply {
        // One that was found damaged says nothing more.
        let raft = &self.raft;
        let stopped = || PeerReply::Refused(PeerRefusal::Stopped);
        if self.log.damage().is_some() {
            return stopped();
        }
        // A leader is promised its lease before its message is looked at.
        if let Some(leader) = request.leader() {
            if let Some(other) = self.other_leader(leader) {
                return self.refuse_second_leader(leader, other).await;
            }
            if self.promise(leader, lease).await.is_err() {
                return stopped();
            }
        }
        match request {
            PeerRequest::Append(rpc) => self.take_entries(rpc).await,
            PeerRequest::Vote(rpc) => self.vote(rpc, false).await,
            PeerRequest::PreVote(rpc) => self.vote(rpc, true).await,
            PeerRequest::TransferLeader(rpc) => {
                raft.handle_transfer_leader(rpc).await.map_or_else(|_| stopped(), PeerReply::TransferLeader)
            }
            PeerRequest::ReadIndex => PeerReply::ReadIndex(self.confirm_as_leader().await),
            PeerRequest::AwaitApplied { index, within_ms } => {
                let deadline = Instant::now() + Duration::from_millis(within_ms);
                PeerReply::Applied(self.wait_applied(index, deadline).await.is_ok())
            }
            PeerRequest::Snapshot(chunk) => self.take_chunk(chunk).await,
        }
    }

    /// Takes a leader's entries, and learns from them how far the log is committed.
    async fn take_entries(&self, rpc: AppendEntriesRequest<RaftTypes>) -> PeerReply {
        // An index of an earlier term says nothing yet about what this leader has committed.
        let (at, term) = (Instant::now(), rpc.vote.leader_id.term);
        let committed = rpc
            .leader_commit
            .filter(|committed| committed.leader_id.term == term || is_planted(Mutant::EarlierTermIsFresh));
        // What contradicts the applied state is damage, which openraft would not see.
        if let Err(error) = self.check_against(&rpc).await {
            tracing::warn!(group = %self.peers.group, %error, "a leader's entries are not taken");
            return PeerReply::Refused(PeerRefusal::Stopped);
        }
        // Any leader of the newest term counts as heard; only one that agrees with this log says how fresh the state
        // is.
        let end = rpc.entries.last().map(|entry| entry.log_id).or(rpc.prev_log_id);
        let response = self.raft.append_entries(rpc).await;
        if matches!(response, Ok(AppendEntriesResponse::Success | AppendEntriesResponse::Conflict)) {
            *self.heard_leader.lock() = Some(at);
        }
        if let (Some(committed), Ok(AppendEntriesResponse::Success)) = (committed, &response) {
            let applied = index_of(&self.applied.log_id.borrow());
            self.freshness.lock().heard(at, committed.index, applied);
            if end.is_some_and(|end| committed.index <= end.index) {
                self.log.note_committed(committed);
            }
        }
        response.map_or_else(|_| PeerReply::Refused(PeerRefusal::Stopped), PeerReply::Append)
    }

    /// The other leader that this replica knows of the same term: a node has voted twice, since it lost what it knew.
    fn other_leader(&self, leader: &Vote) -> Option<NodeId> {
        let known = self.log.summary().0.filter(|known| known.committed && leader.committed)?;
        let (known, leader) = (known.leader_id, leader.leader_id);
        let differs = known.term == leader.term && known.voted_for != leader.voted_for;
        (differs && !is_planted(Mutant::FollowsTwoLeaders)).then_some(known.voted_for)
    }

    /// Takes nothing from a second leader of one term: both append different entries under the same log ids, which no
    /// comparison of logs would tell apart later. A new term ends it, so this replica begins one.
    async fn refuse_second_leader(&self, leader: &Vote, other: NodeId) -> PeerReply {
        let (group, term, second) = (self.peers.group, leader.leader_id.term, leader.leader_id.voted_for);
        tracing::error!(%group, term, other, second, "two nodes lead in one term: a node has forgotten how it voted");
        if let Err(error) = self.raft.trigger().elect(false).await {
            tracing::warn!(%group, %error, "consensus had ended before it could begin a new term");
        }
        PeerReply::Refused(PeerRefusal::OtherLeader { leader: other })
    }

    /// Compares a leader's entries with what is applied here; where they contradict it, this replica stops as damaged.
    async fn check_against(&self, rpc: &AppendEntriesRequest<RaftTypes>) -> std::io::Result<()> {
        match self.log.contradiction(rpc.vote.leader_id.term, rpc.prev_log_id, &rpc.entries)? {
            None => Ok(()),
            Some(found) => Err(self.stop_as_damaged(found).await),
        }
    }

    /// Notes what contradicts the applied state, and takes no further part.
    pub(super) async fn stop_as_damaged(&self, found: String) -> std::io::Error {
        let error = self.log.note_damage(found).await;
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(group = %self.peers.group, %error, "consensus had ended before it was stopped");
        }
        error
    }

    /// Promises a leader not to depose it for `lease` from now on. It is done before the leader's message is looked
    /// at, so no vote can come between the promise and the answer that tells of it. Leaders that were deposed are
    /// promised nothing.
    async fn promise(&self, leader: &Vote, lease: Duration) -> std::io::Result<()> {
        let known = self.log.summary().0;
        if lease.is_zero() || known.is_some_and(|known| leader.leader_id.term < known.leader_id.term) {
            return Ok(());
        }
        if !is_planted(Mutant::PromisesItsOwn) {
            self.longest.cover(lease).await?;
            self.peers.promise.make(Instant::now() + self.settings.on_own_clock(lease));
        }
        Ok(())
    }
}
