//! Finding the points that a deletion means, a step at a time: the state is held while a step takes payloads, which are
//! shared and not copied, and is free while it tests them.

use std::sync::Arc;

use crate::engine::commands::reply::Refusal;
use crate::engine::filter::Filter;
use crate::engine::ids::CollectionId;
use crate::engine::queries::read::{candidates, select_rows};
use crate::engine::{Engine, Meter};
use crate::model::PointId;

/// Points looked at by one step at most.
const MAX_LOOKED_AT: usize = 4_096;

/// Steps that the payload indexes may take for one step.
const MAX_NARROWING: u64 = 1 << 18;

/// What a step found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matches {
    /// The points that match, in the order of their ids, each with the bytes of its payload.
    pub found: Vec<(PointId, usize)>,
    /// The first point that was not looked at; `None`: all were.
    pub next: Option<PointId>,
}

impl Engine {
    /// Finds the points that match and are of no later version than `newest` among some from `first` on; `None` where the
    /// meter ended first. What was written meanwhile is of a later version, so the slice that deletes the others spares it.
    ///
    /// # Errors
    /// [`Refusal::CollectionNotFound`].
    pub fn find_matches(
        &self,
        collection: CollectionId,
        filter: &Filter,
        (first, newest): (Option<PointId>, u64),
        meter: &Meter<'_>,
    ) -> Result<Option<Matches>, Refusal> {
        // Held only while payloads are taken, which are shared and not copied.
        let state = self.state.read();
        let table = state.table(collection)?;
        // Narrowing has a small budget of its own, since the state is held while it runs.
        let (rows, sieve) = select_rows(table, Some(filter), u64::MAX, &Meter::new(MAX_NARROWING, &|| true));
        let mut points = candidates(table, rows, first).map(|(_, point)| point);
        let looked_at = points.by_ref().take(MAX_LOOKED_AT).filter(|point| point.version <= newest);
        let looked_at: Vec<_> = looked_at.map(|point| (point.id, Arc::clone(&point.payload))).collect();
        // The next step begins here, whether this point matches or not.
        let next = points.next().map(|point| point.id);
        drop(points);
        drop(state);
        // The state is free by now, so a long test keeps no writer waiting.
        let matches = |(id, payload): &(PointId, Arc<str>)| {
            !meter.ended() && sieve.as_ref().is_none_or(|sieve| sieve.matches(*id, payload, meter))
        };
        let found = looked_at.into_iter().filter(matches).map(|(id, payload)| (id, payload.len())).collect();
        Ok((!meter.ended()).then_some(Matches { found, next }))
    }
}
