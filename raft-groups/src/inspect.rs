//! What can be seen of a replica, whatever its machine: the end of its log, and whom it voted for. It also has the
//! error for a request to change the leader that did nothing.
//!
//! These are plain values for lessons and consoles. [`Host`](crate::Host) gives them out.

use openraft::EntryPayload;

use crate::consensus::types::{LogEntry, Vote};
use crate::{GroupStatus, NodeId};

/// The kind of a log entry, by what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// Nothing. It is the first entry of a new leader, and commits what earlier leaders have left (Raft, § 8).
    Blank,
    /// A new membership.
    Membership,
    /// A command of the machine.
    Command,
}

/// The place of a log entry and its kind, without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryHead {
    /// Log index.
    pub index: u64,
    /// The term of the leader that appended it.
    pub term: u64,
    /// The kind of what it carries.
    pub kind: EntryKind,
}

impl EntryHead {
    /// Returns the head of `entry`.
    pub(crate) fn of_entry(entry: &LogEntry) -> Self {
        let kind = match entry.payload {
            EntryPayload::Blank => EntryKind::Blank,
            EntryPayload::Membership(_) => EntryKind::Membership,
            EntryPayload::Normal(_) => EntryKind::Command,
        };
        Self { index: entry.log_id.index, term: entry.log_id.leader_id.term, kind }
    }
}

/// A replica's vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoteCast {
    /// The term in which it was cast.
    pub term: u64,
    /// The candidate.
    pub candidate: NodeId,
    /// `true` if the candidate is known to have been elected.
    pub elected: bool,
}

impl VoteCast {
    /// Returns openraft's `vote` as a plain value.
    pub(crate) fn of_vote(vote: &Vote) -> Self {
        Self { term: vote.leader_id.term, candidate: vote.leader_id.voted_for, elected: vote.committed }
    }
}

/// The end of a replica's log, with its vote and its status.
#[derive(Debug, Clone)]
pub struct LogTail {
    /// The last entries, in ascending order. There are as many as were asked for, unless the log has fewer or their
    /// commands exceed 4 MiB.
    pub entries: Vec<EntryHead>,
    /// The vote on disk.
    pub vote: Option<VoteCast>,
    /// The replica's status.
    pub status: GroupStatus,
}

/// Why a request to stand for election or to step down did nothing.
#[derive(Debug, thiserror::Error)]
pub enum NudgeError {
    /// Only a leader can step down.
    #[error("this replica does not lead its group, so it has nothing to step down from; ask the leader")]
    NotLeader,
    /// No other voter could take over.
    #[error("no other voter has answered this leader lately, so nobody could take over; bring one back first")]
    NobodyElse,
    /// The replica no longer takes part; the text says why.
    #[error("this replica has stopped: {0}")]
    Stopped(String),
}
