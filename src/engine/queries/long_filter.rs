//! Queries whose filter is long work: it is tested beside the state, which is free for commands and other queries meanwhile.
//!
//! What is needed to test the points, their payloads, is shared and not copied. A count and a page without vectors are of
//! the one state that the payloads were taken from. A search and a page with vectors look into the state again at their
//! end: what was written in between is tested then, so the answer is of that state, whole. Vectors themselves are only ever
//! compared while the state is held, which takes as long as there are vectors.

use std::sync::Arc;

use roaring::RoaringBitmap;
use vector_index::Row;

use super::query::{CountQuery, Found, Record, ScrollPage, ScrollQuery, SearchQuery, VectorSelector};
use super::read::{self, FilterTest, candidates, check_page, record, search_among, select_rows};
use crate::engine::commands::reply::Refusal;
use crate::engine::filter::Filter;
use crate::engine::machine::Engine;
use crate::engine::payload::select_payload;
use crate::engine::queries::answer_room::Room;
use crate::engine::queries::work_meter::Meter;
use crate::engine::state::{Point, Table};
use crate::model::PointId;

/// Steps that may be taken while the state is held.
pub(super) const STEPS_BESIDE_STATE: u64 = 1 << 18;

/// Points that are tested while the state is held, at most, where a search comes to its end.
const TESTED_AT_THE_END: usize = 256;

/// What is needed of a point to test it.
struct FilterCandidate {
    row: Row,
    id: PointId,
    version: u64,
    payload: Arc<str>,
}

impl FilterCandidate {
    fn of((row, point): (Row, &Point)) -> Self {
        Self { row, id: point.id, version: point.version, payload: point.payload.clone() }
    }
}

/// The points from `first` on that can match, in the order of their ids, and what they still have to be tested for.
fn taken<'a>(
    table: &Table,
    filter: Option<&'a Filter>,
    first: Option<PointId>,
) -> (Vec<FilterCandidate>, Option<FilterTest<'a>>) {
    let brief = Meter::new(STEPS_BESIDE_STATE, &|| true);
    let (rows, sieve) = select_rows(table, filter, u64::MAX, &brief);
    (candidates(table, rows, first).map(FilterCandidate::of).collect(), sieve)
}

impl Engine {
    /// As [`count`](Engine::count), beside the state; `None` where the meter ended first.
    ///
    /// # Errors
    /// As [`count`](Engine::count).
    pub fn count_apart(&self, query: &CountQuery, meter: &Meter<'_>) -> Result<Option<u64>, Refusal> {
        let state = self.state.read();
        let (candidates, sieve) = taken(state.table(query.collection)?, query.filter.as_ref(), None);
        drop(state);
        let Some(sieve) = sieve else { return Ok(Some(candidates.len() as u64)) };
        let matches = |one: &&FilterCandidate| sieve.matches(one.id, &one.payload, meter);
        let count = candidates.iter().take_while(|_| !meter.ended()).filter(matches).count();
        Ok((!meter.ended()).then_some(count as u64))
    }

    /// As [`scroll`](Engine::scroll), beside the state and no longer than the room; `None` where the meter ended first.
    ///
    /// # Errors
    /// As [`scroll`](Engine::scroll).
    pub fn scroll_apart(
        &self,
        query: &ScrollQuery,
        meter: &Meter<'_>,
        room: usize,
    ) -> Result<Option<ScrollPage>, Refusal> {
        loop {
            // The state is held while points are taken, and free while they are tested.
            let state = self.state.read();
            let table = state.table(query.collection)?;
            check_page(table, query)?;
            let (candidates, sieve) = taken(table, query.filter.as_ref(), query.offset);
            drop(state);
            let matches =
                |one: &FilterCandidate| sieve.as_ref().is_none_or(|sieve| sieve.matches(one.id, &one.payload, meter));
            let mut found = candidates.into_iter().take_while(|_| !meter.ended()).filter(matches);
            let page: Vec<FilterCandidate> = found.by_ref().take(query.limit).collect();
            // The first match beyond the page tells where the next one begins.
            let next = found.next().map(|one| one.id);
            if meter.ended() {
                return Ok(None);
            }
            // Where a point of the page was written meanwhile, its vectors are not those of the state that was tested.
            if let Some(records) = self.records(query, &page, &Room::of(room))? {
                // What the room did not hold begins the next page.
                let left_out = page.get(records.len()).map(|one| one.id);
                return Ok(Some(ScrollPage { records, next: left_out.or(next) }));
            }
        }
    }

    /// The records of a page, as many as the room holds; `None` where vectors are wanted, and a point of the page has
    /// changed meanwhile.
    fn records(
        &self,
        query: &ScrollQuery,
        page: &[FilterCandidate],
        room: &Room,
    ) -> Result<Option<Vec<Record>>, Refusal> {
        let fits = |record: &Record| room.take(record.weight());
        // The payloads were taken along, so nothing is asked of the state again.
        if query.with_vector == VectorSelector::None {
            let record = |one: &FilterCandidate| {
                let payload = select_payload(&one.payload, &query.with_payload);
                Record { id: one.id, version: one.version, payload, vectors: None }
            };
            return Ok(Some(page.iter().map(record).take_while(fits).collect()));
        }
        // Vectors are the state's alone; those of a point that was rewritten would not fit its payload.
        let state = self.state.read();
        let table = state.table(query.collection)?;
        let same = |one: &FilterCandidate| table.find(one.id).filter(|(_, point)| point.version == one.version);
        let points: Option<Vec<_>> = page.iter().map(same).collect();
        let record = |(row, point)| record(table, row, point, (&query.with_payload, &query.with_vector));
        Ok(points.map(|points| points.into_iter().map(record).take_while(fits).collect()))
    }

    /// As [`find`](Engine::find), the filter tested beside the state; `None` where the meter ended first.
    ///
    /// # Errors
    /// As [`find`](Engine::find).
    pub fn find_apart(&self, query: &SearchQuery, meter: &Meter<'_>, room: &Room) -> Result<Option<Found>, Refusal> {
        let Some(filter) = &query.filter else { return self.find_within(query, room).map(Some) };
        let (mut judged, sieve) = (TestedRows::default(), FilterTest::new(filter));
        loop {
            let state = self.state.read();
            let table = state.table(query.collection)?;
            read::check(table, query)?;
            let news = judged.news(table);
            let brief = Meter::new(STEPS_BESIDE_STATE, &|| true);
            // Few points are tested, and the search is done, under one lock: the answer is of one moment.
            if news.len() <= TESTED_AT_THE_END && judged.test(news, &sieve, &brief) {
                let found = search_among(table, query, judged.matching, room)?;
                return Ok(Some(judged.tested.explain(found)));
            }
            // Once more, so that what the brief test has done counts.
            let news = judged.news(table);
            drop(state);
            // What is written meanwhile is new in the next round.
            if !judged.test(news, &sieve, meter) {
                return Ok(None);
            }
        }
    }
}

/// How many points a search has tested.
#[derive(Default, Clone, Copy)]
struct Tested(u64);

impl Tested {
    fn explain(self, mut found: Found) -> Found {
        found.explain.filtered = self.0;
        found
    }
}

/// Which points a search has tested, and which of them match. Invariant: a row that matches was tested.
#[derive(Default)]
struct TestedRows {
    /// By row: the point that was tested.
    seen: Vec<Option<(PointId, u64)>>,
    matching: RoaringBitmap,
    tested: Tested,
}

impl TestedRows {
    /// The points that are new, or have changed since they were tested. Forgets the matches among points that have
    /// changed or are gone.
    fn news(&mut self, table: &Table) -> Vec<FilterCandidate> {
        let now = |row: u32| table.get(Row(row)).map(|point| (point.id, point.version));
        let seen = |row: u32| self.seen.get(row as usize).copied().flatten();
        // A row may hold another point by now, or the same in another version.
        let outdated: RoaringBitmap = self.matching.iter().filter(|row| now(*row) != seen(*row)).collect();
        self.matching -= outdated;
        let is_new = |(row, point): &(Row, &Point)| {
            self.seen.get(row.0 as usize).copied().flatten() != Some((point.id, point.version))
        };
        table.points_from(None).filter(is_new).map(FilterCandidate::of).collect()
    }

    /// Tests these points; `false` where the meter ended first.
    fn test(&mut self, news: Vec<FilterCandidate>, sieve: &FilterTest<'_>, meter: &Meter<'_>) -> bool {
        for FilterCandidate { row, id, version, payload } in news {
            let matches = sieve.matches(id, &payload, meter);
            if meter.ended() {
                return false;
            }
            // Only what was tested to the end counts.
            let at = row.0 as usize;
            if at >= self.seen.len() {
                self.seen.resize(at + 1, None);
            }
            self.seen[at] = Some((id, version));
            self.tested.0 += 1;
            if matches {
                self.matching.insert(row.0);
            }
        }
        true
    }
}
