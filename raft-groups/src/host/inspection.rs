//! Looks into this node's replicas, whatever their machines, and the two nudges that a lesson gives.
//!
//! Comes in: a group's number. Goes out: what its replica here says, or `None` where none is open.

use std::io;

use super::Host;
use crate::inspect::{LogTail, NudgeError};
use crate::{GroupId, GroupStatus, NodeId};

impl Host {
    /// The status of each open replica.
    pub fn statuses(&self) -> Vec<GroupStatus> {
        self.replicas().iter().map(|replica| replica.status()).collect()
    }

    /// The last `last` entries of a replica's log; `None` where none is open here.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn log_tail(&self, group: GroupId, last: u64) -> Option<io::Result<LogTail>> {
        self.replica(group).map(|replica| replica.log_tail(last))
    }

    /// Has a replica stand for election at once, even against a living leader; `None` where none is open here. For
    /// tests and lessons.
    ///
    /// # Errors
    /// Where the replica has stopped.
    pub async fn campaign(&self, group: GroupId) -> Option<Result<(), NudgeError>> {
        let replica = self.replica(group)?;
        Some(replica.campaign().await)
    }

    /// Has a leader ask its most advanced voter to take over; who that is, or `None` where no replica is open here. For
    /// tests and lessons.
    ///
    /// # Errors
    /// Where the replica does not lead, or nobody could take over.
    pub async fn step_down(&self, group: GroupId) -> Option<Result<NodeId, NudgeError>> {
        let replica = self.replica(group)?;
        Some(replica.step_down().await)
    }
}
