//! What memory knows of one group's log: its ends, the vote, and the entries that are not in the store yet.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeBounds;

use crate::consensus::types::{LogEntry, LogId, Vote};

/// Bytes of entries kept in memory although they are on disk.
const TAIL_BYTES: usize = 4 << 20;

/// The truth about a log, of which the store may lag behind by what is queued.
#[derive(Default)]
pub struct KnownLog {
    pub vote: Option<Vote>,
    pub purged: Option<LogId>,
    pub last: Option<LogId>,
    /// What the state reflects, or is about to.
    pub applied: Option<LogId>,
    /// The last entry that is known to be committed.
    pub committed: Option<LogId>,
    /// Index of the first entry, where there is any.
    pub first: u64,
    /// The entries at the end of the log, without gaps.
    pub tail: BTreeMap<u64, TailEntry>,
    pub tail_bytes: usize,
    /// Number of the last append that was queued, and of the last that is durable.
    pub queued: u64,
    pub written: u64,
    /// How often entries were removed, by truncation or purge.
    pub cuts: u64,
    /// The appends between, by number, each with the index from which on its entries are not durable yet.
    pub pending: VecDeque<(u64, u64)>,
}

pub struct TailEntry {
    pub entry: LogEntry,
    pub bytes: usize,
    /// The append that queued it: until it is written the entry must stay.
    pub append: u64,
}

impl KnownLog {
    /// The last log id that must not be taken back.
    pub fn settled(&self) -> Option<LogId> {
        later(self.applied, self.committed)
    }

    /// Notes that the append of this number, and so all before it, is durable.
    pub fn complete(&mut self, append: u64) {
        self.written = append;
        while self.pending.front().is_some_and(|(pending, _)| *pending <= append) {
            self.pending.pop_front();
        }
        self.trim();
    }

    /// How many entries from the start of the log on are durable.
    pub fn durable(&self) -> u64 {
        self.pending.front().map_or(u64::MAX, |(_, from)| *from).min(after(self.last))
    }

    /// Forgets written entries from the front until the tail is within its limit.
    pub fn trim(&mut self) {
        while self.tail_bytes > TAIL_BYTES
            && let Some(first) = self.tail.first_entry()
            && first.get().append <= self.written
        {
            self.tail_bytes -= first.remove().bytes;
        }
    }

    pub fn drop_tail(&mut self, range: impl RangeBounds<u64>) {
        let indexes: Vec<_> = self.tail.range(range).map(|(index, _)| *index).collect();
        for index in indexes {
            self.tail_bytes -= self.tail.remove(&index).map_or(0, |entry| entry.bytes);
        }
    }
}

/// The index after `log_id`; openraft's first entry has index 0.
pub fn after(log_id: Option<LogId>) -> u64 {
    log_id.map_or(0, |log_id| log_id.index + 1)
}

/// The one with the greater index.
pub fn later(one: Option<LogId>, other: Option<LogId>) -> Option<LogId> {
    if after(one) < after(other) { other } else { one }
}
