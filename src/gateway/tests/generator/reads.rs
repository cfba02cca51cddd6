//! Whether what was read is what the model holds.

use serde_json::Value;

use super::filters::Filter;
use super::ids::Id;
use super::model::Collection;
use super::steps::{Act, Pick, Search};

/// What is wrong, in words.
pub(super) type Checked = Result<(), String>;

/// Whether a read is answered right.
pub(super) fn read(known: &Collection, act: &Act, status: u16, answer: &Value) -> Checked {
    match act {
        Act::Get(id, payload, vector) => match known.points.get(id) {
            None => expect(status, &[404]),
            Some(_) => {
                expect(status, &[200])?;
                let found = known.shows(answer, &Pick::All(*payload), &Pick::All(*vector))?;
                if found == *id { Ok(()) } else { Err("another point".to_owned()) }
            }
        },
        Act::Scroll { offset, limit, filter, with_payload, with_vector } => {
            let fit = filter.as_ref().is_none_or(Filter::is_fit) && known.has_vectors(with_vector);
            if !fit || !(1..=10_000).contains(limit) {
                return expect(status, &[400, 501]);
            }
            expect(status, &[200])?;
            let all = known.passing(filter.as_ref()).into_iter().filter(|id| offset.is_none_or(|offset| *id >= offset));
            let mut rest = all.skip(*limit as usize).map(Id::value);
            let all = known.passing(filter.as_ref()).into_iter().filter(|id| offset.is_none_or(|offset| *id >= offset));
            let page: Vec<Id> = all.take(*limit as usize).collect();
            let points = answer["points"].as_array().cloned().unwrap_or_default();
            let shows = points.iter().map(|point| known.shows(point, with_payload, with_vector));
            let found = shows.collect::<Result<Vec<Id>, _>>()?;
            if found != page || answer["next"] != rest.next().unwrap_or_default() {
                return Err(format!("the page should be {page:?}"));
            }
            Ok(())
        }
        Act::Count(filter) => {
            if !filter.as_ref().is_none_or(Filter::is_fit) {
                return expect(status, &[400, 501]);
            }
            expect(status, &[200])?;
            let count = known.passing(filter.as_ref()).len() as u64;
            if answer["count"] == count { Ok(()) } else { Err(format!("the count should be {count}")) }
        }
        Act::Search(searches) => searched(known, searches, status, answer),
        _ => Ok(()),
    }
}

fn searched(known: &Collection, searches: &[Search], status: u16, answer: &Value) -> Checked {
    // A search by id gathers one more, since the point itself is found as well.
    let gathers =
        |search: &Search| u128::from(search.limit) + u128::from(search.offset) + u128::from(search.near.is_err());
    let mut refused: Vec<u16> = searches.iter().flat_map(|search| known.refuses(search)).collect();
    let all: u128 = searches.iter().map(gathers).sum();
    if searches.is_empty() || searches.iter().any(|search| search.limit == 0) || all > 10_000 {
        refused.push(400);
    }
    if !refused.is_empty() {
        return expect(status, &refused);
    }
    expect(status, &[200])?;
    let found: Vec<&Value> = match answer["searches"].as_array() {
        Some(found) => found.iter().collect(),
        None => vec![answer],
    };
    if found.len() != searches.len() {
        return Err("not one list for each search".to_owned());
    }
    for (search, found) in searches.iter().zip(found) {
        known.nearest(search, found["results"].as_array().map_or(&[][..], Vec::as_slice))?;
    }
    Ok(())
}

/// Whether a status is one of these.
pub(super) fn expect(status: u16, allowed: &[u16]) -> Checked {
    if allowed.contains(&status) { Ok(()) } else { Err(format!("the status should be one of {allowed:?}")) }
}

/// The first letters of an answer, for people.
pub(super) fn shown(answer: &Value) -> String {
    answer.to_string().chars().take(1_500).collect()
}
