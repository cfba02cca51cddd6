//! openraft's outgoing calls, sent over the [`Transport`].

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use openraft::storage::Snapshot;

use super::faults::Faults;
use super::throttle::Throttle;
use super::wire::{
    Answered, Envelope, PackedPairs, Refusal, Reply, Request, SnapshotAnswer, SnapshotChunk, decode, encode,
};
use super::{Lane, Transport};
use crate::events::votes::refusal;
use crate::events::{Recorder, What};
use crate::identity::Identity;
use crate::lives::Lives;
use crate::mutants::{Mutant, is_planted};
use crate::promise::Promise;
use crate::storage::machine::SnapshotData;
use crate::storage::state::{FrozenState, GroupState};
use crate::types::{CommittedLeaderId, Node, Types, Vote, index_of};
use crate::{GroupId, NodeId};

/// The slowest link that is not taken for a dead one, in bytes a second: what a deadline allows for the data.
const SLOWEST_LINK: u64 = 4 << 20;
/// How often a chunk of a snapshot is sent.
const CHUNK_ATTEMPTS: u32 = 5;
const CHUNK_PAUSE: Duration = Duration::from_millis(50);

/// Calls replicas of one group on other nodes.
#[derive(Clone)]
pub struct Peers {
    pub identity: Identity,
    /// In which lives the nodes were seen.
    pub lives: Arc<Lives>,
    pub group: GroupId,
    pub events: Recorder,
    pub transport: Arc<dyn Transport>,
    pub faults: Faults,
    /// The promise that this replica asks of its followers when it leads, in milliseconds.
    pub lease_ms: u32,
    /// What it has promised itself.
    pub promise: Promise,
    /// How long a follower may take over entries or a chunk of a snapshot, beside what their size takes.
    pub patience: Duration,
    /// How many entries before the newest snapshot a follower may lack and still be sent entries.
    pub backlog: u64,
    /// This replica's own.
    pub state: GroupState,
    /// Bounds the snapshots that this node sends.
    pub throttle: Arc<Throttle>,
}

/// Calls one replica.
pub struct Peer {
    peers: Peers,
    target: NodeId,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error(transparent)]
    Unreachable(#[from] super::Unreachable),
    #[error("node {0} refused: {1}")]
    Refused(NodeId, Refusal),
    #[error("node {0} answered something else than it was asked")]
    Nonsense(NodeId),
}

impl CallError {
    /// What went wrong, for people who know nodes by name: without the other node's number.
    pub fn reason(&self) -> String {
        match self {
            Self::Unreachable(error) => error.reason.clone(),
            Self::Refused(_, refusal) => refusal.to_string(),
            Self::Nonsense(_) => "it answered something else than it was asked".to_owned(),
        }
    }

    /// Why, in a word.
    fn word(&self) -> &'static str {
        match self {
            Self::Refused(_, Refusal::Cut) => "cut",
            // The transports say no more than a text of who was late.
            Self::Unreachable(error) if ["in time", "timed out"].iter().any(|late| error.reason.contains(late)) => {
                "timeout"
            }
            Self::Unreachable(_) => "unreachable",
            Self::Refused(_, Refusal::UnknownGroup | Refusal::NoMember) => "not_ready",
            Self::Refused(..) | Self::Nonsense(_) => "refused",
        }
    }
}

impl Peers {
    /// Sends `request` to `target`, waiting at most `deadline` and what its size takes.
    pub async fn call(
        &self,
        target: NodeId,
        lane: Lane,
        request: Request,
        deadline: Duration,
    ) -> Result<Reply, CallError> {
        let (what, term) = (request.word(), request.term());
        let reply = self.call_unseen(target, lane, request, deadline).await;
        if let Err(error) = &reply {
            self.events.tell(term, || What::MessageLost { to: target, what, reason: error.word() });
        }
        reply
    }

    /// Whether a follower lacks so many entries after `prev` that it is better off with the newest snapshot.
    fn are_too_many_after(&self, prev: u64) -> bool {
        self.state.newest_snapshot().saturating_sub(prev) > self.backlog
    }

    async fn call_unseen(
        &self,
        target: NodeId,
        lane: Lane,
        request: Request,
        deadline: Duration,
    ) -> Result<Reply, CallError> {
        if self.faults.loses_to(target) {
            return Err(CallError::Refused(target, Refusal::Cut));
        }
        self.faults.delay_to(target).await;
        let Identity { cluster, node, .. } = self.identity;
        let (group, lease_ms) = (self.group, self.lease_ms);
        let (life, known) = (self.lives.own(), self.lives.of(target));
        let envelope = encode(&Envelope { cluster, from: node, to: target, life, known, group, lease_ms, request });
        let deadline = deadline + Duration::from_millis(envelope.len() as u64 * 1000 / SLOWEST_LINK);
        let reply = self.transport.call(target, lane, envelope, deadline).await?;
        if self.faults.loses_from(target) {
            return Err(CallError::Refused(target, Refusal::Cut));
        }
        let Ok(Answered { life, reply }) = decode(&reply) else { return Err(CallError::Nonsense(target)) };
        if !self.lives.admit(target, life) {
            return Err(CallError::Refused(target, Refusal::OlderLife { yours: false }));
        }
        match reply {
            Reply::Refused(Refusal::OlderLife { yours }) => {
                if yours {
                    self.lives.note_overtaken();
                }
                Err(CallError::Refused(target, Refusal::OlderLife { yours }))
            }
            Reply::Refused(refusal) => Err(CallError::Refused(target, refusal)),
            reply => Ok(reply),
        }
    }
}

impl Peer {
    async fn call(&self, request: Request, deadline: Duration) -> Result<Reply, RPCError<Types>> {
        let reply = self.peers.call(self.target, Lane::Raft, request, deadline).await;
        // "Network" rather than "unreachable": openraft then retries soon, and a lost leader is found by elections.
        reply.map_err(|error| RPCError::Network(NetworkError::new(&error)))
    }

    fn nonsense(&self) -> RPCError<Types> {
        RPCError::Network(NetworkError::new(&CallError::Nonsense(self.target)))
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

    /// Sends the state chunk by chunk, and has it installed.
    async fn send_snapshot(&self, vote: Vote, state: FrozenState) -> Result<SnapshotResponse<Types>, SendError> {
        let transfer = self.send_chunk(SnapshotChunk::Begin).await?.taken()?;
        let mut chunks = 0;
        loop {
            let page = state.next_page()?;
            if page.is_empty() {
                break;
            }
            let pairs = PackedPairs::pack(&page);
            let bytes = pairs.len() as u64;
            self.send_chunk(SnapshotChunk::Pairs { transfer, number: chunks, pairs }).await?.taken()?;
            chunks += 1;
            self.peers.throttle.pay(bytes).await;
        }
        let end = SnapshotChunk::End { transfer, chunks, vote, meta: state.meta.clone() };
        loop {
            match self.send_chunk(end.clone()).await? {
                SnapshotAnswer::Installed(response) => return Ok(response),
                SnapshotAnswer::Taken(_) => {}
                SnapshotAnswer::StartOver => return Err(SendError::StartOver),
            }
        }
    }

    /// Sends a chunk until it is answered; the follower knows one it has taken already.
    async fn send_chunk(&self, chunk: SnapshotChunk) -> Result<SnapshotAnswer, SendError> {
        for attempt in 1..CHUNK_ATTEMPTS {
            if let Ok(answer) = self.send_once(chunk.clone()).await {
                return Ok(answer);
            }
            tokio::time::sleep(CHUNK_PAUSE * attempt).await;
        }
        self.send_once(chunk).await
    }

    async fn send_once(&self, chunk: SnapshotChunk) -> Result<SnapshotAnswer, SendError> {
        match self.peers.call(self.target, Lane::Snapshot, Request::Snapshot(chunk), self.peers.patience).await? {
            Reply::Snapshot(answer) => Ok(answer),
            _ => Err(CallError::Nonsense(self.target).into()),
        }
    }
}

/// Why a snapshot did not arrive; openraft begins a new transfer after a pause.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the state could not be read: {0}")]
    Read(#[from] std::io::Error),
    #[error("the follower lost the thread of the transfer")]
    StartOver,
}

impl SnapshotAnswer {
    fn taken(self) -> Result<u64, SendError> {
        match self {
            Self::Taken(transfer) => Ok(transfer),
            Self::StartOver | Self::Installed(_) => Err(SendError::StartOver),
        }
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
        if count > 0 && self.peers.are_too_many_after(prev) {
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
