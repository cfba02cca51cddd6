//! Reads entries: the newest from memory, older ones from the store, without a gap.
//!
//! Comes in: a range, and how many bytes to return at most. Goes out: entries in order. A log may be cut while its
//! store is read. An error of that read then proves nothing, so it is repeated.

use std::io;
use std::ops::{Bound, ControlFlow, RangeBounds};

use super::GroupLog;
use super::known_log::next_index;
use super::log_store::StoredEntry;
use super::recover::missing_entry;
use crate::consensus::types::LogEntry;
use crate::mutants::{Mutant, is_planted};

impl GroupLog {
    /// Returns the last `last` entries, the newest first. Each is read when the iterator reaches it; entries that
    /// are gone by then are left out.
    pub fn newest_first(&self, last: u64) -> impl Iterator<Item = io::Result<LogEntry>> + '_ {
        let end = next_index(self.0.known.lock().last);
        let one = |index| self.read_range(index..=index, 1).map(|mut read| read.pop()).transpose();
        let start = end.saturating_sub(last);
        let turned = move |index| if is_planted(Mutant::ReadsOldestFirst) { start + (end - 1 - index) } else { index };
        (start..end).rev().map(turned).filter_map(one)
    }

    /// Returns the entries of a range that fit into `max_bytes`, at least one if the log has any of them.
    ///
    /// # Errors
    /// `InvalidData` if an entry is damaged or missing, or an I/O error of the store.
    pub fn read_range(&self, range: impl RangeBounds<u64> + Clone, max_bytes: usize) -> io::Result<Vec<LogEntry>> {
        loop {
            let cuts = self.0.known.lock().cuts;
            match self.read_once(range.clone(), max_bytes) {
                Err(_) if self.0.known.lock().cuts != cuts => {}
                outcome => return outcome,
            }
        }
    }

    /// Reads the entries of a range once. An error may come from a cut of the log meanwhile.
    fn read_once(&self, range: impl RangeBounds<u64>, max_bytes: usize) -> io::Result<Vec<LogEntry>> {
        // The part of the range that is in the log, and its entries in memory.
        let (from, to, tail) = {
            let known = self.0.known.lock();
            let from = match range.start_bound() {
                Bound::Included(start) => *start,
                Bound::Excluded(start) => start + 1,
                Bound::Unbounded => 0,
            };
            let to = match range.end_bound() {
                Bound::Included(end) => end + 1,
                Bound::Excluded(end) => *end,
                Bound::Unbounded => u64::MAX,
            };
            let from = from.max(known.first);
            let to = to.min(next_index(known.last));
            if from >= to {
                return Ok(Vec::new());
            }
            let mut budget = max_bytes;
            let in_tail = known.tail.range(from..to).take_while(|entry| spend_budget(&mut budget, entry.bytes));
            let tail: Vec<_> = in_tail.map(|entry| entry.entry.clone()).collect();
            let in_store_to = known.tail.first_index().map_or(to, |first| first.min(to));
            (from, in_store_to, tail)
        };
        // Entries before the tail are in the store.
        if from >= to {
            return Ok(tail);
        }
        let (mut entries, whole) = self.read_store(from, to, max_bytes)?;
        if whole {
            entries.extend(tail);
        }
        Ok(entries)
    }

    /// Returns the stored entries of `from..to` that fit into `max_bytes`, and whether these are all.
    fn read_store(&self, from: u64, to: u64, max_bytes: usize) -> io::Result<(Vec<LogEntry>, bool)> {
        // In order and without gaps, until the budget is spent or damage is found.
        let group = self.0.group;
        let (mut entries, mut damage, mut budget) = (Vec::new(), None, max_bytes);
        let mut visit = |stored: &StoredEntry<'_>| {
            if !spend_budget(&mut budget, stored.record.len()) {
                return ControlFlow::Break(());
            }
            match stored.unseal() {
                Ok(entry) if entry.log_id.index == from + entries.len() as u64 => {
                    entries.push(entry);
                    ControlFlow::Continue(())
                }
                Ok(_) => {
                    damage = Some(missing_entry(group, from + entries.len() as u64));
                    ControlFlow::Break(())
                }
                Err(error) => {
                    damage = Some(error);
                    ControlFlow::Break(())
                }
            }
        };
        self.0.store.scan(from..to, &mut visit)?;
        // Fewer entries than asked for are right only if the budget ended the scan.
        match damage {
            Some(error) => Err(error),
            None => {
                let whole = entries.len() as u64 == to - from;
                if !whole && budget == max_bytes {
                    return Err(missing_entry(group, from));
                }
                Ok((entries, whole))
            }
        }
    }
}

/// Takes `bytes` off the budget. Returns `true` if any budget was left, so a first take always succeeds.
fn spend_budget(budget: &mut usize, bytes: usize) -> bool {
    let within = *budget > 0;
    *budget = budget.saturating_sub(bytes);
    within
}
