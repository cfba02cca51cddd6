//! openraft's outgoing messages, sent by way of [`Peers`].
//!
//! Comes in: what consensus asks of a follower or a voter. Goes out: its answer, or a network error, which openraft tries
//! again. Two things are decided here that openraft does not know of: a vote does not count while this replica's own promise
//! binds it, and a follower that is too far behind gets the snapshot.

use std::future::Future;
use std::time::Duration;

use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use openraft::storage::Snapshot;

use super::client::{PeerCallError, Peers};
use super::transport::Lane;
use super::wire::{Reply, Request};
use crate::NodeId;
use crate::consensus::types::{CommittedLeaderId, Node, Types, Vote, index_of};
use crate::events::What;
use crate::events::vote_reason::refusal;
use crate::mutants::{Mutant, is_planted};
use crate::storage::state::applier::SnapshotData;

/// Calls one replica.
pub struct Peer {
    pub(super) peers: Peers,
    pub(super) target: NodeId,
}

impl Peer {
    async fn call(&self, request: Request, deadline: Duration) -> Result<Reply, RPCError<Types>> {
        let reply = self.peers.call(self.target, Lane::Raft, request, deadline).await;
        // "Network" rather than "unreachable": openraft then retries soon, and a lost leader is found by elections.
        reply.map_err(|error| RPCError::Network(NetworkError::new(&error)))
    }

    fn nonsense(&self) -> RPCError<Types> {
        RPCError::Network(NetworkError::new(&PeerCallError::Nonsense(self.target)))
    }

    /// Returns `true` if a follower lacks so many entries after `prev` that it is better off with the newest snapshot.
    fn lacks_too_much_after(&self, prev: u64) -> bool {
        self.peers.state.newest_snapshot().saturating_sub(prev) > self.peers.backlog
    }

    /// Asks for a vote, or in a pre-vote whether it would be given.
    async fn ask_vote(
        &self,
        rpc: VoteRequest<Types>,
        pre: bool,
        deadline: Duration,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let (target, events) = (self.target, &self.peers.events);
        let (asked, term) = (rpc.clone(), rpc.vote.leader_id.term);
        let last_log = rpc.last_log_id.map_or((0, 0), |id| (id.leader_id.term, id.index));
        events.tell(term, || What::VoteAsked { to: target, pre, last_log });
        let request = if pre { Request::PreVote(rpc) } else { Request::Vote(rpc) };
        let Reply::Vote(answer) = self.call(request, deadline).await? else { return Err(self.nonsense()) };
        events.tell(term, || {
            let stands = ((&asked.vote, asked.last_log_id.as_ref()), (&answer.vote, answer.last_log_id.as_ref()));
            let reason = (!answer.vote_granted).then(|| refusal(stands.0, stands.1, false, asked.leadership_transfer));
            What::VoteAnswered { from: target, pre, reason }
        });
        if answer.vote_granted && self.peers.promise.binds() && !asked.leadership_transfer {
            // Its own leader counts on it as well: a vote that comes before the promise is over does not count.
            let reason = "this replica has promised its leader not to stand for election yet";
            return Err(RPCError::Network(NetworkError::from_string(reason)));
        }
        Ok(answer)
    }
}

impl RaftNetworkFactory<Types> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: NodeId, _: &Node) -> Peer {
        Peer { peers: self.clone(), target }
    }
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        // A follower that syncs slowly is not a dead one: only heartbeats have the heartbeat's deadline.
        let deadline = if rpc.entries.is_empty() { option.hard_ttl() } else { self.peers.patience };
        let (to, count, term) = (self.target, rpc.entries.len(), rpc.vote.leader_id.term);
        let (prev, commit) = (index_of(&rpc.prev_log_id), index_of(&rpc.leader_commit));
        if count > 0 && self.lacks_too_much_after(prev) {
            // openraft purges no entry that is on its way, so a follower that answers, and stays slower than the writes, would
            // keep the log from being cut for ever. An error takes the entries off their way: the log is purged up to near
            // the snapshot, and the follower, for which there is nothing else left, is sent that.
            tracing::info!(group = %self.peers.group, follower = to, prev, "too far behind for entries: comes by snapshot");
            let reason = "it is too far behind for entries, and is to have the snapshot";
            return Err(RPCError::Network(NetworkError::from_string(reason)));
        }
        let events = self.peers.events.clone();
        events.tell(term, || What::AppendSent { to, prev, count, commit });
        match self.call(Request::Append(rpc), deadline).await {
            Ok(Reply::Append(response)) => {
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
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ask_vote(rpc, false, option.hard_ttl()).await
    }

    /// openraft's default grants without asking, which would make pre-vote a formality.
    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ask_vote(rpc, true, option.hard_ttl()).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<CommittedLeaderId, NodeId, Node, SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let SnapshotData::Frozen(state) = snapshot.snapshot else {
            return Err(StreamingError::Network(NetworkError::from_string("only own snapshots are sent")));
        };
        let index = index_of(&state.meta.last_log_id);
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = self.send_snapshot(vote, state) => {
                if sent.is_ok() {
                    self.peers.events.tell(vote.leader_id.term, || What::SnapshotSent { to: self.target, index });
                }
                sent.map_err(|error| StreamingError::Network(NetworkError::new(&error)))
            }
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        match self.call(Request::TransferLeader(req), option.hard_ttl()).await? {
            Reply::TransferLeader(response) => Ok(response),
            _ => Err(self.nonsense()),
        }
    }
}

/// What a follower's answer says, where `all` is the last index it was sent.
fn append_answered(from: NodeId, all: u64, response: &AppendEntriesResponse<Types>) -> What {
    match response {
        AppendEntriesResponse::Success => What::AppendAcked { from, matched: all },
        AppendEntriesResponse::PartialSuccess(matched) => What::AppendAcked { from, matched: index_of(matched) },
        AppendEntriesResponse::Conflict => What::AppendRefused { from, reason: "conflict" },
        AppendEntriesResponse::HigherVote(_) => What::AppendRefused { from, reason: "higher_term" },
    }
}
