//! Queries against one replica's machine, in the parts that threads may take side by side. Pure.
//!
//! A part is first tried for a limited number of steps, while it holds the machine's state. A part that is not done by
//! then is long, and is carried out again beside the state.

use crate::engine::{self, Engine, Meter, Refusal, Room, SearchQuery};
use crate::routing::rpc::message::{CallError, Query, QueryAnswer};

/// Steps of a part that is tried: some ten milliseconds.
const STEPS_TO_TRY: u64 = 1 << 18;

/// What one part of a query found.
#[derive(Debug)]
pub(in crate::routing) enum PartAnswer {
    /// What one search among several found.
    Hits(engine::Found),
    /// All there is to find.
    Whole(QueryAnswer),
}

/// How many parts a query has.
pub(in crate::routing) fn parts(query: &Query) -> usize {
    match query {
        Query::Search(searches) => searches.len(),
        Query::Get(_) | Query::Scroll(_) | Query::Count(_) | Query::Map => 1,
    }
}

/// Tries the part at `place`; `None` where it is long. All parts together carry no more bytes than the room.
///
/// # Errors
/// What the machine refuses, under the place of its search where there are several.
pub(super) fn try_part(
    machine: &Engine,
    query: &Query,
    place: usize,
    room: usize,
) -> Result<Option<PartAnswer>, CallError> {
    // A few steps show whether a query is long. The parts of one query share the room of its answer.
    let (meter, room) = (Meter::new(STEPS_TO_TRY, &|| true), Room::of(room / parts(query).max(1)));
    let whole = match query {
        Query::Search(searches) => return one_of(searches, place, |search| machine.try_find(search, &meter, &room)),
        Query::Get(query) => machine.get_within(query, &room).map(QueryAnswer::Records).map(Some),
        Query::Scroll(query) => machine.try_scroll(query, &meter, &room).map(|page| page.map(QueryAnswer::Page)),
        Query::Count(query) => machine.try_count(query, &meter).map(|count| count.map(QueryAnswer::Count)),
        Query::Map => return Err(unfit("only the meta group holds the map")),
    };
    whole.map(|found| found.map(PartAnswer::Whole)).map_err(CallError::Refused)
}

/// Carries out the part at `place` that is long; `None` where the meter ended first.
///
/// # Errors
/// As [`try_part`].
pub(super) fn long_part(
    machine: &Engine,
    query: &Query,
    place: usize,
    meter: &Meter<'_>,
    room: usize,
) -> Result<Option<PartAnswer>, CallError> {
    let share = Room::of(room / parts(query).max(1));
    let whole = match query {
        Query::Search(searches) => return one_of(searches, place, |search| machine.find_apart(search, meter, &share)),
        Query::Scroll(query) => machine.scroll_apart(query, meter, room).map(|page| page.map(QueryAnswer::Page)),
        Query::Count(query) => machine.count_apart(query, meter).map(|count| count.map(QueryAnswer::Count)),
        Query::Get(_) | Query::Map => return try_part(machine, query, place, room),
    };
    whole.map(|found| found.map(PartAnswer::Whole)).map_err(CallError::Refused)
}

/// One of several searches.
fn one_of(
    searches: &[SearchQuery],
    place: usize,
    find: impl FnOnce(&SearchQuery) -> Result<Option<engine::Found>, Refusal>,
) -> Result<Option<PartAnswer>, CallError> {
    let search = searches.get(place).ok_or_else(|| unfit("there are fewer searches"))?;
    let found = find(search).map_err(|refusal| {
        // A search that is alone needs no place to be found by.
        let place = (searches.len() > 1).then_some(place);
        CallError::Refused(refusal.with_position(|named| named.or(place)))
    })?;
    Ok(found.map(PartAnswer::Hits))
}

/// What all parts found, in their order.
///
/// # Errors
/// That of the first part that failed.
pub(in crate::routing) fn whole(
    parts: impl Iterator<Item = Result<PartAnswer, CallError>>,
) -> Result<QueryAnswer, CallError> {
    let mut hits = Vec::new();
    for part in parts {
        match part? {
            PartAnswer::Hits(of_one) => hits.push(of_one),
            // Only searches come in several parts.
            PartAnswer::Whole(found) => return Ok(found),
        }
    }
    Ok(QueryAnswer::Hits(hits))
}

fn unfit(reason: &str) -> CallError {
    CallError::Unfit { reason: reason.to_owned() }
}

#[cfg(test)]
pub(in crate::routing) mod tests {
    use vector_index::Way;

    use super::*;

    /// Carries the part at `place` out as one that is tried and as one that is long; they must come to the same.
    pub fn part(machine: &Engine, query: &Query, place: usize, room: usize) -> Result<PartAnswer, CallError> {
        let long = long_part(machine, query, place, &Meter::unlimited(), room);
        let tried = try_part(machine, query, place, room);
        match (&tried, &long) {
            (Ok(Some(PartAnswer::Hits(one))), Ok(Some(PartAnswer::Hits(other)))) => {
                let exact = [one, other].iter().all(|found| found.explain.way == Way::Exact);
                assert!(!exact || one.hits == other.hits, "{one:?} {other:?}");
            }
            (Ok(Some(PartAnswer::Whole(one))), Ok(Some(PartAnswer::Whole(other)))) => assert_eq!(one, other),
            (Err(one), Err(other)) => assert_eq!(one, other),
            // What is long has nothing to be held against.
            (Ok(None), Ok(Some(_))) => {}
            _ => panic!("{tried:?} {long:?}"),
        }
        long.map(|part| part.expect("its meter never ends"))
    }
}
