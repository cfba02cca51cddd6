//! Answers to queries, from one state: a search sees every command before it whole, and nothing of those after.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringBitmap;
use serde_json::Map;
use vector_index::{Among, Key, PointLookup, Row, SearchOptions, Top};

use super::query::{
    Carried, Explain, Found, GetQuery, Hit, Record, ScrollPage, ScrollQuery, SearchQuery, Target, VectorSelector,
};
use crate::engine::commands::reply::Refusal;
use crate::engine::commands::validate::{batch_size, unknown_vector, validate_target};
use crate::engine::filter::Filter;
use crate::engine::payload::{select_payload, stored_members};
use crate::engine::payload_index::{Narrowed, STEPS_PER_TEST};
use crate::engine::queries::answer_room::Room;
use crate::engine::queries::work_meter::Meter;
use crate::engine::state::{Point, Table};
use crate::model::limits::{MAX_EF, MAX_LIMIT};
use crate::model::{PointId, SearchParams};

/// Candidates are sorted by id if they are fewer than this part of all points; otherwise all ids are walked in order.
const FEW: u64 = 8;

/// A filter, with the payload keys it looks at.
pub(in crate::engine) struct FilterTest<'a> {
    filter: &'a Filter,
    keys: BTreeSet<&'a str>,
}

impl<'a> FilterTest<'a> {
    pub(in crate::engine) fn new(filter: &'a Filter) -> Self {
        let mut keys = BTreeSet::new();
        filter.each_key(&mut |key| {
            keys.insert(key);
        });
        Self { filter, keys }
    }

    /// Whether a point with this payload matches. Once the meter has ended, the answer means nothing.
    pub(in crate::engine) fn matches(&self, id: PointId, payload: &str, meter: &Meter<'_>) -> bool {
        if meter.spend_bytes(if self.keys.is_empty() { 0 } else { payload.len() }) {
            return false;
        }
        let payload =
            if self.keys.is_empty() { Map::new() } else { stored_members(payload, |key| self.keys.contains(key)) };
        self.filter.matches_within(id, &payload, meter)
    }

    fn takes(&self, point: &Point, meter: &Meter<'_>) -> bool {
        self.matches(point.id, &point.payload, meter)
    }
}

/// The points from `first` on that match, in the order of their ids. The caller is done with the first `wanted` of
/// them.
pub(in crate::engine) fn matching<'a>(
    table: &'a Table,
    filter: Option<&'a Filter>,
    first: Option<PointId>,
    wanted: usize,
    meter: &Meter<'_>,
) -> impl Iterator<Item = (Row, &'a Point)> {
    let (rows, sieve) = select_rows(table, filter, steps_for(table, wanted), meter);
    let candidates = candidates(table, rows, first).take_while(|_| !meter.ended());
    candidates.filter(move |(_, point)| sieve.as_ref().is_none_or(|sieve| sieve.takes(point, meter)))
}

/// How many points match.
pub(in crate::engine) fn count(table: &Table, filter: Option<&Filter>, meter: &Meter<'_>) -> u64 {
    match select_rows(table, filter, u64::MAX, meter) {
        (None, None) => table.len() as u64,
        (Some(rows), None) => rows.len(),
        (rows, Some(sieve)) => {
            // The indexes cannot tell alone: payloads decide, of the rows that are left.
            let points: Box<dyn Iterator<Item = &Point>> = match rows {
                None => Box::new(table.points()),
                Some(rows) => Box::new(rows.into_iter().map(|row| table.at(Row(row)))),
            };
            points.take_while(|_| !meter.ended()).filter(|point| sieve.takes(point, meter)).count() as u64
        }
    }
}

/// What a filter comes to: the rows to look at, all if `None`, and what their points still have to be tested for.
pub(in crate::engine) fn select_rows<'a>(
    table: &Table,
    filter: Option<&'a Filter>,
    steps: u64,
    meter: &Meter<'_>,
) -> (Option<RoaringBitmap>, Option<FilterTest<'a>>) {
    match filter.map(|filter| (table.narrow(filter, steps, meter), filter)) {
        None => (None, None),
        Some((None, filter)) => (None, Some(FilterTest::new(filter))),
        Some((Some(narrowed), filter)) => (Some(narrowed.rows), (!narrowed.exact).then(|| FilterTest::new(filter))),
    }
}

/// How much work the payload indexes may take to find `wanted` points.
///
/// If a share s of n points matches, testing one after another finds them after wanted / s tests; bringing together the
/// s · n rows that match takes so many steps. These are equal at the geometric mean of the two numbers below, and past
/// it testing is done first.
pub(super) fn steps_for(table: &Table, wanted: usize) -> u64 {
    let (points, tests) = (table.len() as u64, (wanted as u64).saturating_mul(STEPS_PER_TEST));
    if wanted >= table.len() { u64::MAX } else { points.saturating_mul(tests).isqrt() }
}

/// How much work the payload indexes may take for a search.
///
/// A walk that meets a match in one of n / s points tests some 64 · n / s payloads; bringing s rows together takes s
/// steps. These are equal at the root of n times the number below; who has more matches is found by walking.
fn steps_beside_a_walk(table: &Table) -> u64 {
    const TESTS: u64 = 64 * STEPS_PER_TEST * 2;
    (table.len() as u64 * TESTS).isqrt()
}

/// Points from `first` on, in the order of their ids: those of `rows`, or all.
pub(in crate::engine) fn candidates<'a>(
    table: &'a Table,
    rows: Option<RoaringBitmap>,
    first: Option<PointId>,
) -> Box<dyn Iterator<Item = (Row, &'a Point)> + 'a> {
    let Some(rows) = rows else { return Box::new(table.points_from(first)) };
    // Of many rows, all ids are gone through in order, which is cheaper than to sort.
    if rows.len().saturating_mul(FEW) > table.len() as u64 {
        return Box::new(table.points_from(first).filter(move |(row, _)| rows.contains(row.0)));
    }
    // Few rows are sorted by their ids sooner than all ids are gone through.
    let points = rows.into_iter().map(|row| (Row(row), table.at(Row(row))));
    let mut points: Vec<_> = points.filter(|(_, point)| first.is_none_or(|first| point.id >= first)).collect();
    points.sort_unstable_by_key(|(_, point)| point.id);
    Box::new(points.into_iter())
}

/// A search's view of a table's points.
struct Sifted<'a> {
    table: &'a Table,
    sieve: Option<FilterTest<'a>>,
    asked: u64,
    meter: &'a Meter<'a>,
}

impl PointLookup for Sifted<'_> {
    fn key(&self, row: Row) -> Key {
        self.table.at(row).id.into()
    }

    fn accepts(&mut self, row: Row) -> bool {
        let Some(sieve) = &self.sieve else { return true };
        self.asked += 1;
        sieve.takes(self.table.at(row), self.meter)
    }
}

/// The nearest points that match. Those hits that the room does not hold carry neither payload nor vectors.
pub(in crate::engine) fn search(
    table: &Table,
    query: &SearchQuery,
    meter: &Meter<'_>,
    room: &Room,
) -> Result<Found, Refusal> {
    check(table, query)?;
    // Where the indexes tell all, no payload is looked at.
    let narrowed = query.filter.as_ref().and_then(|filter| table.narrow(filter, steps_beside_a_walk(table), meter));
    let certain = narrowed.as_ref().is_some_and(|narrowed| narrowed.exact);
    let sieve = query.filter.as_ref().filter(|_| !certain).map(FilterTest::new);
    nearest(table, query, narrowed, Sifted { table, sieve, asked: 0, meter }, room)
}

/// The nearest of the points in these rows, which are all that match.
pub(super) fn search_among(
    table: &Table,
    query: &SearchQuery,
    rows: RoaringBitmap,
    room: &Room,
) -> Result<Found, Refusal> {
    let narrowed = Narrowed { rows, exact: true, fields: BTreeSet::new() };
    nearest(table, query, Some(narrowed), Sifted { table, sieve: None, asked: 0, meter: &Meter::unlimited() }, room)
}

/// The nearest of those of the narrowed points that the sieve lets pass.
fn nearest(
    table: &Table,
    query: &SearchQuery,
    narrowed: Option<Narrowed>,
    mut points: Sifted<'_>,
    room: &Room,
) -> Result<Found, Refusal> {
    let params = table.config().vectors.get(&query.vector_name);
    let params = params.ok_or_else(|| no_vector(table, &query.vector_name))?;
    let Target::Vector(vector) = &query.target;
    // Adding zero turns the negative zero, which no score is, into the other.
    let mut top = Top::new(params.distance, query.limit, query.score_threshold.map(|threshold| threshold + 0.0));
    let space = table.space(&query.vector_name).ok_or_else(|| no_vector(table, &query.vector_name))?;
    let among = narrowed.as_ref().map(|narrowed| Among { rows: &narrowed.rows, certain: narrowed.exact });
    let SearchParams { ef, exact } = query.params;
    let wanted = SearchOptions { ef, exact, among, filtered: points.sieve.is_some() };
    let report = space.search(vector, &mut points, &mut top, &wanted);
    let explain = Explain {
        way: report.way,
        compared: report.compared,
        filtered: points.asked,
        candidates: among.map(|among| among.rows.len()),
        indexes: narrowed.map(|narrowed| narrowed.fields).unwrap_or_default(),
    };
    // Only hits become records: nothing is copied of a point that others have pushed out.
    let hits = top.into_sorted().into_iter().map(|candidate| {
        let (row, point) = (candidate.row, table.at(candidate.row));
        let Record { id, version, payload, vectors } = record_within(table, row, point, wanted_of(query), room);
        Hit { id, score: candidate.score, version, payload, vectors }
    });
    let hits: Vec<Hit> = hits.collect();
    debug_assert!(hits.len() <= query.limit, "{} hits are more than were asked for", hits.len());
    Ok(Found { hits, explain })
}

/// Points by id. Those that the room does not hold carry neither payload nor vectors.
pub(in crate::engine) fn get(table: &Table, query: &GetQuery, room: &Room) -> Result<Vec<Record>, Refusal> {
    batch_size("ids", query.ids.len())?;
    check_names(table, &query.with_vector)?;
    let found = query.ids.iter().filter_map(|id| table.find(*id));
    let wanted = (&query.with_payload, &query.with_vector);
    Ok(found.map(|(row, point)| record_within(table, row, point, wanted, room)).collect())
}

/// A page of points. It ends early where the room does.
pub(in crate::engine) fn scroll(
    table: &Table,
    query: &ScrollQuery,
    meter: &Meter<'_>,
    room: &Room,
) -> Result<ScrollPage, Refusal> {
    check_page(table, query)?;
    // One more than the page holds, to tell where the next one begins.
    let mut found = matching(table, query.filter.as_ref(), query.offset, query.limit.saturating_add(1), meter);
    let wanted = (&query.with_payload, &query.with_vector);
    let mut records = Vec::new();
    for (row, point) in found.by_ref().take(query.limit) {
        let record = record(table, row, point, wanted);
        // The point that does not fit begins the next page.
        if !room.take(record.weight()) {
            return Ok(ScrollPage { records, next: Some(point.id) });
        }
        records.push(record);
    }
    Ok(ScrollPage { records, next: found.next().map(|(_, point)| point.id) })
}

/// Checks a page against the collection and the limits.
pub(super) fn check_page(table: &Table, query: &ScrollQuery) -> Result<(), Refusal> {
    check_limit(query.limit)?;
    check_names(table, &query.with_vector)
}

fn wanted_of(query: &SearchQuery) -> Carried<'_> {
    (&query.with_payload, &query.with_vector)
}

/// A point with what is wanted of it, or bare where the room does not hold that.
fn record_within(table: &Table, row: Row, point: &Point, wanted: Carried<'_>, room: &Room) -> Record {
    let bare = Record { id: point.id, version: point.version, payload: None, vectors: None };
    if room.is_full() {
        return bare;
    }
    let record = record(table, row, point, wanted);
    if room.take(record.weight()) { record } else { bare }
}

pub(in crate::engine) fn record(table: &Table, row: Row, point: &Point, (payload, vector): Carried<'_>) -> Record {
    Record {
        id: point.id,
        version: point.version,
        payload: select_payload(&point.payload, payload),
        vectors: select_vectors(table, row, vector),
    }
}

fn select_vectors(table: &Table, row: Row, selector: &VectorSelector) -> Option<BTreeMap<String, Vec<f32>>> {
    match selector {
        VectorSelector::None => None,
        VectorSelector::All => Some(table.vectors(row, |_| true)),
        VectorSelector::Names(names) => Some(table.vectors(row, |name| names.contains(name))),
    }
}

/// Checks a search against the collection and the limits.
pub(in crate::engine) fn check(table: &Table, query: &SearchQuery) -> Result<(), Refusal> {
    check_limit(query.limit)?;
    if query.params.ef.is_some_and(|ef| ef == 0 || ef > MAX_EF) {
        return Err(Refusal::invalid("params.ef", format!("must be 1 to {MAX_EF}")));
    }
    if query.score_threshold.is_some_and(|threshold| !threshold.is_finite()) {
        return Err(Refusal::invalid("score_threshold", "must be a finite number"));
    }
    check_names(table, &query.with_vector)?;
    let params = table.config().vectors.get(&query.vector_name);
    let params = *params.ok_or_else(|| no_vector(table, &query.vector_name))?;
    let Target::Vector(vector) = &query.target;
    validate_target(params, vector)
}

fn check_limit(limit: usize) -> Result<(), Refusal> {
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(());
    }
    Err(Refusal::invalid("limit", format!("{limit} is not within 1 to {MAX_LIMIT}, offset included")))
}

fn check_names(table: &Table, selector: &VectorSelector) -> Result<(), Refusal> {
    let VectorSelector::Names(names) = selector else { return Ok(()) };
    match names.iter().find(|name| table.space(name).is_none()) {
        Some(name) => Err(Refusal::invalid("with_vector", unknown_vector(table.config(), name))),
        None => Ok(()),
    }
}

fn no_vector(table: &Table, name: &str) -> Refusal {
    Refusal::invalid("vector_name", unknown_vector(table.config(), name))
}
