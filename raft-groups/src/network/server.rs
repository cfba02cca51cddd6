//! A replica's answers to its peers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::storage::Snapshot;
use tokio::time::Instant;

use super::wire::{PackedPairs, Refusal, Reply, Request, SnapshotAnswer, SnapshotChunk};
use crate::events::votes::refusal;
use crate::events::{VoteReason, What};
use crate::mutants::{Mutant, is_planted};
use crate::replica::Replica;
use crate::runtime::random_u64;
use crate::storage::machine::SnapshotData;
use crate::storage::state::Stage;
use crate::types::{SnapshotMeta, Types, Vote, index_of};
use crate::watch;
use crate::{Machine, NodeId};

/// Answers one group's peers.
#[async_trait]
pub trait Answer: Send + Sync {
    /// Carries out `request` of a node that asks for a promise of `lease` where it leads.
    async fn answer(self: Arc<Self>, request: Request, lease: Duration) -> Reply;
}

/// A snapshot on its way in.
pub struct Incoming {
    transfer: u64,
    stage: Stage,
    chunks: u64,
    installation: Option<Installation>,
}

/// The outcome of an installation, once there is one.
type Installation = watch::Receiver<Option<Result<SnapshotResponse<Types>, String>>>;

/// How long a request waits for an installation before the leader is told to ask again.
const INSTALL_WAIT: Duration = Duration::from_secs(2);

impl Incoming {
    /// Whether it is not installed yet.
    pub fn is_under_way(&self) -> bool {
        self.installation.as_ref().is_none_or(|installation| installation.borrow().is_none())
    }
}

#[async_trait]
impl<M: Machine> Answer for Replica<M> {
    async fn answer(self: Arc<Self>, request: Request, lease: Duration) -> Reply {
        let raft = &self.raft;
        let stopped = || Reply::Refused(Refusal::Stopped);
        if self.log.damage().is_some() {
            return stopped();
        }
        if let Some(leader) = request.leader() {
            if let Some(other) = self.other_leader(leader) {
                return self.refuse_second_leader(leader, other).await;
            }
            if self.promise(leader, lease).await.is_err() {
                return stopped();
            }
        }
        match request {
            Request::Append(rpc) => {
                let (at, term) = (Instant::now(), rpc.vote.leader_id.term);
                let committed = rpc
                    .leader_commit
                    .filter(|committed| committed.leader_id.term == term || is_planted(Mutant::EarlierTermIsFresh));
                if let Err(error) = self.check_against(&rpc).await {
                    tracing::warn!(group = %self.peers.group, %error, "a leader's entries are not taken");
                    return stopped();
                }
                let end = rpc.entries.last().map(|entry| entry.log_id).or(rpc.prev_log_id);
                let response = raft.append_entries(rpc).await;
                if matches!(response, Ok(AppendEntriesResponse::Success | AppendEntriesResponse::Conflict)) {
                    *self.heard_leader.lock() = Some(at);
                }
                if let (Some(committed), Ok(AppendEntriesResponse::Success)) = (committed, &response) {
                    let applied = index_of(&self.applied.log_id.borrow());
                    self.contact.lock().heard(at, committed.index, applied);
                    if end.is_some_and(|end| committed.index <= end.index) {
                        self.log.note_committed(committed);
                    }
                }
                response.map_or_else(|_| stopped(), Reply::Append)
            }
            Request::Vote(rpc) => self.vote(rpc, false).await,
            Request::PreVote(rpc) => self.vote(rpc, true).await,
            Request::TransferLeader(rpc) => {
                raft.handle_transfer_leader(rpc).await.map_or_else(|_| stopped(), Reply::TransferLeader)
            }
            Request::ReadIndex => Reply::ReadIndex(self.confirm_as_leader().await),
            Request::AwaitApplied { index, within_ms } => {
                let deadline = Instant::now() + Duration::from_millis(within_ms);
                Reply::Applied(self.wait_applied(index, deadline).await.is_ok())
            }
            Request::Snapshot(chunk) => self.take_chunk(chunk).await,
        }
    }
}

impl<M: Machine> Replica<M> {
    /// The other leader that this replica knows of the same term: a node has voted twice, since it lost what it knew.
    fn other_leader(&self, leader: &Vote) -> Option<NodeId> {
        let known = self.log.summary().0.filter(|known| known.committed && leader.committed)?;
        let (known, leader) = (known.leader_id, leader.leader_id);
        let differs = known.term == leader.term && known.voted_for != leader.voted_for;
        (differs && !is_planted(Mutant::FollowsTwoLeaders)).then_some(known.voted_for)
    }

    /// Takes nothing from a second leader of one term: both append different entries under the same log ids, which no
    /// comparison of logs would tell apart later. A new term ends it, so this replica begins one.
    async fn refuse_second_leader(&self, leader: &Vote, other: NodeId) -> Reply {
        let (group, term, second) = (self.peers.group, leader.leader_id.term, leader.leader_id.voted_for);
        tracing::error!(%group, term, other, second, "two nodes lead in one term: a node has forgotten how it voted");
        if let Err(error) = self.raft.trigger().elect(false).await {
            tracing::warn!(%group, %error, "consensus had ended before it could begin a new term");
        }
        Reply::Refused(Refusal::OtherLeader { leader: other })
    }

    /// Compares a leader's entries with what is applied here; where they contradict it, this replica stops as damaged.
    async fn check_against(&self, rpc: &AppendEntriesRequest<Types>) -> std::io::Result<()> {
        match self.log.contradiction(rpc.vote.leader_id.term, rpc.prev_log_id, &rpc.entries)? {
            None => Ok(()),
            Some(found) => Err(self.stop_as_damaged(found).await),
        }
    }

    async fn stop_as_damaged(&self, found: String) -> std::io::Error {
        let error = self.log.note_damage(found).await;
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(group = %self.peers.group, %error, "consensus had ended before it was stopped");
        }
        error
    }

    /// Promises a leader not to depose it for `lease` from now on. It is done before the leader's message is looked at, so no
    /// vote can come between the promise and the answer that tells of it. Leaders that were deposed are promised nothing.
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

    /// The answer of a voter that a promise binds.
    fn refuse_for_promise(&self, rpc: &VoteRequest<Types>, pre: bool) -> Reply {
        let (candidate, term) = (rpc.vote.leader_id.voted_for, rpc.vote.leader_id.term);
        let (vote, last, _) = self.log.summary();
        let vote = vote.unwrap_or_else(|| Vote::new(0, self.node()));
        self.peers.events.tell(term, || {
            let reason = refusal((&rpc.vote, rpc.last_log_id.as_ref()), (&vote, last.as_ref()), true, false);
            What::VoteRefused { candidate, pre, reason }
        });
        Reply::Vote(VoteResponse::new(vote, last, false))
    }

    /// Votes, or in a pre-vote says how it would.
    async fn vote(&self, rpc: VoteRequest<Types>, pre: bool) -> Reply {
        let (asked, events) = (rpc.clone(), &self.peers.events);
        let (candidate, term) = (rpc.vote.leader_id.voted_for, rpc.vote.leader_id.term);
        if !self.may_vote() {
            events.tell(term, || What::VoteRefused { candidate, pre, reason: VoteReason::NoMember });
            return Reply::Refused(Refusal::NoMember);
        }
        // An election that the leader itself asked for is against no promise: it has given its lease up.
        let bound = || self.peers.promise.binds() && !asked.leadership_transfer;
        if bound() {
            return self.refuse_for_promise(&asked, pre);
        }
        let hears_leader = events.is_on() && self.hears_leader();
        let answered = if pre { self.raft.pre_vote(rpc).await } else { self.raft.vote(rpc).await };
        let Ok(answer) = answered else { return Reply::Refused(Refusal::Stopped) };
        if answer.vote_granted && bound() {
            // Promised while it voted. A vote that nobody hears of elects nobody.
            return self.refuse_for_promise(&asked, pre);
        }
        events.tell(term, || match answer.vote_granted {
            true => What::VoteGranted { candidate, pre },
            false => {
                let stands = ((&asked.vote, asked.last_log_id.as_ref()), (&answer.vote, answer.last_log_id.as_ref()));
                let reason = refusal(stands.0, stands.1, hears_leader, asked.leadership_transfer);
                What::VoteRefused { candidate, pre, reason }
            }
        });
        Reply::Vote(answer)
    }

    async fn take_chunk(self: &Arc<Self>, chunk: SnapshotChunk) -> Reply {
        let transfer = chunk.transfer();
        let answer = match chunk {
            SnapshotChunk::Begin => self.begin().await,
            SnapshotChunk::Pairs { transfer, number, pairs } => self.take_pairs(transfer, number, &pairs).await,
            SnapshotChunk::End { transfer, chunks, vote, meta } => self.install(transfer, chunks, vote, meta).await,
        };
        match answer {
            Ok(answer) => Reply::Snapshot(answer),
            Err(error) => {
                tracing::warn!(group = %self.peers.group, %error, "a snapshot could not be taken in");
                self.incoming.lock().take_if(|incoming| Some(incoming.transfer) == transfer);
                Reply::Snapshot(SnapshotAnswer::StartOver)
            }
        }
    }

    async fn begin(&self) -> std::io::Result<SnapshotAnswer> {
        let transfer = random_u64();
        let stage = {
            let mut incoming = self.incoming.lock();
            if incoming.as_ref().is_some_and(|incoming| incoming.installation.is_some() && incoming.is_under_way()) {
                return Ok(SnapshotAnswer::StartOver);
            }
            let stage = self.state.begin_stage();
            *incoming = Some(Incoming { transfer, stage, chunks: 0, installation: None });
            stage
        };
        self.state.erase_before(stage).await?;
        Ok(SnapshotAnswer::Taken(transfer))
    }

    async fn take_pairs(&self, transfer: u64, number: u64, pairs: &PackedPairs) -> std::io::Result<SnapshotAnswer> {
        let was_taken = |incoming: &Incoming| incoming.transfer == transfer && incoming.chunks == number + 1;
        if self.incoming.lock().as_ref().is_some_and(was_taken) {
            return Ok(SnapshotAnswer::Taken(transfer));
        }
        let expected = |incoming: &&mut Incoming| incoming.transfer == transfer && incoming.chunks == number;
        let Some(stage) = self.incoming.lock().as_mut().filter(expected).map(|i| i.stage) else {
            return Ok(SnapshotAnswer::StartOver);
        };
        let Some(pairs) = pairs.unpack() else { return Ok(SnapshotAnswer::StartOver) };
        self.state.stage(stage, pairs).await?;
        if let Some(incoming) = self.incoming.lock().as_mut().filter(expected) {
            incoming.chunks += 1;
        }
        Ok(SnapshotAnswer::Taken(transfer))
    }

    /// Installs a whole transfer, or waits a while for the installation under way; the leader asks until it is done.
    async fn install(
        self: &Arc<Self>,
        transfer: u64,
        chunks: u64,
        vote: Vote,
        meta: SnapshotMeta,
    ) -> std::io::Result<SnapshotAnswer> {
        if let Some(found) = self.log.contradicted_by(vote.leader_id.term, &meta) {
            return Err(self.stop_as_damaged(found).await);
        }
        let installation = {
            let mut incoming = self.incoming.lock();
            let whole = |incoming: &&mut Incoming| incoming.transfer == transfer && incoming.chunks == chunks;
            let Some(incoming) = incoming.as_mut().filter(whole) else { return Ok(SnapshotAnswer::StartOver) };
            let start = || self.start_installation(incoming.stage, vote, meta);
            incoming.installation.get_or_insert_with(start).clone()
        };
        let mut installation = installation;
        if tokio::time::timeout(INSTALL_WAIT, installation.wait_for(Option::is_some)).await.is_err() {
            return Ok(SnapshotAnswer::Taken(transfer));
        }
        let outcome = installation.borrow().clone();
        match outcome {
            Some(Ok(response)) => Ok(SnapshotAnswer::Installed(response)),
            Some(Err(reason)) => Err(std::io::Error::other(reason)),
            None => Err(std::io::Error::other("the installation was given up")),
        }
    }

    fn start_installation(self: &Arc<Self>, stage: Stage, vote: Vote, meta: SnapshotMeta) -> Installation {
        let (outcome, installation) = watch::channel(None);
        let replica = self.clone();
        tokio::spawn(async move {
            let snapshot = Snapshot { meta, snapshot: SnapshotData::Staged(stage) };
            let response = replica.raft.install_full_snapshot(vote, snapshot).await;
            outcome.send_replace(Some(response.map_err(|error| error.to_string())));
        });
        installation
    }
}
