//! What memory knows of one group's log: its ends, its vote, how far it is applied or committed, and which appends
//! are durable.
//!
//! Comes in: what consensus does to the log, under the log's lock, before the store gets it. Goes out: the current
//! log. The store lags behind it by what is queued. This file is pure: it knows no store, no clock and no task.

use std::collections::VecDeque;
use std::ops::Range;

use super::cached_tail::{CachedTail, TailEntry};
use crate::consensus::types::{LogEntry, LogId, Vote};
use crate::mutants::{Mutant, is_planted};

/// The current log of one group.
///
/// ```text
///      purged        applied       committed            last
/// ───────┤ first ──────┼──────────────┼───────────────────┤      indexes
///                            └─ tail: the newest ─────────┘
///                                        └─ pending ──────┘      not durable yet
/// ```
/// Invariants, held by [`KnownLog::check`] after each change:
/// - `purged ≤ last`: what is purged was in the log, or in a snapshot that replaced it.
/// - If the log is empty, `last = purged`. Else `purged < first ≤ last`.
/// - `purged ≤ applied`, if it is known what is applied: only entries that the state reflects may be purged.
/// - `committed ≤ last`: no committed entry is cut off.
/// - If the tail is not empty, it ends with `last` and begins at `first` or later.
/// - Appends are numbered from 1; `written < ` the first pending `≤ queued`, which is the last pending.
/// - No pending append begins after the end of the log, so all that counts as durable is in the log.
#[derive(Default)]
pub struct KnownLog {
    /// The vote, which is durable.
    pub vote: Option<Vote>,
    /// The last entry that was removed at the start of the log.
    pub purged: Option<LogId>,
    /// The last entry, or the last purged one.
    pub last: Option<LogId>,
    /// The last entry that the state reflects, or is about to.
    pub applied: Option<LogId>,
    /// The last entry that is known to be committed.
    pub committed: Option<LogId>,
    /// Index of the first entry, if there is one.
    pub first: u64,
    /// The newest entries, in memory.
    pub tail: CachedTail,
    /// How often entries were removed, by truncation or purge. A reader of the store sees by it that the log
    /// changed.
    pub cuts: u64,
    /// The number of the last append that was queued, and of the last one that is durable.
    queued: u64,
    written: u64,
    /// The appends in between, in order. Each has its number, and an index: from there on nothing is durable before
    /// this append is.
    pending: VecDeque<(u64, u64)>,
}

impl KnownLog {
    /// Returns what is known of a log that was just read from its store.
    pub fn of_stored(
        vote: Option<Vote>,
        purged: Option<LogId>,
        last: Option<LogId>,
        committed: Option<LogId>,
    ) -> KnownLog {
        let known =
            Self { vote, purged, last: last.or(purged), committed, first: next_index(purged), ..Self::default() };
        debug_assert_eq!(known.check(), Ok(()));
        known
    }

    /// Adds entries after the last one, each with the bytes that it takes in the store. Returns the append's number,
    /// for [`KnownLog::complete`].
    pub fn append(&mut self, entries: Vec<(LogEntry, usize)>) -> u64 {
        self.queued += 1;
        self.pending.push_back((self.queued, next_index(self.last)));
        for (entry, bytes) in entries {
            let index = entry.log_id.index;
            // After a hole the next opening would find damage, and the acknowledged entries behind it would be lost.
            assert!(self.is_empty() || index == next_index(self.last), "entry {index} leaves a hole in the log");
            if self.is_empty() {
                self.first = index;
            }
            self.last = Some(entry.log_id);
            self.tail.insert(TailEntry { entry, bytes, append: self.queued });
        }
        debug_assert_eq!(self.check(), Ok(()));
        self.queued
    }

    /// Notes that this append, and all before it, are durable.
    pub fn complete(&mut self, append: u64) {
        // Not asserted in a release: a panic would end the thread that syncs for all groups.
        debug_assert!(self.written < append && append <= self.queued, "append {append} ends out of its turn");
        self.written = append;
        while self.pending.front().is_some_and(|(pending, _)| *pending <= append) {
            self.pending.pop_front();
        }
        self.tail.trim(self.written);
        debug_assert_eq!(self.check(), Ok(()));
    }

    /// Removes the entries after `last`. Returns their indexes.
    pub fn truncate_after(&mut self, last: Option<LogId>) -> Range<u64> {
        let (first_removed, end) = (next_index(last), next_index(self.last));
        self.tail.remove(first_removed..);
        // An entry that takes the place of a removed one is durable with its own append, not with an earlier one.
        for (_, from) in &mut self.pending {
            *from = first_removed.min(*from);
        }
        if end > first_removed {
            self.last = last.max(self.purged);
        }
        self.cuts += 1;
        debug_assert_eq!(self.check(), Ok(()));
        first_removed.max(self.first)..end
    }

    /// Removes the entries up to `upto`. Returns their indexes, or `None` if they are gone already.
    pub fn purge(&mut self, upto: LogId) -> Option<Range<u64>> {
        if Some(upto) <= self.purged {
            return None;
        }
        let (from, end) = (self.first, next_index(self.last));
        self.purged = Some(upto);
        self.first = upto.index + 1;
        // Compared by index: if a snapshot goes beyond the log, the log is empty, whatever the term of its last
        // entry.
        if end <= self.first {
            self.last = Some(upto);
        }
        self.tail.remove(..=upto.index);
        self.cuts += 1;
        debug_assert_eq!(self.check(), Ok(()));
        Some(from..end.min(self.first))
    }

    /// Notes that the state is as of `applied`. No entry up to there may change from now on.
    pub fn note_applied(&mut self, applied: Option<LogId>) {
        self.applied = later(self.applied, applied);
        debug_assert_eq!(self.check(), Ok(()));
    }

    /// Notes that `committed` is committed. It has no effect if the log ends before it.
    pub fn note_committed(&mut self, committed: LogId) {
        if self.last.is_some_and(|last| committed.index <= last.index) {
            self.committed = later(self.committed, Some(committed));
        }
        debug_assert_eq!(self.check(), Ok(()));
    }

    /// Returns the index after the last durable entry. A purged entry counts as durable.
    pub fn durable(&self) -> u64 {
        self.pending.front().map_or(u64::MAX, |(_, from)| *from).min(next_index(self.last))
    }

    /// Returns the last log id that must not change any more.
    pub fn settled(&self) -> Option<LogId> {
        later(self.applied, self.committed)
    }

    /// Returns `true` if there is no entry. There may be purged ones.
    fn is_empty(&self) -> bool {
        self.last == self.purged
    }

    /// Says which invariant does not hold, if one does not.
    pub fn check(&self) -> Result<(), String> {
        let (purged, end) = (next_index(self.purged), next_index(self.last));
        // With this bug planted, the checks of the simulation must find the cut, not this one.
        let may_be_cut = is_planted(Mutant::CutsApplied);
        let oldest = self.pending.front();
        let rules = [
            (purged <= end, "the log was purged beyond its end"),
            (self.is_empty() || purged <= self.first && self.first < end, "its first entry is outside of it"),
            (self.applied.is_none() || purged <= next_index(self.applied), "it was purged beyond its state"),
            (next_index(self.committed) <= end || may_be_cut, "it ends before what is committed"),
            (self.tail.last_index().is_none_or(|last| last + 1 == end), "its tail ends elsewhere"),
            (self.tail.first_index().is_none_or(|first| self.first <= first), "its tail begins before it"),
            (oldest.is_none_or(|(append, _)| self.written < *append), "an append is pending that is durable"),
            (self.pending.back().is_none_or(|(append, _)| *append == self.queued), "a queued append is not pending"),
            (oldest.is_none_or(|(_, from)| *from <= end), "an append begins behind the end"),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            None => Ok(()),
            Some((_, broken)) => Err(format!(
                "{broken}: purged {:?}, first {}, applied {:?}, committed {:?}, last {:?}, {} of {} appends durable",
                self.purged, self.first, self.applied, self.committed, self.last, self.written, self.queued
            )),
        }
    }
}

/// Returns the index after `log_id`; 0 for `None`, because openraft's first entry has index 0.
pub fn next_index(log_id: Option<LogId>) -> u64 {
    log_id.map_or(0, |log_id| log_id.index + 1)
}

/// Returns the log id with the greater index, or `one` if they are equal.
pub fn later(one: Option<LogId>, other: Option<LogId>) -> Option<LogId> {
    if next_index(one) < next_index(other) { other } else { one }
}

#[cfg(test)]
mod tests {
    use openraft::EntryPayload;

    use super::*;

    fn id(term: u64, index: u64) -> LogId {
        LogId::new_term_index(term, index)
    }

    fn entries(term: u64, indexes: Range<u64>) -> Vec<(LogEntry, usize)> {
        indexes.map(|index| (LogEntry { log_id: id(term, index), payload: EntryPayload::Blank }, 10)).collect()
    }

    #[test]
    fn what_is_appended_is_durable_once_all_before_it_is() {
        let mut known = KnownLog::default();
        let (first, second) = (known.append(entries(1, 0..3)), known.append(entries(1, 3..5)));
        assert_eq!(known.durable(), 0);
        known.complete(first);
        assert_eq!(known.durable(), 3);
        // An entry that was cut off and appended again is durable with its own append alone.
        assert_eq!(known.truncate_after(Some(id(1, 1))), 2..5);
        let third = known.append(entries(2, 2..3));
        known.complete(second);
        assert_eq!(known.durable(), 2);
        known.complete(third);
        assert_eq!(known.durable(), 3);
    }

    #[test]
    fn a_log_that_a_snapshot_goes_beyond_is_empty_whatever_its_last_term_was() {
        let mut known = KnownLog::default();
        known.append(entries(9, 0..50));
        assert_eq!(known.purge(id(8, 100)), Some(0..50));
        assert_eq!((known.last, known.first), (Some(id(8, 100)), 101));
        assert_eq!(known.purge(id(8, 100)), None, "they are gone");
        known.append(entries(10, 101..102));
        assert_eq!(known.last, Some(id(10, 101)));
    }

    #[test]
    #[should_panic(expected = "leaves a hole")]
    fn an_entry_that_does_not_follow_the_last_one_is_refused() {
        let mut known = KnownLog::default();
        known.append(entries(1, 0..3));
        known.append(entries(1, 4..5));
    }

    #[test]
    fn a_log_that_ends_before_what_is_committed_is_found() {
        let mut known = KnownLog::default();
        known.append(entries(1, 0..3));
        known.committed = Some(id(1, 7));
        assert!(known.check().is_err_and(|broken| broken.starts_with("it ends before what is committed")));
    }
}
