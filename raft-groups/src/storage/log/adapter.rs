//! The log as openraft's `RaftLogStorage`: appends, votes, cuts and purges.
//!
//! Comes in: what consensus decided. Goes out: entries that a reader sees at once, and a callback once they are
//! durable. Each change is made in memory first, under the log's lock, and then queued for the store, in the same
//! order. If an append fails, its callback and all later ones fail.

use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;

use openraft::EntryPayload;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};

use super::GroupLog;
use super::known_log::next_index;
use super::log_store::SealedEntry;
use crate::consensus::types::{LogEntry, LogId, RaftTypes, Vote};
use crate::events::EventKind;
use crate::mutants::{Mutant, is_planted};

/// Bytes of entries in one replication message, about. At least one entry is always sent.
const MESSAGE_BYTES: usize = 4 << 20;

/// Returns the event of the membership in `entry`, if it has one.
fn membership_event(entry: &LogEntry) -> Option<EventKind> {
    let EntryPayload::Membership(members) = &entry.payload else { return None };
    let (voters, learners) = (members.voter_ids().collect(), members.learner_ids().collect());
    Some(EventKind::Membership {
        voters,
        learners,
        joint: members.get_joint_config().len() > 1,
        index: entry.log_id.index,
    })
}

impl RaftLogReader<RaftTypes> for GroupLog {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<LogEntry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        self.read_range(range, usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<LogEntry>> {
        self.read_range(start..end, MESSAGE_BYTES)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.0.known.lock().vote)
    }
}

impl RaftLogStorage<RaftTypes> for GroupLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<RaftTypes>> {
        let known = self.0.known.lock();
        Ok(LogState { last_purged_log_id: known.purged, last_log_id: known.last })
    }

    /// Returns a log id that is certainly committed, perhaps not the last. It is enough for openraft: all
    /// memberships up to it count as committed, as the next membership in the log shows.
    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.0.committed)
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        // Durable before openraft answers with it (Raft, figure 2: persistent state): after a crash this vote still
        // counts.
        self.0.store.save_vote(vote).await?;
        self.0.known.lock().vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<RaftTypes>) -> io::Result<()>
    where
        I: IntoIterator<Item = LogEntry> + Send,
        I::IntoIter: Send,
    {
        // The records to store, and the events to tell.
        let (mut sealed, mut taken, mut members) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            let stored = SealedEntry::seal(self.0.group, &entry);
            members.extend(membership_event(&entry));
            taken.push((entry, stored.record.len()));
            sealed.push(stored);
        }
        let ends = taken.first().zip(taken.last()).map(|((first, _), (last, _))| (first.log_id, last.log_id));
        // In memory first: openraft requires that an entry is readable when this returns.
        let append = self.0.known.lock().append(taken);
        if let Some((first, last)) = ends {
            let (first, last, entry_term) = (first.index, last.index, last.leader_id.term);
            self.tell(|| EventKind::Appended { first, last, entry_term });
        }
        for change in members {
            self.tell(|| change);
        }
        // Then on disk. Only the callback counts as this replica's acknowledgement.
        let mut callback = Some(callback);
        if is_planted(Mutant::AcksTooEarly) {
            callback.take().into_iter().for_each(|callback| callback.io_completed(Ok(())));
        }
        let shared = self.0.clone();
        let done = move |result: io::Result<()>| {
            shared.note_append_ended(append, result.is_ok());
            if let Some(callback) = callback {
                callback.io_completed(result);
            }
        };
        self.0.store.append(sealed, Box::new(done));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let wrong = self.wrong_cut(last, &self.0.known.lock());
        if let Some(found) = wrong {
            return Err(self.note_damage(found).await);
        }
        let removed = {
            let mut known = self.0.known.lock();
            let removed = known.truncate_after(last);
            self.0.durable.send_replace(Some(known.durable()));
            removed
        };
        // Queued and not awaited: the next append makes the cut durable, and nothing new is acknowledged before that.
        self.tell(|| EventKind::Truncated { from: next_index(last) });
        self.0.store.cut(removed);
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let removed = {
            let mut known = self.0.known.lock();
            let Some(removed) = known.purge(upto) else { return Ok(()) };
            self.0.durable.send_replace(Some(known.durable()));
            removed
        };
        // Not awaited: a crash may undo all or a part of it, which costs only space.
        self.tell(|| EventKind::Purged { upto: upto.index });
        self.0.store.purge(upto, removed);
        Ok(())
    }
}
