//! The log as openraft wants it: appends, votes, cuts and purges.
//!
//! Comes in: what consensus decided. Goes out: at once what a reader sees, and through a callback what is durable.
//! Each change is made in memory first, under the log's lock, and queued for the store in the same order. An append
//! that fails is answered as failed, and so is all that comes after it.

use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;

use openraft::EntryPayload;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};

use super::GroupLog;
use super::cached_tail::{TailEntry, after};
use crate::consensus::types::{LogEntry, LogId, RaftTypes, Vote};
use crate::events::EventKind;
use crate::format::Formed as _;
use crate::mutants::{Mutant, is_planted};
use crate::storage::keys::LogKey;
use crate::storage::record::put;
use crate::storage::store::{EDIT_WEIGHT, WriteBatch};
use crate::storage::syncer::WRITE_WEIGHT;

/// Bytes of entries in one replication message, about; at least one entry is always sent.
const MESSAGE_BYTES: usize = 4 << 20;
/// Entries purged in one batch.
const PURGE_ENTRIES: u64 = 64;

/// The membership that an entry brings, where it brings one.
fn membership(entry: &LogEntry) -> Option<EventKind> {
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

    /// Less than was committed, and enough that openraft never takes for uncommitted what a later membership shows to
    /// be.
    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.0.committed)
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let mut batch = WriteBatch::default();
        put(&mut batch, self.0.group, LogKey::Vote, &vote.form());
        self.0.syncer.carry_out(batch, true).await?;
        self.0.known.lock().vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<RaftTypes>) -> io::Result<()>
    where
        I: IntoIterator<Item = LogEntry> + Send,
        I::IntoIter: Send,
    {
        // Entries are written in order, so that a part of them may be there after a crash: nothing is promised of it.
        let (mut batch, mut full, mut gathered) = (WriteBatch::default(), Vec::new(), 0);
        let (mut told, mut members): (Option<(u64, u64, u64)>, Vec<EventKind>) = (None, Vec::new());
        let append = {
            let mut known = self.0.known.lock();
            known.queued += 1;
            let append = known.queued;
            let from = after(known.last);
            known.pending.push_back((append, from));
            for entry in entries {
                let index = entry.log_id.index;
                if known.last == known.purged {
                    known.first = index;
                }
                told = Some((told.map_or(index, |(first, _, _)| first), index, entry.log_id.leader_id.term));
                members.extend(membership(&entry));
                if gathered > WRITE_WEIGHT {
                    full.push(std::mem::take(&mut batch));
                    gathered = 0;
                }
                let bytes = put(&mut batch, self.0.group, LogKey::Entry(index), &entry.form());
                gathered += bytes + EDIT_WEIGHT;
                known.last = Some(entry.log_id);
                known.tail_bytes += bytes;
                if let Some(replaced) = known.tail.insert(index, TailEntry { entry, bytes, append }) {
                    known.tail_bytes -= replaced.bytes;
                }
            }
            append
        };
        if let Some((first, last, entry_term)) = told {
            self.tell(|| EventKind::Appended { first, last, entry_term });
        }
        for change in members {
            self.tell(|| change);
        }
        let inner = self.0.clone();
        let mut callback = Some(callback);
        if is_planted(Mutant::AcksTooEarly) {
            callback.take().into_iter().for_each(|callback| callback.io_completed(Ok(())));
        }
        for batch in full {
            // Should it fail, so does what comes after it.
            self.0.syncer.submit(batch, false, drop);
        }
        self.0.syncer.submit(batch, true, move |result| {
            {
                let mut known = inner.known.lock();
                if result.is_ok() {
                    known.complete(append);
                }
                inner.durable.send_replace(result.is_ok().then(|| known.durable()));
            }
            if let Some(callback) = callback {
                callback.io_completed(result);
            }
        });
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let wrong = self.wrong_cut(last, &self.0.known.lock());
        if let Some(found) = wrong {
            return Err(self.note_damage(found).await);
        }
        let mut batch = WriteBatch::default();
        {
            let mut known = self.0.known.lock();
            let first_removed = after(last);
            let end = after(known.last);
            for index in first_removed.max(known.first)..end {
                batch.delete(LogKey::Entry(index).for_group(self.0.group));
            }
            known.drop_tail(first_removed..);
            for (_, from) in &mut known.pending {
                *from = first_removed.min(*from);
            }
            if end > first_removed {
                known.last = last.max(known.purged);
            }
            known.cuts += 1;
            self.0.durable.send_replace(Some(known.durable()));
        }
        self.tell(|| EventKind::Truncated { from: after(last) });
        // Not awaited: the queue keeps it before the next append, whose durability covers it.
        self.0.syncer.submit(batch, false, drop);
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let (from, to) = {
            let mut known = self.0.known.lock();
            if Some(upto) <= known.purged {
                return Ok(());
            }
            let (from, end) = (known.first, after(known.last));
            known.purged = Some(upto);
            known.first = upto.index + 1;
            known.last = known.last.max(Some(upto));
            known.drop_tail(..=upto.index);
            known.cuts += 1;
            self.0.durable.send_replace(Some(known.durable()));
            (from, end.min(upto.index + 1))
        };
        self.tell(|| EventKind::Purged { upto: upto.index });
        let mut first = WriteBatch::default();
        put(&mut first, self.0.group, LogKey::Purged, &upto.form());
        self.0.syncer.submit(first, false, drop);
        for start in (from..to).step_by(PURGE_ENTRIES as usize) {
            let mut batch = WriteBatch::default();
            for index in start..to.min(start + PURGE_ENTRIES) {
                batch.delete(LogKey::Entry(index).for_group(self.0.group));
            }
            self.0.syncer.submit(batch, false, drop);
        }
        Ok(())
    }
}
