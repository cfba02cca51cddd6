//! What a node may ask of an open replica, whatever its machine.
//!
//! The one seam between the floors that know groups by their numbers (the host, the network) and a replica that is
//! generic over its [`Machine`]. Imports go one way through it: a replica knows neither its host nor who else is open.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Replica;
use crate::inspect::{LogTail, NudgeError};
use crate::network::wire::{PeerReply, PeerRequest};
use crate::{GroupStatus, Machine, NodeId};

/// A replica of some group, open on this node.
#[async_trait]
pub(crate) trait OpenReplica: Send + Sync {
    /// Carries out `request` of a node that asks for a promise of `lease` where it leads.
    async fn answer(self: Arc<Self>, request: PeerRequest, lease: Duration) -> PeerReply;

    /// Its view of its group.
    fn status(&self) -> GroupStatus;

    /// The last `last` entries of its log.
    fn log_tail(&self, last: u64) -> io::Result<LogTail>;

    /// Has it stand for election at once.
    async fn campaign(&self) -> Result<(), NudgeError>;

    /// Has it ask its most advanced voter to take over; returns who that is.
    async fn step_down(&self) -> Result<NodeId, NudgeError>;

    /// Has it take no further part; its data stays.
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
