//! The newest entries of a log, kept in memory: those that the store does not have yet, and some older ones.
//!
//! Comes in: entries as they are appended, and cuts. Goes out: entries, without a read of the store. An entry stays
//! until its append is written. Beyond a few megabytes, older written entries are dropped.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

use crate::consensus::types::LogEntry;

/// Bytes of entries that are kept in memory, about. More stay only while they are not written yet.
const TAIL_BYTES: usize = 4 << 20;
/// Up to this many entries a check sums their bytes.
const COUNTED_ENTRIES: usize = 64;

/// The entries at the end of a log.
///
/// Invariants, held by [`CachedTail::check`]:
/// - There is no gap between two entries.
/// - `bytes` is the sum of the entries' bytes.
#[derive(Default)]
pub struct CachedTail {
    entries: BTreeMap<u64, TailEntry>,
    bytes: usize,
}

/// One entry of the tail.
pub struct TailEntry {
    pub entry: LogEntry,
    /// Bytes that it takes in the store.
    pub bytes: usize,
    /// Number of the append that queued it. The entry must stay until that append is written.
    pub append: u64,
}

impl CachedTail {
    /// Adds an entry after the others, or replaces one.
    pub fn insert(&mut self, added: TailEntry) {
        self.bytes += added.bytes;
        if let Some(replaced) = self.entries.insert(added.entry.log_id.index, added) {
            self.bytes -= replaced.bytes;
        }
        debug_assert_eq!(self.check(), Ok(()));
    }

    /// Drops the entries of a range, which must be at one of the two ends.
    pub fn remove(&mut self, range: impl RangeBounds<u64>) {
        let indexes: Vec<_> = self.entries.range(range).map(|(index, _)| *index).collect();
        for index in indexes {
            self.bytes -= self.entries.remove(&index).map_or(0, |entry| entry.bytes);
        }
        debug_assert_eq!(self.check(), Ok(()));
    }

    /// Drops entries from the front until the rest is within its limit. An entry whose append is after `written`
    /// stays.
    pub fn trim(&mut self, written: u64) {
        while self.bytes > TAIL_BYTES
            && let Some(first) = self.entries.first_entry()
            && first.get().append <= written
        {
            self.bytes -= first.remove().bytes;
        }
        debug_assert_eq!(self.check(), Ok(()));
    }

    /// Returns the entries of a range, in order.
    pub fn range(&self, range: impl RangeBounds<u64>) -> impl Iterator<Item = &TailEntry> {
        self.entries.range(range).map(|(_, entry)| entry)
    }

    /// Returns the index of the first entry, if there is one.
    pub fn first_index(&self) -> Option<u64> {
        self.entries.first_key_value().map(|(first, _)| *first)
    }

    /// Returns the index of the last entry, if there is one.
    pub fn last_index(&self) -> Option<u64> {
        self.entries.last_key_value().map(|(last, _)| *last)
    }

    /// Says which invariant does not hold, if one does not. A long tail's bytes are not counted.
    pub fn check(&self) -> Result<(), String> {
        if let (Some(first), Some(last)) = (self.first_index(), self.last_index())
            && last - first + 1 != self.entries.len() as u64
        {
            return Err(format!("{} entries are kept of {first}..={last}", self.entries.len()));
        }
        let sum = || self.entries.values().map(|entry| entry.bytes).sum::<usize>();
        if self.entries.len() <= COUNTED_ENTRIES && sum() != self.bytes {
            return Err(format!("{} bytes are kept, and {} are counted", sum(), self.bytes));
        }
        Ok(())
    }
}
