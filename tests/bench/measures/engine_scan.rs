//! The engine alone, in this process on one thread: how close the speed of an exact search is to that of reading
//! memory.
//!
//! In: the points. Out: rows of the search, of a plain read of the same bytes, and of their ratio. Uses no Raft, no
//! HTTP and no disk.

use crate::data::corpus::Corpus;
use crate::data::truth::TOP;
use crate::report::times::{Times, digits};
use crate::report::{Report, ReportRow};
use anyhow::{Context, ensure};
use quiver::engine::{
    CollectionConfig, CollectionId, Command, DEFAULT_VECTOR, Distance, Engine, Payload, PayloadSelector, PointId,
    PointWrite, SearchQuery, Setup, Target, VectorSelector,
};
use quiver::model::SearchParams;
use raft_groups::{Changes, Machine, MemoryState, Position};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;
use vector_index::Way;

/// The collection in the engine.
const COLLECTION: CollectionId = CollectionId(1);
/// Points of one command.
const BATCH: u64 = 1_000;
/// The part of a plain read's speed that a search must reach.
const BAR: f64 = 0.60;

/// Measures searches over the points 0 to `points`, each beside a plain read of the same bytes.
pub(crate) fn measure(corpus: &Corpus, points: u64, rounds: u64) -> anyhow::Result<Vec<ReportRow>> {
    let engine = filled(corpus, points)?;
    // A second measure of what reading costs: a buffer and a loop of this file, without anything of the engine.
    let own = vec![3_u64; points as usize * corpus.columns / 2];
    let (mut searches, mut reads, mut own_reads, mut bytes) = (vec![], vec![], vec![], 0);
    for round in 0..=rounds {
        let query = query(corpus, round);
        let start = Instant::now();
        bytes = black_box(engine.read_vectors(COLLECTION, DEFAULT_VECTOR)?).0;
        let read = Instant::now();
        let found = black_box(engine.find(&query)?);
        let searched = Instant::now();
        black_box(own.iter().fold(0_u64, |sum, word| sum.wrapping_add(*word)));
        let own_read = searched.elapsed();
        ensure!(
            found.explain.way == Way::Exact && found.explain.compared == points,
            "a search was not exact: {:?}",
            found.explain
        );
        // The first round warms up the caches and does not count.
        if round > 0 {
            reads.push(read - start);
            searches.push(searched - read);
            own_reads.push(own_read);
        }
    }
    let [searches, reads, own_reads] = [searches, reads, own_reads].map(Times::new);
    let own_bytes = size_of_val(own.as_slice()) as u64;
    Ok(rows(&format!("{points} x {}", corpus.columns), (&searches, bytes), (&reads, bytes), (&own_reads, own_bytes)))
}

fn rows(size: &str, searches: (&Times, u64), reads: (&Times, u64), own_reads: (&Times, u64)) -> Vec<ReportRow> {
    let speed = |bytes: u64, ms: f64| bytes as f64 / ms / 1e6;
    let line = |name: &str, (times, bytes): (&Times, u64)| {
        let (best, median) = (speed(bytes, times.best()), speed(bytes, times.p50()));
        let row = ReportRow::new(name, format!("{} GB/s", digits(best)));
        let detail = format!("best of {}; median {} GB/s, {}", times.len(), digits(median), times.summary());
        let row = row.detail(detail).number("best_gb_per_second", best).number("median_gb_per_second", median);
        row.number("p50_ms", times.p50())
    };
    // Shares compare speeds in bytes, since the buffers differ in size.
    let share = |other: (&Times, u64), of: fn(&Times) -> f64| {
        speed(searches.1, of(searches.0)) / speed(other.1, of(other.0)).max(f64::MIN_POSITIVE)
    };
    let (best, median) = (share(reads, Times::best), share(reads, Times::p50));
    let own = share(own_reads, Times::best);
    let detail = format!("of the best round; {:.0} % of the median, {:.0} % of our own loop", median * 1e2, own * 1e2);
    let ratio = ReportRow::new("search over plain read", format!("{:.0} %", best * 1e2)).detail(detail);
    let ratio = ratio.bar(format!(">= {:.0} %", BAR * 1e2), best >= BAR).number("best_share", best);
    vec![
        line(&format!("exact search in process, 1 thread, {size}"), searches),
        line("plain read of the same bytes", reads),
        line("plain read of our own buffer of that size", own_reads),
        ratio.number("median_share", median).number("own_loop_share", own),
    ]
}

/// Adds the rows of [`measure`].
pub(crate) fn add(report: &mut Report, rows: Vec<ReportRow>) {
    rows.into_iter().for_each(|row| report.add(row));
}

/// Makes an engine with the points, written in the same way as its group would write them.
fn filled(corpus: &Corpus, points: u64) -> anyhow::Result<Engine> {
    let engine = Engine::open(&Setup::default(), &MemoryState::default())?;
    let config = CollectionConfig::single(corpus.columns, Distance::Cosine);
    apply(&engine, 1, &Command::CreateCollection { collection: COLLECTION, config })?;
    for (number, start) in (0..points).step_by(BATCH as usize).enumerate() {
        let points = (start..(start + BATCH).min(points)).map(|id| point(corpus, id)).collect();
        apply(&engine, number as u64 + 2, &Command::Upsert { collection: COLLECTION, request: None, points })?;
    }
    ensure!(engine.points() == points, "{} of {points} points went into the engine", engine.points());
    Ok(engine)
}

fn apply(engine: &Engine, index: u64, command: &Command) -> anyhow::Result<()> {
    let done = engine.apply(Position { index, term: 1 }, &command.encode(), &mut Changes::default());
    done.map(drop).context("the engine refused to go on")
}

fn point(corpus: &Corpus, id: u64) -> PointWrite {
    PointWrite {
        id: PointId::Num(id),
        vectors: BTreeMap::from([(DEFAULT_VECTOR.to_owned(), corpus.vector(id).to_vec())]),
        payload: Payload::default(),
        if_version: None,
    }
}

fn query(corpus: &Corpus, number: u64) -> SearchQuery {
    SearchQuery {
        collection: COLLECTION,
        vector_name: DEFAULT_VECTOR.to_owned(),
        target: Target::Vector(corpus.query(number).to_vec()),
        limit: TOP,
        filter: None,
        score_threshold: None,
        with_payload: PayloadSelector::None,
        with_vector: VectorSelector::None,
        params: SearchParams { exact: true, ..SearchParams::default() },
    }
}
