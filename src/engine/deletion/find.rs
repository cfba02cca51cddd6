//! Finding the points that a deletion means, a step at a time: the state's lock is free between two steps.

use crate::engine::Engine;
use crate::engine::filter::Filter;
use crate::engine::ids::{CollectionId, PointId};
use crate::engine::read::{candidates, sift, steps_for};
use crate::engine::reply::Refusal;

/// Points found by one step at most.
const MAX_FOUND: usize = 16_384;

/// Points looked at between two questions whether to go on.
const LOOKS_AT_ONCE: usize = 32;

/// What a step found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matches {
    /// The points that match, in the order of their ids, each with the bytes of its payload.
    pub found: Vec<(PointId, usize)>,
    /// The first point that was not looked at; `None`: all were.
    pub next: Option<PointId>,
}

impl Engine {
    /// Finds the points from `first` on that match and are of no later version than `newest`, for as long as `go_on`
    /// says so. A step that is told to stop at once still looks at some points.
    ///
    /// # Errors
    /// [`Refusal::CollectionNotFound`].
    pub fn find_matches(
        &self,
        collection: CollectionId,
        filter: &Filter,
        (first, newest): (Option<PointId>, u64),
        mut go_on: impl FnMut() -> bool,
    ) -> Result<Matches, Refusal> {
        let state = self.state.read();
        let table = state.table(collection)?;
        let (rows, sieve) = sift(table, Some(filter), steps_for(table, MAX_FOUND));
        let mut matches = Matches::default();
        for (looks, (_, point)) in candidates(table, rows, first).enumerate() {
            let pause = looks > 0 && looks % LOOKS_AT_ONCE == 0 && !go_on();
            if pause || matches.found.len() == MAX_FOUND {
                matches.next = Some(point.id);
                break;
            }
            if point.version <= newest && sieve.as_ref().is_none_or(|sieve| sieve.matches(point)) {
                matches.found.push((point.id, point.payload.len()));
            }
        }
        Ok(matches)
    }
}
