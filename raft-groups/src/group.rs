//! One replica of one Raft group, as the floors above see it.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::{GroupId, GroupStatus, Machine, NodeId, ReadError, ReadMode, ReadPoint, WriteError};

/// An acknowledged write: fsynced by a majority and applied here.
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
pub struct Group<M> { machine: PhantomData<Arc<M>> }
impl<M> Clone for Group<M> { fn clone(&self) -> Self { Self { machine: PhantomData } } }

impl<M: Machine> Group<M> {
    /// The group's number.
    pub fn id(&self) -> GroupId { unimplemented!() }
    /// The machine in its applied state. A snapshot from the leader replaces it, so take it anew for each request.
    pub fn machine(&self) -> Arc<M> { unimplemented!() }
    /// Writes the first membership. Idempotent: a group that has one keeps it.
    pub async fn initialize(&self, voters: BTreeSet<NodeId>) -> Result<(), WriteError> { let _ = voters; unimplemented!() }
    /// Commits and applies one command.
    pub async fn write(&self, command: Bytes, deadline: Instant) -> Result<Written, WriteError> { let _ = (command, deadline); unimplemented!() }
    /// Commits several commands in order; each has its own outcome.
    pub async fn write_many(&self, commands: Vec<Bytes>, deadline: Instant) -> Vec<Result<Written, WriteError>> { let _ = (commands, deadline); unimplemented!() }
    /// Waits until a read of `mode` may look at [`Group::machine`].
    pub async fn read(&self, mode: ReadMode, deadline: Instant) -> Result<ReadPoint, ReadError> { let _ = (mode, deadline); unimplemented!() }
    /// Waits until this replica has applied `index`.
    pub async fn wait_applied(&self, index: u64, deadline: Instant) -> Result<ReadPoint, ReadError> { let _ = (index, deadline); unimplemented!() }
    /// On the leader: waits until every voter has applied `index`; names those that have not by the deadline.
    pub async fn wait_applied_everywhere(&self, index: u64, deadline: Instant) -> Result<(), BTreeSet<NodeId>> { let _ = (index, deadline); unimplemented!() }
    /// This replica's view at this moment.
    pub fn status(&self) -> GroupStatus { unimplemented!() }
    /// A signal that fires at each change of role, leader, membership or applied index.
    pub fn watch(&self) -> watch::Receiver<GroupStatus> { unimplemented!() }
    /// Hands leadership to `to`.
    pub async fn transfer_leader(&self, to: NodeId) -> Result<(), WriteError> { let _ = to; unimplemented!() }
    /// Stops taking part; the data stays.
    pub async fn stop(&self) {}
}
