//! Rows of one id are written in the order of the input, so that the last one stays. That holds for any size of batch
//! and any number of requests under way. Pure, except for the waiting.

use crate::api::PointId;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use tokio::sync::Notify;

/// Most ids and runs of numbers that are remembered, to tell which ids come again.
const MAX_REMEMBERED: usize = 4 << 20;

/// Counts the ids that come more than once. Consecutive numbers cost no memory, because they form one run.
pub struct Repeats {
    /// Most ids and runs that are remembered.
    limit: usize,
    /// `true` once there were more than that. Some ids may have come again unseen.
    pub misses_some: bool,
    /// Runs of numbers that have come: the first of each, and its last.
    runs: BTreeMap<u64, u64>,
    /// Ids that are no numbers and have come.
    others: HashSet<PointId>,
    /// Ids that have been counted as coming again.
    again: HashSet<PointId>,
}

impl Default for Repeats {
    fn default() -> Self {
        let (runs, others, again) = (BTreeMap::new(), HashSet::new(), HashSet::new());
        Self { limit: MAX_REMEMBERED, misses_some: false, runs, others, again }
    }
}

impl Repeats {
    /// Notes an id. Returns `true` if it comes for the second time, as far as is remembered: each id counts once.
    pub fn comes_again(&mut self, id: PointId) -> bool {
        let is_full = self.runs.len() + self.others.len() + self.again.len() >= self.limit;
        self.misses_some |= is_full;
        let is_new = match id {
            PointId::Num(number) => self.number_is_new(number, is_full),
            other if is_full => !self.others.contains(&other),
            other => self.others.insert(other),
        };
        !is_new && !is_full && self.again.insert(id)
    }

    /// Notes a number. Returns `true` if no run holds it. When memory is full, it only extends runs.
    fn number_is_new(&mut self, number: u64, is_full: bool) -> bool {
        let before = self.runs.range(..=number).next_back().map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| number <= last) {
            return false;
        }
        // The number extends the run before it, or begins a run of its own, and joins the run after it.
        let first = match before {
            Some((first, last)) if last + 1 == number => first,
            _ if is_full => return true,
            _ => number,
        };
        let after = number.checked_add(1).and_then(|next| self.runs.remove(&next));
        self.runs.insert(first, after.unwrap_or(number));
        true
    }
}

/// The batches under way, each with its ids. Clones share them.
#[derive(Clone, Default)]
pub struct Turns(Arc<Under>);

#[derive(Default)]
struct Under {
    way: Mutex<BTreeMap<u64, HashSet<PointId>>>,
    one_ended: Notify,
}

/// The place of a batch among those under way, until it is dropped.
pub struct Turn {
    turns: Turns,
    batch: u64,
    /// Earlier batches that hold one of its ids.
    after: Vec<u64>,
}

impl Turns {
    /// Takes a place for a batch. Call it in the order of the batches' numbers.
    pub fn take(&self, batch: u64, ids: impl Iterator<Item = PointId>) -> Turn {
        let ids: HashSet<PointId> = ids.collect();
        let mut way = self.0.way.lock();
        let shares = |other: &HashSet<PointId>| !other.is_disjoint(&ids);
        let after = way.iter().filter(|(_, other)| shares(other)).map(|(number, _)| *number).collect();
        way.insert(batch, ids);
        Turn { turns: self.clone(), batch, after }
    }
}

impl Turn {
    /// Waits until every earlier batch that holds one of its ids has ended.
    pub async fn comes(&self) {
        loop {
            // The signal is armed before the look, so a batch that ends in between is not missed.
            let one_ended = self.turns.0.one_ended.notified();
            let mut one_ended = std::pin::pin!(one_ended);
            one_ended.as_mut().enable();
            if !self.after.iter().any(|before| self.turns.0.way.lock().contains_key(before)) {
                return;
            }
            one_ended.await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.0.way.lock().remove(&self.batch);
        self.turns.0.one_ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_that_come_again_are_counted_once(ids in prop::collection::vec(0u64..40, 0..80)) {
            let mut repeats = Repeats::default();
            let counted = ids.iter().filter(|id| repeats.comes_again(PointId::Num(**id))).count();
            let again = (0..40).filter(|id| ids.iter().filter(|other| *other == id).count() > 1).count();
            prop_assert_eq!(counted, again);
            let distinct: HashSet<&u64> = ids.iter().collect();
            let held: u64 = repeats.runs.iter().map(|(first, last)| last - first + 1).sum();
            prop_assert_eq!(held, distinct.len() as u64);
        }
    }

    #[test]
    fn beyond_what_is_remembered_it_is_said_that_some_are_missed() {
        let mut repeats = Repeats { limit: 3, ..Repeats::default() };
        let counted = [1, 3, 3, 5, 5, 1].into_iter().filter(|id| repeats.comes_again(PointId::Num(*id))).count();
        assert_eq!((counted, repeats.misses_some), (1, true));
        let mut in_a_row = Repeats { limit: 3, ..Repeats::default() };
        assert!((0..100).all(|id| !in_a_row.comes_again(PointId::Num(id))) && !in_a_row.misses_some);
    }

    #[tokio::test]
    async fn a_batch_waits_for_those_before_it_that_share_an_id() {
        let turns = Turns::default();
        let take = |batch, ids: [u64; 2]| turns.take(batch, ids.into_iter().map(PointId::Num));
        let (first, second, third) = (take(0, [1, 2]), take(1, [3, 4]), take(2, [2, 3]));
        second.comes().await;
        let waits = tokio::spawn(async move { third.comes().await });
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waits.is_finished(), "the second batch holds one of its ids");
        drop(second);
        waits.await.unwrap();
    }
}
