//! The collections that were dropped, for good: a number is never given out twice, so a shard that has dropped one refuses
//! to make it again, however late it is told to.
//!
//! Kept as ranges of numbers, each a record. Dropped numbers lie between those that live, so once all drops are known
//! there is at most one range more than there are collections.

use std::collections::BTreeMap;
use std::sync::Arc;

/// First and last.
type Span = (u64, u64);

/// Ranges of dropped numbers: first to last, both included. A copy is cheap, until the next change.
///
/// Invariants, which [`Dropped::check`] holds after each change:
/// 1. No range ends before it begins.
/// 2. No two ranges overlap or touch: between them lies a number that was not dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::engine) struct Dropped {
    ranges: Arc<BTreeMap<u64, u64>>,
}

impl Dropped {
    /// Whether `number` was dropped.
    pub(in crate::engine) fn contains(&self, number: u64) -> bool {
        self.ranges.range(..=number).next_back().is_some_and(|(_, last)| number <= *last)
    }

    /// The ranges, in order.
    pub(in crate::engine) fn ranges(&self) -> impl Iterator<Item = (u64, u64)> {
        self.ranges.iter().map(|(first, last)| (*first, *last))
    }

    /// Adds all numbers from `first` to `last`. Returns the ranges that are gone with it, and the one that takes their
    /// place; `None` if all numbers were there already.
    pub(super) fn add(&mut self, first: u64, last: u64) -> Option<(Vec<Span>, Span)> {
        debug_assert!(first <= last, "{first} to {last} is no range");
        let before = self.ranges.range(..=first).next_back().map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, end)| last <= end) {
            return None;
        }
        // Those that overlap or touch what comes in.
        let touching = before.filter(|(_, end)| end.saturating_add(1) >= first);
        let (from, until) = (touching.map_or(first, |(start, _)| start), last.saturating_add(1));
        let merged: Vec<(u64, u64)> = self.ranges.range(from..=until).map(|(first, last)| (*first, *last)).collect();
        let end = merged.iter().map(|(_, end)| *end).max().unwrap_or(last).max(last);
        // Ranges that touch become one, so there are few of them however many collections are dropped.
        let ranges = Arc::make_mut(&mut self.ranges);
        for (start, _) in &merged {
            ranges.remove(start);
        }
        ranges.insert(from, end);
        debug_assert_eq!(self.check(), Ok(()));
        Some((merged, (from, end)))
    }

    /// Takes a stored range in, behind those taken before.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn restore(&mut self, first: u64, last: u64) -> Result<(), String> {
        let behind = self.ranges.last_key_value().is_none_or(|(_, end)| end.saturating_add(1) < first);
        if first > last || !behind {
            return Err("is no range of its own".to_owned());
        }
        Arc::make_mut(&mut self.ranges).insert(first, last);
        Ok(())
    }

    /// Says which invariant does not hold, if one does not.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some((first, last)) = self.ranges().find(|(first, last)| first > last) {
            return Err(format!("{first} to {last} is no range"));
        }
        match self.ranges().zip(self.ranges().skip(1)).find(|((_, last), (next, _))| last.saturating_add(1) >= *next) {
            Some(((_, last), (next, _))) => Err(format!("a range ends at {last}, and the next begins at {next}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_hold_what_was_added_and_never_touch(added in prop::collection::vec((0u64..60, 0u64..6), 0..30)) {
            let (mut dropped, mut model, mut records) = (Dropped::default(), BTreeSet::new(), BTreeMap::new());
            for (first, more) in added {
                model.extend(first..=first + more);
                if let Some((gone, (first, last))) = dropped.add(first, first + more) {
                    for (first, last) in gone {
                        prop_assert_eq!(records.remove(&first), Some(last));
                    }
                    records.insert(first, last);
                }
                prop_assert!((0..70).all(|number| dropped.contains(number) == model.contains(&number)));
                prop_assert_eq!(&records, &*dropped.ranges);
                let mut restored = Dropped::default();
                for (first, last) in dropped.ranges() {
                    prop_assert_eq!(restored.restore(first, last), Ok(()));
                }
                prop_assert_eq!(restored, dropped.clone());
            }
        }
    }

    #[test]
    fn the_last_number_of_all_is_a_number() {
        let mut dropped = Dropped::default();
        dropped.add(u64::MAX, u64::MAX);
        dropped.add(0, u64::MAX - 1);
        assert_eq!(dropped.ranges().collect::<Vec<_>>(), [(0, u64::MAX)]);
        assert_eq!(dropped.add(3, u64::MAX), None);
    }

    #[test]
    fn every_broken_invariant_is_found() {
        let broken = |ranges: &[Span]| Dropped { ranges: Arc::new(ranges.iter().copied().collect()) }.check();
        assert_eq!(broken(&[(1, 3), (5, 5), (7, u64::MAX)]), Ok(()));
        assert_eq!(broken(&[(1, 3), (5, 4)]), Err("5 to 4 is no range".to_owned()));
        assert_eq!(broken(&[(1, 3), (4, 6)]), Err("a range ends at 3, and the next begins at 4".to_owned()));
    }
}
