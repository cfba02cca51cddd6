//! What lessons and consoles see of a replica, and the two nudges that they give it: stand for election, step down.
//!
//! Nothing in consensus rests on what is seen here. A nudge asks for no more than the protocol allows anyway.

use std::io;

use openraft::EntryPayload;

use super::Replica;
use crate::consensus::fatal;
use crate::consensus::types::CommandBytes;
use crate::inspect::{EntryHead, LogTail, NudgeError, VoteCast};
use crate::{Machine, NodeId, Role};

/// Bytes of commands that are read at most to show the end of a log.
const TAIL_BYTES: usize = 4 << 20;

impl<M: Machine> Replica<M> {
    /// The last `last` entries of the log, fewer where they are large.
    pub fn log_tail(&self, last: u64) -> io::Result<LogTail> {
        let (mut entries, mut looked_at) = (Vec::new(), 0);
        for entry in self.log.newest_first(last) {
            let entry = entry?;
            entries.push(EntryHead::of_entry(&entry));
            looked_at += if let EntryPayload::Normal(CommandBytes(bytes)) = &entry.payload { bytes.len() } else { 0 };
            if looked_at > TAIL_BYTES {
                break;
            }
        }
        entries.reverse();
        let vote = self.log.summary().0.as_ref().map(VoteCast::of_vote);
        Ok(LogTail { entries, vote, status: self.status() })
    }

    /// A real election, without the pre-vote that would spare a living leader.
    pub async fn campaign(&self) -> Result<(), NudgeError> {
        self.raft.trigger().elect(false).await.map_err(|error| NudgeError::Stopped(fatal::explain_end(&error)))
    }

    /// Has the most advanced other voter take over.
    pub async fn step_down(&self) -> Result<NodeId, NudgeError> {
        let status = self.status();
        if status.role != Role::Leader {
            return Err(NudgeError::NotLeader);
        }
        let me = self.node();
        let fit =
            |(node, _): &(&NodeId, &u64)| **node != me && status.voters.contains(node) && !status.silent.contains(node);
        let successor = status.matched.iter().filter(fit).max_by_key(|(_, matched)| **matched);
        let (successor, _) = successor.ok_or(NudgeError::NobodyElse)?;
        let asked = self.raft.trigger().transfer_leader(*successor).await;
        asked.map_err(|error| NudgeError::Stopped(fatal::explain_end(&error)))?;
        Ok(*successor)
    }
}
