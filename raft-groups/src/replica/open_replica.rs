//! What a node may ask of an open replica, whatever its machine.
//!
//! The one interface between the floors that know groups by their numbers (the host, the network) and a replica,
//! which is generic over its [`Machine`]. Imports go one way through it: a replica knows neither its host nor the
//! other replicas.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Replica;
use crate::inspect::{LogTail, NudgeError};
use crate::network::wire::{PeerReply, PeerRequest};
use crate::{GroupStatus, Machine, NodeId};

/// A replica of any group, open on this node.
#[async_trait]
pub(crate) trait OpenReplica: Send + Sync {
    /// Carries out the request of a peer, which asks for a promise of length `lease` if it leads.
    async fn answer(self: Arc<Self>, request: PeerRequest, lease: Duration) -> PeerReply;

    /// Returns its view of its group.
    fn status(&self) -> GroupStatus;

    /// Returns the last `last` entries of its log, in ascending order.
    fn log_tail(&self, last: u64) -> io::Result<LogTail>;

    /// Makes it stand for election at once.
    async fn campaign(&self) -> Result<(), NudgeError>;

    /// Makes it ask its most advanced voter to take over. Returns that voter.
    async fn step_down(&self) -> Result<NodeId, NudgeError>;

    /// Makes it take no further part. Its data stays.
    async fn stop(&self);
}

#[async_trait]
impl<M: Machine> OpenReplica for Replica<M> {
    async fn answer(self: Arc<Self>, request: PeerRequest, lease: Duration) -> PeerReply {
        self.answer_peer(request, lease).await
    }

    fn status(&self) -> GroupStatus {
        Replica::status(self)
    }

    fn log_tail(&self, last: u64) -> io::Result<LogTail> {
        Replica::log_tail(self, last)
    }

    async fn campaign(&self) -> Result<(), NudgeError> {
        Replica::campaign(self).await
    }

    async fn step_down(&self) -> Result<NodeId, NudgeError> {
        Replica::step_down(self).await
    }

    async fn stop(&self) {
        Replica::stop(self).await;
    }
}
