//! Reads in their three modes.
//!
//! | mode | what is checked | cost |
//! |---|---|---|
//! | follower | this replica has shown nothing newer, in no life of its node; the answer says its age | none |
//! | lease | what this leader sent less than four fifths of a promise ago is answered by a majority (§ 6.4.1) | none |
//! | linearizable | a majority confirms the leader after the read began (§ 6.4) | a round of heartbeats, shared |
//!
//! The sections are those of Ongaro's thesis.
//!
//! A lease rests on the promise of followers not to elect anyone for as long as the leader asks, which is its own
//! longest election timeout (see [`crate::lease::promise`]). The leader counts the promise from when it *sent* what
//! they answered, and uses four fifths of it. So it is safe while no follower's clock runs more than a quarter
//! faster than the leader's.

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{LinearizableReadError, RaftError};
use openraft::raft::linearizable_read::LinearizerOption;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::Replica;
use crate::consensus::fatal;
use crate::consensus::types::{RaftTypes, index_of};
use crate::events::EventKind;
use crate::mutants::{Mutant, is_planted};
use crate::network::Lane;
use crate::network::wire::{PeerReply, PeerRequest};
use crate::{Machine, NodeId, ReadError, ReadMode, ReadPoint};

impl<M: Machine> Replica<M> {
    /// Waits until a read of `mode` may look at the applied state, and tells of it as an event.
    ///
    /// # Errors
    /// [`ReadError`]; its variant says what to do next.
    pub async fn read(self: &Arc<Self>, mode: ReadMode, deadline: Instant) -> Result<ReadPoint, ReadError> {
        let outcome = self.read_unseen(mode, deadline).await;
        let events = &self.peers.events;
        if events.is_on() {
            let told = outcome.as_ref().map(|point| point.index).map_err(ToString::to_string);
            events.tell(self.term(), || EventKind::Read { mode, outcome: told });
        }
        outcome
    }

    async fn read_unseen(self: &Arc<Self>, mode: ReadMode, deadline: Instant) -> Result<ReadPoint, ReadError> {
        self.check_running()?;
        let index = match mode {
            ReadMode::Linearizable if is_planted(Mutant::OneForAll) => return self.settled_point(),
            ReadMode::Follower => return self.settled_point(),
            ReadMode::Lease => {
                let late = |_| ReadError::NoQuorum { reason: "the replica did not answer in time".to_owned() };
                timeout_at(deadline, self.lease_index()).await.map_err(late)??
            }
            ReadMode::Linearizable => self.confirmed_index(deadline).await?,
        };
        // Everything up to this index was committed, so the read must see it.
        self.wait_applied(index, deadline).await
    }

    /// Returns the applied state, if it cannot be older than what this replica has shown before.
    ///
    /// The commit index is not stored, so a restarted replica has applied less than before. What it showed before
    /// was committed, and durable in its log. So the state is new enough once one of two things is applied: all of
    /// that log, or all that a leader has committed up to an entry of its own term. The second ends the wait if the
    /// end of the log was never committed.
    ///
    /// # Errors
    /// [`ReadError::Unsettled`].
    fn settled_point(&self) -> Result<ReadPoint, ReadError> {
        let point = self.read_point();
        let settled = point.index >= self.shown_before || point.leader_contact.is_some();
        if settled { Ok(point) } else { Err(ReadError::Unsettled) }
    }

    /// Waits until `index` is applied here.
    ///
    /// # Errors
    /// [`ReadError::Deadline`], or [`ReadError::Stopped`] if the state machine has ended.
    pub async fn wait_applied(&self, index: u64, deadline: Instant) -> Result<ReadPoint, ReadError> {
        let mut applied = self.applied.log_id.clone();
        match timeout_at(deadline, applied.wait_for(|applied| index_of(applied) >= index)).await {
            Ok(Ok(_)) => {
                let point = self.read_point();
                assert!(point.index >= index, "the state went back to {} under a read at {index}", point.index);
                Ok(point)
            }
            Ok(Err(_)) => Err(ReadError::Stopped { reason: "its state machine has ended".to_owned() }),
            Err(_) => Err(ReadError::Deadline),
        }
    }

    /// Returns the index that a read under the lease must wait for, without a round trip.
    async fn lease_index(&self) -> Result<u64, ReadError> {
        if is_planted(Mutant::LeaseUnchecked) {
            return self.believed_index();
        }
        if !self.was_heard_awake() {
            let reason = "this machine has slept, and no majority has answered since".to_owned();
            return Err(ReadError::NoQuorum { reason });
        }
        let lease = self.settings.lease();
        self.leader_index(LinearizerOption::new(Some(lease), false).with_wait_timeout(Duration::ZERO)).await
    }

    /// Returns the index that a read must wait for, confirmed by a round that began after this call.
    async fn confirmed_index(self: &Arc<Self>, deadline: Instant) -> Result<u64, ReadError> {
        // Under one lock: a read either joins a running task or starts one, so none waits in vain.
        let (sender, confirmed) = oneshot::channel();
        let start = {
            let mut waiting = self.confirmations.0.lock();
            waiting.reads.push(sender);
            !std::mem::replace(&mut waiting.running, true)
        };
        if start {
            tokio::spawn(self.clone().confirm_rounds());
        }
        let late = || ReadError::NoQuorum { reason: "no confirmation came before the deadline".to_owned() };
        timeout_at(deadline, confirmed).await.ok().and_then(Result::ok).unwrap_or_else(|| Err(late()))
    }

    /// Runs rounds as long as reads wait. Only reads that waited when a round began share its outcome (Ongaro's
    /// thesis, § 6.4).
    async fn confirm_rounds(self: Arc<Self>) {
        loop {
            // A read that comes after this must not be confirmed by messages that were sent before it came.
            let reads = {
                let mut waiting = self.confirmations.0.lock();
                debug_assert!(waiting.running, "two loops confirm reads, or none that is counted");
                waiting.running = !waiting.reads.is_empty();
                std::mem::take(&mut waiting.reads)
            };
            if reads.is_empty() {
                return;
            }
            let outcome = self.confirm().await;
            for read in reads {
                let _ = read.send(outcome.clone());
            }
        }
    }

    /// Runs one round: by this replica if it leads, else through the leader.
    async fn confirm(&self) -> Result<u64, ReadError> {
        match self.leader() {
            None => Err(ReadError::NotLeader { leader: None }),
            Some(leader) if leader == self.node() => match self.confirm_as_leader().await {
                // The round showed that this replica was deposed.
                Err(ReadError::NotLeader { leader: Some(leader) }) => self.confirm_through(leader).await,
                outcome => outcome,
            },
            Some(leader) => self.confirm_through(leader).await,
        }
    }

    /// Runs one round of heartbeats as the leader. Returns the index that a read must wait for.
    ///
    /// # Errors
    /// [`ReadError`] if this replica does not lead, no majority answered, or it has stopped.
    pub async fn confirm_as_leader(&self) -> Result<u64, ReadError> {
        if is_planted(Mutant::NoReadRound) {
            return self.believed_index();
        }
        let fresh = LinearizerOption::new(Some(Duration::ZERO), true);
        let index = self.leader_index(fresh.with_wait_timeout(self.settings.election_min)).await?;
        if is_planted(Mutant::ReadsTooEarly) { self.believed_index() } else { Ok(index) }
    }

    /// Returns the commit index of a leader that merely believes that it leads. Only planted bugs read by it.
    fn believed_index(&self) -> Result<u64, ReadError> {
        let leader = self.leader();
        let metrics = self.raft.metrics();
        let index = index_of(&metrics.borrow_watched().local_committed);
        if leader == Some(self.node()) { Ok(index) } else { Err(ReadError::NotLeader { leader }) }
    }

    async fn confirm_through(&self, leader: NodeId) -> Result<u64, ReadError> {
        let deadline = self.settings.election_max;
        match self.peers.call(leader, Lane::Wait, PeerRequest::ReadIndex, deadline).await {
            Ok(PeerReply::ReadIndex(outcome)) => outcome,
            Ok(_) => Err(ReadError::NoQuorum { reason: "the leader gave no sensible answer".to_owned() }),
            Err(error) => {
                Err(ReadError::NoQuorum { reason: format!("the leader cannot be asked: {}", error.reason()) })
            }
        }
    }

    async fn leader_index(&self, option: LinearizerOption) -> Result<u64, ReadError> {
        match self.raft.get_read_linearizer(option).await {
            Ok(linearizer) => Ok(linearizer.read_log_id().index()),
            Err(error) => Err(self.read_error(error)),
        }
    }

    fn read_error(&self, error: RaftError<RaftTypes, LinearizableReadError<RaftTypes>>) -> ReadError {
        match error {
            RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)) => {
                let leader = forward.leader_id.filter(|leader| *leader != self.node());
                ReadError::NotLeader { leader }
            }
            RaftError::APIError(LinearizableReadError::QuorumNotEnough(error)) => {
                ReadError::NoQuorum { reason: format!("only {} of the voters answered", error.got.len()) }
            }
            RaftError::Fatal(error) => ReadError::Stopped { reason: fatal::explain_end(&error) },
        }
    }
}
