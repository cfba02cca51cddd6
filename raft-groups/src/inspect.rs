//! A look into this node's replicas, whatever their machines: status, the end of the log, who was voted for. And the two
//! nudges that a lesson gives: stand for election now, step down now.

use std::io;

use async_trait::async_trait;
use openraft::EntryPayload;

use crate::replica::Replica;
use crate::types::{Command, Entry};
use crate::{GroupId, GroupStatus, Host, Machine, NodeId, Role};

/// Bytes of commands that are read at most to show the end of a log.
const TAIL_BYTES: usize = 4 << 20;

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
    fn of(entry: &Entry) -> Self {
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
    /// Whether the candidate was elected.
    pub elected: bool,
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

/// What can be seen of a replica without knowing its machine.
#[async_trait]
pub(crate) trait Inspect: Send + Sync {
    fn status(&self) -> GroupStatus;

    fn log_tail(&self, last: u64) -> io::Result<LogTail>;

    async fn campaign(&self) -> Result<(), NudgeError>;

    async fn step_down(&self) -> Result<NodeId, NudgeError>;
}

#[async_trait]
impl<M: Machine> Inspect for Replica<M> {
    fn status(&self) -> GroupStatus {
        Replica::status(self)
    }

    fn log_tail(&self, last: u64) -> io::Result<LogTail> {
        let (mut entries, mut looked_at) = (Vec::new(), 0);
        for entry in self.log.newest_first(last) {
            let entry = entry?;
            entries.push(EntryHead::of(&entry));
            looked_at += if let EntryPayload::Normal(Command(bytes)) = &entry.payload { bytes.len() } else { 0 };
            if looked_at > TAIL_BYTES {
                break;
            }
        }
        entries.reverse();
        let vote = self.log.summary().0.map(|vote| {
            let (term, candidate) = (vote.leader_id.term, vote.leader_id.voted_for);
            VoteCast { term, candidate, elected: vote.committed }
        });
        Ok(LogTail { entries, vote, status: Replica::status(self) })
    }

    /// A real election, without the pre-vote that would spare a living leader.
    async fn campaign(&self) -> Result<(), NudgeError> {
        self.raft.trigger().elect(false).await.map_err(|error| NudgeError::Stopped(crate::fatal::told(&error)))
    }

    async fn step_down(&self) -> Result<NodeId, NudgeError> {
        let status = Replica::status(self);
        if status.role != Role::Leader {
            return Err(NudgeError::NotLeader);
        }
        let me = self.node();
        let fit =
            |(node, _): &(&NodeId, &u64)| **node != me && status.voters.contains(node) && !status.silent.contains(node);
        let heir = status.matched.iter().filter(fit).max_by_key(|(_, matched)| **matched);
        let (heir, _) = heir.ok_or(NudgeError::NobodyElse)?;
        let asked = self.raft.trigger().transfer_leader(*heir).await;
        asked.map_err(|error| NudgeError::Stopped(crate::fatal::told(&error)))?;
        Ok(*heir)
    }
}

impl Host {
    /// The status of each open replica.
    pub fn statuses(&self) -> Vec<GroupStatus> {
        self.inspected().iter().map(|replica| replica.status()).collect()
    }

    /// The last `last` entries of a replica's log; `None` where none is open here.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn log_tail(&self, group: GroupId, last: u64) -> Option<io::Result<LogTail>> {
        self.inspect(group).map(|replica| replica.log_tail(last))
    }

    /// Has a replica stand for election at once, even against a living leader; `None` where none is open here. For
    /// tests and lessons.
    ///
    /// # Errors
    /// Where the replica has stopped.
    pub async fn campaign(&self, group: GroupId) -> Option<Result<(), NudgeError>> {
        let replica = self.inspect(group)?;
        Some(replica.campaign().await)
    }

    /// Has a leader ask its most advanced voter to take over; who that is, or `None` where no replica is open here. For
    /// tests and lessons.
    ///
    /// # Errors
    /// Where the replica does not lead, or nobody could take over.
    pub async fn step_down(&self, group: GroupId) -> Option<Result<NodeId, NudgeError>> {
        let replica = self.inspect(group)?;
        Some(replica.step_down().await)
    }
}
