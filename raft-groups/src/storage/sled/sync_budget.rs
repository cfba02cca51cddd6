//! Estimates how much sled has written since the last sync. sled does not say, so the edits are counted.
//!
//! Comes in: the edits that sled gets. Goes out: whether it may get another one before a sync. The numbers are
//! measured on sled 0.34.7. Too high an estimate costs syncs. Too low an estimate can cost the files at a power
//! loss.

use super::layout::{Edit, PART_BYTES, is_part};
use crate::mutants::{Mutant, is_planted};

/// Bytes, at most, that may be written between two syncs. sled reuses a segment when all its pages are elsewhere and
/// a whole further segment, 512 KiB, has been written since (`SegmentAccountant::stabilize`). The limit is lower,
/// because the bytes are an estimate.
const UNSYNCED_BYTES: f64 = 384.0 * 1024.0;
/// Values that one edit makes sled rewrite, on average. sled keeps up to 17 values in a page. It rewrites the page
/// after every 10 edits of it, when a new value splits it, and when a removed one lets it merge.
const VALUES_REWRITTEN: f64 = 1.9;
/// Bytes of an edit beside its key and value: the head of its message, and its share of the parent page. That page,
/// of up to 256 keys, is rewritten at each split and merge.
const EDIT_BYTES: usize = 300;
/// After about this many small values, the size of earlier larger ones no longer counts.
const MEMORY: f64 = 4096.0;

// The largest edit must leave room for another one before a sync is due.
const _: () = assert!(((EDIT_BYTES + PART_BYTES) as f64 + VALUES_REWRITTEN * PART_BYTES as f64) * 2.0 < UNSYNCED_BYTES);

/// The estimate of what was written since the last sync.
#[derive(Debug, Clone)]
pub struct SyncBudget {
    unsynced: f64,
    /// `true` if sled got no edit since the last sync.
    is_synced: bool,
    /// Assumed size, in bytes, of the values in the page of an edit. A large value raises it at once; small values
    /// lower it slowly.
    beside: f64,
}

impl SyncBudget {
    /// Makes the budget of a store that was just opened. Values are assumed to have `largest` bytes at first, the
    /// maximum.
    pub fn new(largest: usize) -> Self {
        Self { unsynced: 0.0, is_synced: false, beside: largest as f64 }
    }

    /// Returns what the budget would be after these edits as well.
    pub fn after<'a>(&self, edits: impl IntoIterator<Item = &'a Edit>) -> Self {
        let mut budget = self.clone();
        edits.into_iter().for_each(|edit| budget.spend(edit));
        budget
    }

    /// Returns what the budget is once everything is synced.
    pub fn renewed(&self) -> Self {
        Self { unsynced: 0.0, is_synced: true, ..*self }
    }

    /// Counts an edit that sled gets.
    pub fn spend(&mut self, (key, value): &Edit) {
        self.is_synced = false;
        let bytes = value.as_ref().map_or(0, Vec::len);
        if value.is_some() {
            self.beside = (bytes as f64).max(self.beside + (bytes as f64 - self.beside) / MEMORY);
        }
        // The page of a part holds parts, and all parts of a value but the last have the largest size.
        let is_part = is_part(key) && !is_planted(Mutant::ForgetsParts);
        let beside = if is_part { PART_BYTES as f64 } else { self.beside };
        let written_beside = match is_planted(Mutant::CountsEditsAlone) {
            true => 0.0,
            false => EDIT_BYTES as f64 + VALUES_REWRITTEN * beside,
        };
        let before = self.unsynced;
        self.unsynced += (key.len() + bytes) as f64 + written_beside;
        debug_assert!(self.unsynced > before, "an edit that costs nothing, so that a sync may never come");
    }

    /// Returns `true` if a sync has nothing to do. It is `false` for a store that was just opened: sled may have
    /// written.
    pub fn is_synced(&self) -> bool {
        self.is_synced
    }

    /// Returns `true` if more was written than is allowed between two syncs.
    pub fn is_used_up(&self) -> bool {
        self.unsynced > UNSYNCED_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::part_key;
    use super::*;
    use crate::mutants::plant;

    fn edit(bytes: Option<usize>) -> Edit {
        (vec![0; 20], bytes.map(|bytes| vec![7; bytes]))
    }

    /// Returns how many such edits are made before a sync is due.
    fn edits(mut budget: SyncBudget, edit: &Edit) -> usize {
        budget = budget.renewed();
        let mut edits = 0;
        while !budget.is_used_up() {
            budget.spend(edit);
            edits += 1;
        }
        edits
    }

    /// Returns the budget after many values of `bytes` bytes.
    fn after_many(bytes: usize) -> SyncBudget {
        let mut budget = SyncBudget::new(PART_BYTES);
        (0..40_000).for_each(|_| budget.spend(&edit(Some(bytes))));
        budget
    }

    #[test]
    fn only_what_was_given_needs_a_sync() {
        let mut budget = SyncBudget::new(4096);
        assert!(!budget.is_synced(), "who knows what an opening wrote");
        budget = budget.renewed();
        assert!(budget.is_synced());
        for edit in [(vec![1], None), (vec![1], Some(Vec::new()))] {
            assert!(!budget.after([&edit]).is_synced());
            assert!(budget.is_synced(), "it is not given yet");
        }
    }

    /// For a new value sled 0.34.7 writes the value itself, about 2 values beside it, and about 280 bytes of heads,
    /// keys and parents. The end of a segment of 512 KiB stays empty if a page of 17 values does not fit.
    #[test]
    fn whatever_the_size_less_than_a_segment_is_written_between_two_syncs() {
        let fits = |bytes: usize| {
            let written = edits(after_many(bytes), &edit(Some(bytes))) * (29 * bytes / 10 + 280);
            ((256 << 10)..(512 << 10) - 17 * bytes).contains(&written)
        };
        for bytes in [1, 30, 100, 300, 500, 1_500, PART_BYTES] {
            assert!(fits(bytes), "{bytes}");
            let _planted = plant(Mutant::CountsEditsAlone);
            assert!(!fits(bytes), "{bytes}: the bug is not planted");
        }
    }

    #[test]
    fn a_removal_costs_the_page_that_it_leaves() {
        let removals = edits(after_many(PART_BYTES), &edit(None));
        assert!((40..60).contains(&removals), "{removals}");
    }

    /// A removed value, and the values beside it, may be older and larger than all recent ones.
    #[test]
    fn large_values_are_not_forgotten_while_a_few_small_ones_come() {
        let mut budget = after_many(PART_BYTES);
        (0..1_000).for_each(|_| budget.spend(&edit(Some(100))));
        assert!(edits(budget.clone(), &edit(None)) < 80);
        let part = (part_key(b"key", 3), None);
        assert!(edits(after_many(100), &part) < 60, "parts are large whatever else is there");
        let _planted = plant(Mutant::ForgetsParts);
        assert!(edits(after_many(100), &part) > 500, "the bug is not planted");
    }
}
