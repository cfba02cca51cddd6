//! How much sled has written since the last sync, which it does not say: estimated from the edits it was given.

use super::layout::Edit;

/// Most that may be written between two syncs, in bytes. sled writes a segment anew when all its pages are elsewhere and a
/// whole further segment, 512 KiB, has been written since (`SegmentAccountant::stabilize`); well below that, for it is
/// estimated, and the write that goes beyond it counts in whole.
const UNSYNCED_BYTES: f64 = 192.0 * 1024.0;
/// sled keeps up to 17 values in a page, and writes the page anew after every 10 edits of it.
const VALUES_REWRITTEN: f64 = 1.7;
/// Over how many values their mean size is taken, about.
const MEMORY: f64 = 256.0;

/// What was written since the last sync.
#[derive(Debug, Clone)]
pub struct Pace {
    unsynced: f64,
    /// Whether nothing was given since the last sync.
    is_synced: bool,
    /// Mean size of a value, in bytes.
    mean: f64,
}

impl Pace {
    /// Of a store whose values have `largest` bytes at most: so large they are taken to be at first.
    pub fn new(largest: usize) -> Self {
        Self { unsynced: 0.0, is_synced: false, mean: largest as f64 }
    }

    /// An edit was given to sled.
    pub fn given(&mut self, (_, value): &Edit) {
        self.is_synced = false;
        match value {
            Some(value) => self.inserted(value.len()),
            None => self.removed(),
        }
    }

    /// Whether so much may be written between two syncs.
    pub fn allows<'a>(&self, edits: impl Iterator<Item = &'a Edit>) -> bool {
        let mut pace = Self { unsynced: 0.0, ..*self };
        edits.for_each(|edit| pace.given(edit));
        !pace.is_used_up()
    }

    /// A value of so many bytes was given to sled.
    fn inserted(&mut self, bytes: usize) {
        self.mean += (bytes as f64 - self.mean) / MEMORY;
        self.unsynced += bytes as f64;
        self.removed();
    }

    /// A value was removed.
    fn removed(&mut self) {
        self.unsynced += VALUES_REWRITTEN * self.mean;
    }

    /// Everything is synced.
    pub fn synced(&mut self) {
        (self.unsynced, self.is_synced) = (0.0, true);
    }

    /// Whether a sync would find nothing to do. Not of a store that was just opened: sled may have written.
    pub fn is_synced(&self) -> bool {
        self.is_synced
    }

    /// Whether no more should be written before a sync.
    pub fn is_used_up(&self) -> bool {
        self.unsynced > UNSYNCED_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many edits go without a sync, once it is known what they are like.
    fn edits(bytes: usize) -> usize {
        let mut pace = Pace::new(4096);
        (0..10_000).for_each(|_| pace.inserted(bytes));
        pace.synced();
        let mut edits = 0;
        while !pace.is_used_up() {
            pace.inserted(bytes);
            edits += 1;
        }
        edits
    }

    #[test]
    fn only_what_was_given_needs_a_sync() {
        let mut pace = Pace::new(4096);
        assert!(!pace.is_synced(), "who knows what an opening wrote");
        pace.synced();
        assert!(pace.is_synced());
        for edit in [(vec![1], None), (vec![1], Some(Vec::new()))] {
            pace.given(&edit);
            assert!(!pace.is_synced());
            pace.synced();
        }
    }

    #[test]
    fn small_values_go_further_than_large_ones() {
        assert!((10..40).contains(&edits(4096)), "{}", edits(4096));
        assert!((400..1000).contains(&edits(100)), "{}", edits(100));
    }

    #[test]
    fn a_removal_costs_the_page_that_it_leaves() {
        let mut pace = Pace::new(4096);
        let removals = (0..).take_while(|_| {
            pace.removed();
            !pace.is_used_up()
        });
        assert!((20..60).contains(&removals.count()));
    }
}
