//! A replica's answers to its peers: which requests it accepts, and what it does with entries.
//!
//! Comes in: a request that is for this replica. Goes out: a reply. Before it handles a leader's message, the
//! replica checks that it follows no other leader of the same term, and makes the promise on which the leader's
//! lease rests. Votes and snapshots have files of their own.

use std::sync::Arc;
use std::time::Duration;

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use tokio::time::Instant;

use super::Replica;
use crate::consensus::types::{LogEntry, LogId, RaftTypes, Vote, index_of};
use crate::mutants::{Mutant, is_planted};
use crate::network::wire::{PeerRefusal, PeerReply, PeerRequest};
use crate::{Machine, NodeId};

impl<M: Machine> Replica<M> {
    /// Answers a peer's request. `lease` is the length of the promise that the peer asks for if it leads.
    pub async fn answer_peer(self: &Arc<Self>, request: PeerRequest, lease: Duration) -> PeerReply {
        // A damaged replica answers nothing more.
        let raft = &self.raft;
        let stopped = || PeerReply::Refused(PeerRefusal::Stopped);
        if self.log.damage().is_some() {
            return stopped();
        }
        // The promise comes before the message is handled, so the leader may count on it from when it sent the
        // message.
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

    /// Takes a leader's entries, and learns from the message how far the log is committed.
    async fn take_entries(&self, rpc: AppendEntriesRequest<RaftTypes>) -> PeerReply {
        // A commit index of an earlier term does not show what this leader has committed (Raft, § 5.4.2).
        let (at, term) = (Instant::now(), rpc.vote.leader_id.term);
        let committed = rpc
            .leader_commit
            .filter(|committed| committed.leader_id.term == term || is_planted(Mutant::EarlierTermIsFresh));
        // openraft assumes that entries follow each other. A log with a hole would be damage at the next start.
        if !follow_each_other(rpc.prev_log_id, &rpc.entries) {
            tracing::warn!(group = %self.peers.group, "entries that do not follow each other are not taken");
            return PeerReply::Refused(PeerRefusal::Unreadable);
        }
        // Entries that contradict the applied state are damage, which openraft does not notice.
        if let Err(error) = self.check_against(&rpc).await {
            tracing::warn!(group = %self.peers.group, %error, "a leader's entries are not taken");
            return PeerReply::Refused(PeerRefusal::Stopped);
        }
        // Any leader of the newest term counts as heard. Only a leader whose log agrees with this one shows how
        // fresh the state is.
        let end = rpc.entries.last().map(|entry| entry.log_id).or(rpc.prev_log_id);
        let response = self.raft.append_entries(rpc).await;
        if matches!(response, Ok(AppendEntriesResponse::Success | AppendEntriesResponse::Conflict)) {
            *self.heard_leader.lock() = Some(at);
        }
        if let (Some(committed), Ok(AppendEntriesResponse::Success)) = (committed, &response) {
            let applied = index_of(&self.applied.log_id.borrow());
            self.freshness.lock().heard(at, committed.index, applied);
            // Beyond `end` this log may still differ from the leader's.
            if end.is_some_and(|end| committed.index <= end.index) {
                self.log.note_committed(committed);
            }
        }
        response.map_or_else(|_| PeerReply::Refused(PeerRefusal::Stopped), PeerReply::Append)
    }

    /// Returns another leader of the same term, if this replica knows one. Then some node has voted twice in that
    /// term, because it lost data.
    fn other_leader(&self, leader: &Vote) -> Option<NodeId> {
        let known = self.log.summary().0.filter(|known| known.committed && leader.committed)?;
        let (known, leader) = (known.leader_id, leader.leader_id);
        let differs = known.term == leader.term && known.voted_for != leader.voted_for;
        (differs && !is_planted(Mutant::FollowsTwoLeaders)).then_some(known.voted_for)
    }

    /// Refuses a second leader of one term. The two append different entries under the same log ids, which no later
    /// comparison of logs could tell apart. A new term ends this, so this replica begins one.
    async fn refuse_second_leader(&self, leader: &Vote, other: NodeId) -> PeerReply {
        let (group, term, second) = (self.peers.group, leader.leader_id.term, leader.leader_id.voted_for);
        tracing::error!(%group, term, other, second, "two nodes lead in one term: a node has forgotten how it voted");
        if let Err(error) = self.raft.trigger().elect(false).await {
            tracing::warn!(%group, %error, "consensus had ended before it could begin a new term");
        }
        PeerReply::Refused(PeerRefusal::OtherLeader { leader: other })
    }

    /// Compares a leader's entries with what is applied here. If they contradict it, this replica stops as damaged.
    async fn check_against(&self, rpc: &AppendEntriesRequest<RaftTypes>) -> std::io::Result<()> {
        match self.log.contradiction(rpc.vote.leader_id.term, rpc.prev_log_id, &rpc.entries)? {
            None => Ok(()),
            Some(found) => Err(self.stop_as_damaged(found).await),
        }
    }

    /// Notes durably what contradicts the applied state, and takes no further part. Returns it as an error.
    pub(super) async fn stop_as_damaged(&self, found: String) -> std::io::Error {
        let error = self.log.note_damage(found).await;
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(group = %self.peers.group, %error, "consensus had ended before it was stopped");
        }
        error
    }

    /// Promises a leader not to depose it for `lease` from now on. This happens before the leader's message is
    /// handled, so this replica cannot vote between the promise and the answer that confirms it. A leader of an
    /// earlier term gets no promise.
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

/// Returns `true` if the entries have consecutive indexes from the one after `previous` on, and terms that never
/// decrease.
fn follow_each_other(previous: Option<LogId>, entries: &[LogEntry]) -> bool {
    let (mut next, mut term) = (Some(0), 0);
    if let Some(previous) = previous {
        (next, term) = (previous.index.checked_add(1), previous.leader_id.term);
    }
    for LogEntry { log_id, .. } in entries {
        if next != Some(log_id.index) || log_id.leader_id.term < term {
            return is_planted(Mutant::TakesEntriesWithHoles);
        }
        (next, term) = (log_id.index.checked_add(1), log_id.leader_id.term);
    }
    // An index must be left for the next entry.
    next.is_some()
}

#[cfg(test)]
mod tests {
    use openraft::EntryPayload;
    use proptest::prelude::*;

    use super::*;
    use crate::mutants::plant;

    fn log_id((term, index): (u64, u64)) -> LogId {
        LogId::new_term_index(term, index)
    }

    fn entries(ids: &[(u64, u64)]) -> Vec<LogEntry> {
        ids.iter().map(|id| LogEntry { log_id: log_id(*id), payload: EntryPayload::Blank }).collect()
    }

    #[test]
    fn only_entries_without_a_hole_are_taken() {
        let follows =
            |previous: Option<(u64, u64)>, ids: &[(u64, u64)]| follow_each_other(previous.map(log_id), &entries(ids));
        assert!(follows(None, &[]) && follows(Some((3, 7)), &[]));
        assert!(follows(None, &[(0, 0), (1, 1), (1, 2), (4, 3)]));
        assert!(follows(Some((3, 7)), &[(3, 8), (5, 9)]));
        assert!(!follows(None, &[(1, 1)]));
        assert!(!follows(Some((3, 7)), &[(3, 9)]) && !follows(Some((3, 7)), &[(3, 7)]));
        assert!(!follows(Some((3, 7)), &[(3, 8), (3, 12)]) && !follows(Some((3, 7)), &[(2, 8)]));
        assert!(!follows(Some((3, u64::MAX)), &[]) && !follows(Some((3, u64::MAX - 1)), &[(3, u64::MAX)]));
        let _planted = plant(Mutant::TakesEntriesWithHoles);
        assert!(follows(Some((3, 7)), &[(3, 9)]), "the bug is not planted");
    }

    proptest! {
        #[test]
        fn one_index_off_is_seen_wherever_it_is(start in 0_u64..100, count in 1_usize..20, place in 0_usize..20, off in 1_u64..5) {
            let mut ids: Vec<_> = (1..=count as u64).map(|step| (2, start + step)).collect();
            prop_assert!(follow_each_other(Some(log_id((2, start))), &entries(&ids)));
            ids[place % count].1 += off;
            prop_assert!(!follow_each_other(Some(log_id((2, start))), &entries(&ids)));
        }
    }
}
