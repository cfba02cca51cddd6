//! Shows this node's replicas, whatever their machines, and lets lessons and tests force an election or a handover.
//!
//! Comes in: a group's number. Goes out: what its replica on this node says, or `None` if none is open.

use std::io;

use super::Host;
use crate::inspect::{LogTail, NudgeError};
use crate::{GroupId, GroupStatus, NodeId};

impl Host {
    /// Returns the status of each open replica, in ascending order of groups.
    pub fn statuses(&self) -> Vec<GroupStatus> {
        self.replicas().iter().map(|replica| replica.status()).collect()
    }

    /// Returns the last `last` entries of a replica's log; `None` if no replica is open here.
    ///
    /// # Errors
    /// An I/O error if the log cannot be read.
    pub fn log_tail(&self, group: GroupId, last: u64) -> Option<io::Result<LogTail>> {
        self.replica(group).map(|replica| replica.log_tail(last))
    }

    /// Makes a replica stand for election at once, even against a living leader. `None` if no replica is open here.
    /// For tests and lessons.
    ///
    /// # Errors
    /// [`NudgeError::Stopped`].
    pub async fn campaign(&self, group: GroupId) -> Option<Result<(), NudgeError>> {
        let replica = self.replica(group)?;
        Some(replica.campaign().await)
    }

    /// Makes a leader ask its most advanced voter to take over. Returns that voter, or `None` if no replica is open
    /// here. For tests and lessons.
    ///
    /// # Errors
    /// [`NudgeError`] if the replica does not lead, nobody could take over, or the replica has stopped.
    pub async fn step_down(&self, group: GroupId) -> Option<Result<NodeId, NudgeError>> {
        let replica = self.replica(group)?;
        Some(replica.step_down().await)
    }
}
