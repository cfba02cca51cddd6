//! What can be seen of a replica whatever its machine: the end of its log, whom it voted for; and why a nudge did
//! nothing.
//!
//! Plain values for lessons and consoles. [`Host`](crate::Host) gives them out.

use openraft::EntryPayload;

use crate::consensus::types::{LogEntry, Vote};
use crate::{GroupStatus, NodeId};

/// What an entry of the log carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// Nothing: a new leader's first entry, which commits what its predecessors left.
    Blank,
    /// A new membership.
    Membership,
    /// A command of the machine.
    Command,
}

/// One entry of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryHead {
    /// Where it stands.
    pub index: u64,
    /// The term of the leader that appended it.
    pub term: u64,
    /// What it carries.
    pub kind: EntryKind,
}

impl EntryHead {
    /// What `entry` says of itself.
    pub(crate) fn of_entry(entry: &LogEntry) -> Self {
        let kind = match entry.payload {
            EntryPayload::Blank => EntryKind::Blank,
            EntryPayload::Membership(_) => EntryKind::Membership,
            EntryPayload::Normal(_) => EntryKind::Command,
        };
        Self { index: entry.log_id.index, term: entry.log_id.leader_id.term, kind }
    }
}

/// A replica's vote: the term, for whom, and whether that node is known to have won.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoteCast {
    /// The term it was cast in.
    pub term: u64,
    /// The candidate.
    pub candidate: NodeId,
    /// `true` if the candidate was elected.
    pub elected: bool,
}

impl VoteCast {
    /// What `vote` says.
    pub(crate) fn of_vote(vote: &Vote) -> Self {
        Self { term: vote.leader_id.term, candidate: vote.leader_id.voted_for, elected: vote.committed }
    }
}

/// The end of a replica's log, and how far the replica is.
#[derive(Debug, Clone)]
pub struct LogTail {
    /// The last entries, in order: as many as were asked for, unless the log has fewer, or so many are more than 4 MiB.
    pub entries: Vec<EntryHead>,
    /// The vote on disk.
    pub vote: Option<VoteCast>,
    /// The replica's status.
    pub status: GroupStatus,
}

/// Why a nudge did nothing.
#[derive(Debug, thiserror::Error)]
pub enum NudgeError {
    /// Only a leader can step down.
    #[error("this replica does not lead its group, so it has nothing to step down from; ask the leader")]
    NotLeader,
    /// Nobody could take over.
    #[error("no other voter has answered this leader lately, so nobody could take over; bring one back first")]
    NobodyElse,
    /// The replica no longer takes part.
    #[error("this replica has stopped: {0}")]
    Stopped(String),
}
