//! Shows a replica to lessons and consoles, and lets them make it stand for election or step down.
//!
//! Consensus does not depend on anything here. Both requests ask only for what the protocol allows at any time.

use std::io;

use openraft::EntryPayload;

use super::Replica;
use crate::consensus::fatal;
use crate::consensus::types::CommandBytes;
use crate::inspect::{EntryHead, LogTail, NudgeError, VoteCast};
use crate::{Machine, NodeId, Role};

/// Bytes of commands, at most, that are read to show the end of a log.
const TAIL_BYTES: usize = 4 << 20;

impl<M: Machine> Replica<M> {
    /// Returns the last `last` entries of the log, in ascending order; fewer if their commands exceed
    /// [`TAIL_BYTES`].
    ///
    /// # Errors
    /// An I/O error if the log cannot be read.
    pub fn log_tail(&self, last: u64) -> io::Result<LogTail> {
        let (mut entries, mut looked_at) = (Vec::new(), 0);
        // Newest first, so the bound on bytes drops the oldest.
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

    /// Begins a real election, without the pre-vote that would spare a living leader.
    ///
    /// # Errors
    /// [`NudgeError::Stopped`].
    pub async fn campaign(&self) -> Result<(), NudgeError> {
        self.raft.trigger().elect(false).await.map_err(|error| NudgeError::Stopped(fatal::explain_end(&error)))
    }

    /// Asks the most advanced other voter that answers to take over (Ongaro's thesis, § 3.10). Returns that voter.
    ///
    /// # Errors
    /// [`NudgeError`] if this replica does not lead, no other voter answers, or it has stopped.
    pub async fn step_down(&self) -> Result<NodeId, NudgeError> {
        let status = self.status();
        if status.role != Role::Leader {
            return Err(NudgeError::NotLeader);
        }
        let me = self.node();
        // The most advanced voter lacks least, so the group pauses least.
        let fit =
            |(node, _): &(&NodeId, &u64)| **node != me && status.voters.contains(node) && !status.silent.contains(node);
        let successor = status.matched.iter().filter(fit).max_by_key(|(_, matched)| **matched);
        let (successor, _) = successor.ok_or(NudgeError::NobodyElse)?;
        let asked = self.raft.trigger().transfer_leader(*successor).await;
        asked.map_err(|error| NudgeError::Stopped(fatal::explain_end(&error)))?;
        Ok(*successor)
    }
}
