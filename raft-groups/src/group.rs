//! One replica of one Raft group, as the floors above see it.
//!
//! Comes in: commands, reads, members. Goes out: what became of them, and the replica's status, published as it
//! changes. The work is done in [`replica`](crate::replica); here it gets its public form. This file must not know
//! which other replicas are open on the node.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;
use openraft::Raft;
use openraft::errors::{ClientWriteError, ForwardReason, InitializeError, RaftError};
use openraft::impls::EmptyNode;
use openraft::raft::WriteResult;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::consensus::fatal;
use crate::consensus::types::{CommandBytes, RaftTypes};
use crate::events::StatusDiff;
use crate::network::Lane;
use crate::network::wire::{PeerReply, PeerRequest};
use crate::replica::Replica;
use crate::replica::heartbeat::send_heartbeats;
use crate::storage::state::applier::Applier;
use crate::{GroupId, GroupStatus, Machine, NodeId, ReadError, ReadMode, ReadPoint, WriteError};

/// An acknowledged write: durable on a majority and applied on the leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Log index of the entry.
    pub index: u64,
    /// Term of the leader that appended it.
    pub term: u64,
    /// The machine's reply.
    pub reply: Bytes,
}

/// A handle on one replica; clones share it.
pub struct Group<M: Machine> {
    replica: Arc<Replica<M>>,
    status: watch::Receiver<GroupStatus>,
}

impl<M: Machine> Clone for Group<M> {
    fn clone(&self) -> Self {
        Self { replica: self.replica.clone(), status: self.status.clone() }
    }
}

impl<M: Machine> Group<M> {
    pub(crate) fn new(replica: Arc<Replica<M>>) -> Self {
        let (sender, status) = watch::channel(replica.status());
        tokio::spawn(publish_status(replica.clone(), sender));
        tokio::spawn(send_heartbeats(replica.clone()));
        Self { replica, status }
    }

    pub(crate) fn raft(&self) -> &Raft<RaftTypes, Applier<M>> {
        &self.replica.raft
    }

    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn replica(&self) -> &Arc<Replica<M>> {
        &self.replica
    }

    /// The group's number.
    pub fn id(&self) -> GroupId {
        self.replica.peers.group
    }

    /// Returns the damage of this replica, if something contradicts its applied state. Such a replica has stopped
    /// for good, and must be made anew from the others.
    pub fn damage(&self) -> Option<crate::OpenError> {
        let what = || "this replica".to_owned();
        self.replica.log.damage().map(|found| crate::error::damaged_replica(what(), found))
    }

    /// Returns the machine in its applied state. A snapshot from the leader replaces it, so take it anew for each
    /// request.
    pub fn machine(&self) -> Arc<M> {
        self.replica.applied.machine.read().clone()
    }

    /// Returns this replica's view of its group at this moment.
    pub fn status(&self) -> GroupStatus {
        self.replica.status()
    }

    /// Returns a channel with the latest view, published within [`STATUS_PAUSE`] of a change.
    pub fn watch(&self) -> watch::Receiver<GroupStatus> {
        self.status.clone()
    }

    /// Writes the first membership. It is idempotent: a group that has a membership keeps it.
    ///
    /// # Errors
    /// [`WriteError::Stopped`] if this node is not among `voters`, or this replica no longer takes part.
    pub async fn initialize(&self, voters: BTreeSet<NodeId>) -> Result<(), WriteError> {
        let members: std::collections::BTreeMap<_, _> =
            voters.into_iter().map(|node| (node, EmptyNode::new())).collect();
        match self.replica.raft.initialize(members).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(RaftError::APIError(InitializeError::NotInMembers(_))) => {
                Err(WriteError::Stopped { reason: "it is not one of the group's first members".to_owned() })
            }
            Err(RaftError::Fatal(error)) => Err(WriteError::Stopped { reason: fatal::explain_end(&error) }),
        }
    }

    /// Commits and applies one command. Concurrent calls share appends, syncs and messages.
    ///
    /// # Errors
    /// [`WriteError`]; its variant says what is known of the write, and what to do next.
    pub async fn write(&self, command: Bytes, deadline: Instant) -> Result<Written, WriteError> {
        if let Some(reason) = self.replica.stop_reason() {
            return Err(WriteError::Stopped { reason });
        }
        let Some(_admission) = self.replica.admit(command.len()) else { return Err(WriteError::Busy) };
        // From here on the entry may be in some log, so an error does not prove that it is never committed.
        let unknown = |reason: String| Err(WriteError::Indeterminate { reason });
        let late = || unknown("no answer before the deadline".to_owned());
        let mut outcomes =
            match timeout_at(deadline, self.replica.raft.client_write_many([CommandBytes(command)])).await {
                Ok(Ok(outcomes)) => outcomes,
                Ok(Err(error)) => return unknown(fatal::explain_end(&error)),
                Err(_) => return late(),
            };
        // The outcome comes once the entry is committed and applied here.
        match timeout_at(deadline, outcomes.next()).await {
            Ok(Some(Ok(outcome))) => write_outcome(outcome),
            Ok(Some(Err(error))) => unknown(fatal::explain_end(&error)),
            Ok(None) => unknown("the replica stopped".to_owned()),
            Err(_) => late(),
        }
    }

    /// Waits until a read of `mode` may look at [`Group::machine`]. A lease or linearizable read waits at most until
    /// `deadline`.
    ///
    /// # Errors
    /// [`ReadError`]; its variant says what to do next.
    pub async fn read(&self, mode: ReadMode, deadline: Instant) -> Result<ReadPoint, ReadError> {
        self.replica.read(mode, deadline).await
    }

    /// Confirms that this replica leads its group now, by a round of messages that a majority answers.
    ///
    /// # Errors
    /// [`ReadError`], as for a linearizable read.
    pub async fn prove_leader(&self) -> Result<(), ReadError> {
        self.replica.confirm_as_leader().await.map(drop)
    }

    /// Waits until this replica has applied `index`.
    ///
    /// # Errors
    /// [`ReadError::Deadline`], or [`ReadError::Stopped`] if the replica has ended.
    pub async fn wait_applied(&self, index: u64, deadline: Instant) -> Result<ReadPoint, ReadError> {
        self.replica.wait_applied(index, deadline).await
    }

    /// Waits until every voter has applied `index`.
    ///
    /// # Errors
    /// The voters that have not applied it by `deadline`, or are not known to have.
    pub async fn wait_applied_everywhere(&self, index: u64, deadline: Instant) -> Result<(), BTreeSet<NodeId>> {
        let own = self.replica.node();
        let voters = self.status().voters;
        // All voters are asked at once, and this node asks itself without a message.
        let waits = voters.into_iter().map(|node| async move {
            let applied = if node == own {
                self.wait_applied(index, deadline).await.is_ok()
            } else {
                self.applied_at(node, index, deadline).await
            };
            (!applied).then_some(node)
        });
        let missing: BTreeSet<_> = join_all(waits).await.into_iter().flatten().collect();
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    }

    /// Asks another replica until the deadline whether it has applied `index`.
    async fn applied_at(&self, node: NodeId, index: u64, deadline: Instant) -> bool {
        const ATTEMPT: Duration = Duration::from_millis(500);
        const PAUSE: Duration = Duration::from_millis(20);
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).min(ATTEMPT);
            if left.is_zero() {
                return false;
            }
            // Attempts are short: a peer that restarts loses the question.
            let request = PeerRequest::AwaitApplied { index, within_ms: left.as_millis() as u64 };
            match self.replica.peers.call(node, Lane::Wait, request, left + PAUSE).await {
                Ok(PeerReply::Applied(true)) => return true,
                _ => tokio::time::sleep(PAUSE.min(left)).await,
            }
        }
    }

    /// Asks `to`, which should hold the whole log, to take over (Ongaro's thesis, § 3.10). It only asks: watch
    /// [`Group::status`] for the outcome.
    ///
    /// # Errors
    /// [`WriteError::Stopped`] if this replica no longer takes part.
    pub async fn transfer_leader(&self, to: NodeId) -> Result<(), WriteError> {
        let asked = self.replica.raft.trigger().transfer_leader(to).await;
        asked.map_err(|error| WriteError::Stopped { reason: fatal::explain_end(&error) })
    }

    /// Stops taking part. The data stays; after the return this replica writes nothing more.
    pub async fn stop(&self) {
        self.replica.stop().await;
    }
}

/// Shortest pause between two published statuses.
pub const STATUS_PAUSE: Duration = Duration::from_millis(20);

async fn publish_status<M: Machine>(replica: Arc<Replica<M>>, sender: watch::Sender<GroupStatus>) {
    let mut metrics = replica.raft.metrics();
    let (mut diff, events) = (StatusDiff::default(), &replica.peers.events);
    loop {
        // A lease runs out by itself, without a change of the metrics.
        let changed = match diff.wake_after(|| replica.lease_left()) {
            Some(wake) => tokio::time::timeout(wake, metrics.changed()).await.unwrap_or(Ok(())),
            None => metrics.changed().await,
        };
        if changed.is_err() {
            break;
        }
        let status = replica.status();
        // A status is cloned for the events only while somebody listens.
        let listened = events.is_on().then(|| (status.clone(), replica.lease_left()));
        let before = sender.send_replace(status);
        diff.tell_changes(events, listened.map(|(now, left)| (before, now, left)), replica.settings.lease());
        tokio::time::sleep(STATUS_PAUSE).await;
    }
    // The last status says why the replica stopped.
    sender.send_replace(replica.status());
}

/// Returns what openraft's answer to one command means to the caller.
fn write_outcome(result: WriteResult<RaftTypes>) -> Result<Written, WriteError> {
    match result {
        Ok(response) => {
            Ok(Written { index: response.log_id.index, term: response.log_id.leader_id.term, reply: response.response })
        }
        // A leader that still waits for its first majority refuses as well. It too has not appended the entry.
        Err(ClientWriteError::ForwardToLeader(forward)) => {
            let leader = forward.leader_id.filter(|_| forward.reason == ForwardReason::NotLeader);
            Err(WriteError::NotLeader { leader })
        }
        Err(ClientWriteError::LogEntryDiscarded(_)) => {
            Err(WriteError::Indeterminate { reason: "the leader changed".to_owned() })
        }
        Err(ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_)) => {
            Err(WriteError::Stopped { reason: "it mistook a write for a change of its members".to_owned() })
        }
    }
}
