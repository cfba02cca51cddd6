//! openraft's outgoing messages (its `RaftNetworkV2`), sent through [`PeerClient`].
//!
//! Comes in: what consensus asks of a follower or a voter. Goes out: its answer, or a network error, after which
//! openraft tries again. Two things are decided here of which openraft does not know. A vote does not count while
//! this replica's own promise binds it. A follower that is too far behind gets the snapshot.

use std::future::Future;
use std::time::Duration;

use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use openraft::storage::Snapshot;

use super::client::{PeerCallError, PeerClient};
use super::transport::Lane;
use super::wire::{PeerReply, PeerRequest};
use crate::NodeId;
use crate::consensus::types::{CommittedLeaderId, Node, RaftTypes, Vote, index_of};
use crate::events::EventKind;
use crate::events::vote_reason::refusal;
use crate::mutants::{Mutant, is_planted};
use crate::storage::state::applier::SnapshotData;

/// Calls one replica.
pub struct RaftPeer {
    pub(super) peers: PeerClient,
    pub(super) target: NodeId,
}

impl RaftPeer {
    /// Sends a request that is small and urgent.
    async fn call(&self, request: PeerRequest, deadline: Duration) -> Result<PeerReply, RPCError<RaftTypes>> {
        let reply = self.peers.call(self.target, Lane::Raft, request, deadline).await;
        // "Network", not "unreachable": after the latter openraft waits longer before it tries again.
        reply.map_err(|error| RPCError::Network(NetworkError::new(&error)))
    }

    /// Returns the error for an answer that does not fit the request.
    fn nonsense(&self) -> RPCError<RaftTypes> {
        RPCError::Network(NetworkError::new(&PeerCallError::Nonsense(self.target)))
    }

    /// Returns `true` if a follower that has the log up to `prev` lacks so many entries that the newest snapshot
    /// serves it better.
    fn lacks_too_much_after(&self, prev: u64) -> bool {
        self.peers.state.newest_snapshot().saturating_sub(prev) > self.peers.backlog
    }

    /// Asks for a vote. In a pre-vote it asks whether the vote would be granted (Ongaro's thesis, § 9.6).
    async fn ask_vote(
        &self,
        rpc: VoteRequest<RaftTypes>,
        pre: bool,
        deadline: Duration,
    ) -> Result<VoteResponse<RaftTypes>, RPCError<RaftTypes>> {
        let (target, events) = (self.target, &self.peers.events);
        let (asked, term) = (rpc.clone(), rpc.vote.leader_id.term);
        let last_log = rpc.last_log_id.map_or((0, 0), |id| (id.leader_id.term, id.index));
        events.tell(term, || EventKind::VoteAsked { to: target, pre, last_log });
        let request = if pre { PeerRequest::PreVote(rpc) } else { PeerRequest::Vote(rpc) };
        let PeerReply::Vote(answer) = self.call(request, deadline).await? else { return Err(self.nonsense()) };
        events.tell(term, || {
            let stands = ((&asked.vote, asked.last_log_id.as_ref()), (&answer.vote, answer.last_log_id.as_ref()));
            let reason = (!answer.vote_granted).then(|| refusal(stands.0, stands.1, false, asked.leadership_transfer));
            EventKind::VoteAnswered { from: target, pre, reason }
        });
        if answer.vote_granted && self.peers.promise.binds() && !asked.leadership_transfer {
            // This replica promised its leader not to stand either. So a vote that arrives before the promise ends
            // does not count.
            let reason = "this replica has promised its leader not to stand for election yet";
            return Err(RPCError::Network(NetworkError::from_string(reason)));
        }
        Ok(answer)
    }
}

impl RaftNetworkFactory<RaftTypes> for PeerClient {
    type Network = RaftPeer;

    async fn new_client(&mut self, target: NodeId, _: &Node) -> RaftPeer {
        RaftPeer { peers: self.clone(), target }
    }
}

impl RaftNetworkV2<RaftTypes> for RaftPeer {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<RaftTypes>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<RaftTypes>, RPCError<RaftTypes>> {
        // A follower that syncs slowly is not dead: only heartbeats have the heartbeat's deadline.
        let deadline = if rpc.entries.is_empty() { option.hard_ttl() } else { self.peers.patience };
        let (to, count, term) = (self.target, rpc.entries.len(), rpc.vote.leader_id.term);
        let (prev, commit) = (index_of(&rpc.prev_log_id), index_of(&rpc.leader_commit));
        if count > 0 && self.lacks_too_much_after(prev) {
            // openraft does not purge entries that are being sent. So a follower that answers, but stays slower than
            // the writes, would block the purge for ever. After an error these entries count as not being sent. Then
            // the log is purged up to near the snapshot, and the follower, whose entries are gone, gets the
            // snapshot.
            let group = self.peers.group;
            tracing::info!(%group, follower = to, prev, "too far behind for entries: gets the snapshot");
            let reason = "it is too far behind for entries, and gets the snapshot";
            return Err(RPCError::Network(NetworkError::from_string(reason)));
        }
        let events = self.peers.events.clone();
        events.tell(term, || EventKind::AppendSent { to, prev, count, commit });
        match self.call(PeerRequest::Append(rpc), deadline).await {
            Ok(PeerReply::Append(response)) => {
                events.tell(term, || append_answered(to, prev + count as u64, &response));
                Ok(response)
            }
            Err(_) if is_planted(Mutant::SilenceIsConsent) => Ok(AppendEntriesResponse::Success),
            Ok(_) => Err(self.nonsense()),
            Err(error) => Err(error),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<RaftTypes>,
        option: RPCOption,
    ) -> Result<VoteResponse<RaftTypes>, RPCError<RaftTypes>> {
        self.ask_vote(rpc, false, option.hard_ttl()).await
    }

    /// openraft's default grants a pre-vote without asking the voter.
    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<RaftTypes>,
        option: RPCOption,
    ) -> Result<VoteResponse<RaftTypes>, RPCError<RaftTypes>> {
        self.ask_vote(rpc, true, option.hard_ttl()).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<CommittedLeaderId, NodeId, Node, SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<RaftTypes>, StreamingError<RaftTypes>> {
        let SnapshotData::Frozen(state) = snapshot.snapshot else {
            return Err(StreamingError::Network(NetworkError::from_string("only own snapshots are sent")));
        };
        let index = index_of(&state.meta.last_log_id);
        // openraft cancels when this replica no longer leads: then the rest of the state is not sent.
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = self.send_snapshot(vote, state) => {
                if sent.is_ok() {
                    self.peers.events.tell(vote.leader_id.term, || EventKind::SnapshotSent { to: self.target, index });
                }
                sent.map_err(|error| StreamingError::Network(NetworkError::new(&error)))
            }
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<RaftTypes>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<RaftTypes>, RPCError<RaftTypes>> {
        match self.call(PeerRequest::TransferLeader(req), option.hard_ttl()).await? {
            PeerReply::TransferLeader(response) => Ok(response),
            _ => Err(self.nonsense()),
        }
    }
}

/// Returns the event of a follower's answer; `all` is the last index that it was sent.
fn append_answered(from: NodeId, all: u64, response: &AppendEntriesResponse<RaftTypes>) -> EventKind {
    match response {
        AppendEntriesResponse::Success => EventKind::AppendAcked { from, matched: all },
        AppendEntriesResponse::PartialSuccess(matched) => EventKind::AppendAcked { from, matched: index_of(matched) },
        AppendEntriesResponse::Conflict => EventKind::AppendRefused { from, reason: "conflict" },
        AppendEntriesResponse::HigherVote(_) => EventKind::AppendRefused { from, reason: "higher_term" },
    }
}
