//! Indexes that are being built, a bounded step at a time beside the commands.
//!
//! Rows are taken in by number. What is written meanwhile changes the index where its row was taken in, and is met later
//! where it was not. No query looks at a field before it is complete.

use super::{PayloadIndexes, RowTerms};

/// Indexes that have the rows below a number. Invariant: they hold the terms of each live row below `next`, and of no other.
#[derive(Debug)]
pub(in crate::engine) struct Building {
    indexes: PayloadIndexes,
    next: u32,
}

impl Building {
    /// Begins with indexes that have no row yet; nothing where there are none.
    pub(in crate::engine) fn begin(indexes: PayloadIndexes) -> Option<Self> {
        (!indexes.is_empty()).then_some(Self { indexes, next: 0 })
    }

    /// The fields that are being built.
    pub(in crate::engine) fn indexes(&self) -> &PayloadIndexes {
        &self.indexes
    }

    /// The first row that was not taken in.
    pub(in crate::engine) fn next(&self) -> u32 {
        self.next
    }

    /// Takes in the rows up to `next`, of which these have points.
    pub(in crate::engine) fn take(&mut self, rows: Vec<(u32, RowTerms)>, next: u32) {
        debug_assert!(self.next <= next, "a step goes back from row {} to {next}", self.next);
        for (row, terms) in rows {
            debug_assert!(
                (self.next..next).contains(&row),
                "row {row} is not among those from {} to {next}",
                self.next
            );
            self.indexes.put(row, terms);
        }
        // From now on a write to one of these rows changes the indexes at once.
        self.next = next;
    }

    /// A point was stored at `row`, which had no point or one that was [removed](Self::remove).
    pub(in crate::engine) fn put(&mut self, row: u32, terms: RowTerms) {
        if row < self.next {
            self.indexes.put(row, terms);
        }
    }

    /// The point at `row` goes.
    pub(in crate::engine) fn remove(&mut self, row: u32, terms: &RowTerms) {
        if row < self.next {
            self.indexes.remove(row, terms);
        }
    }

    /// The indexes, where all `rows` are taken in.
    pub(in crate::engine) fn finished(self, rows: u32) -> Result<PayloadIndexes, Self> {
        if self.next >= rows { Ok(self.indexes) } else { Err(self) }
    }
}
