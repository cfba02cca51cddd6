//! Queries against one replica's machine, in the parts that threads may take side by side. Pure.

use super::rpc::{CallError, Found, Query};
use crate::engine::{self, Engine, Refusal};

/// What one part of a query found.
#[derive(Debug)]
pub(super) enum Part {
    /// What one search among several found.
    Hits(engine::Found),
    /// All there is to find.
    Whole(Found),
}

/// How many parts a query has.
pub(super) fn parts(query: &Query) -> usize {
    match query {
        Query::Search(searches) => searches.len(),
        Query::Get(_) | Query::Scroll(_) | Query::Count(_) | Query::Map => 1,
    }
}

/// Carries out the part at `place`.
///
/// # Errors
/// What the machine refuses, under the place of its search where there are several.
pub(super) fn part(machine: &Engine, query: &Query, place: usize) -> Result<Part, CallError> {
    let found = match query {
        Query::Search(searches) => {
            let Some(search) = searches.get(place) else { return Err(unfit("there are fewer searches")) };
            let found = machine.find(search).map(Part::Hits);
            return found.map_err(|refusal| CallError::Refused(at(refusal, place, searches.len())));
        }
        Query::Get(query) => machine.get(query).map(Found::Records),
        Query::Scroll(query) => machine.scroll(query).map(Found::Page),
        Query::Count(query) => machine.count(query).map(Found::Count),
        Query::Map => return Err(unfit("only the meta group holds the map")),
    };
    found.map(Part::Whole).map_err(CallError::Refused)
}

/// What all parts found, in their order.
///
/// # Errors
/// That of the first part that failed.
pub(super) fn whole(parts: impl Iterator<Item = Result<Part, CallError>>) -> Result<Found, CallError> {
    let mut hits = Vec::new();
    for part in parts {
        match part? {
            Part::Hits(of_one) => hits.push(of_one),
            Part::Whole(found) => return Ok(found),
        }
    }
    Ok(Found::Hits(hits))
}

fn unfit(reason: &str) -> CallError {
    CallError::Unfit { reason: reason.to_owned() }
}

fn at(refusal: Refusal, place: usize, searches: usize) -> Refusal {
    match refusal {
        Refusal::Invalid { position: None, field, reason } if searches > 1 => {
            Refusal::Invalid { position: Some(place), field, reason }
        }
        other => other,
    }
}
