//! How much sled has written since the last sync, which it does not say: estimated from the edits it was given.

use super::layout::Edit;

/// Most that may be written between two syncs, in bytes. sled writes a segment anew when all its pages are elsewhere and a
/// whole further segment, 512 KiB, has been written since (`SegmentAccountant::stabilize`); below that, for it is estimated.
const UNSYNCED_BYTES: f64 = 384.0 * 1024.0;
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

    /// What it would be had these edits been given to sled as well.
    pub fn after<'a>(&self, edits: impl IntoIterator<Item = &'a Edit>) -> Self {
        let mut pace = self.clone();
        edits.into_iter().for_each(|edit| pace.give(edit));
        pace
    }

    /// What it is once everything is synced.
    pub fn synced(&self) -> Self {
        Self { unsynced: 0.0, is_synced: true, ..*self }
    }

    /// An edit is given to sled.
    pub fn give(&mut self, (_, value): &Edit) {
        self.is_synced = false;
        match value {
            Some(value) => self.inserted(value.len()),
            None => self.removed(),
        }
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

    /// Whether a sync would find nothing to do. Not of a store that was just opened: sled may have written.
    pub fn is_synced(&self) -> bool {
        self.is_synced
    }

    /// Whether more was written than may be between two syncs.
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
        pace = pace.synced();
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
        pace = pace.synced();
        assert!(pace.is_synced());
        for edit in [(vec![1], None), (vec![1], Some(Vec::new()))] {
            assert!(!pace.after([&edit]).is_synced());
            assert!(pace.is_synced(), "it is not given yet");
        }
    }

    #[test]
    fn small_values_go_further_than_large_ones() {
        assert!((20..80).contains(&edits(4096)), "{}", edits(4096));
        assert!((800..2000).contains(&edits(100)), "{}", edits(100));
    }

    #[test]
    fn a_removal_costs_the_page_that_it_leaves() {
        let mut pace = Pace::new(4096);
        let removals = (0..).take_while(|_| {
            pace.removed();
            !pace.is_used_up()
        });
        assert!((40..120).contains(&removals.count()));
    }
}
