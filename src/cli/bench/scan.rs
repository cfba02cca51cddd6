//! Exact search by itself: one engine in this process, no HTTP, no Raft, against a plain read loop over the same bytes.

use super::corpus::Corpus;
use super::report::{Report, Row, percentile};
use super::{count, say};
use crate::api::PointInput;
use crate::engine::{
    CollectionConfig, CollectionId, Command, DEFAULT_VECTOR, Distance, Engine, Payload, PayloadSelector, PointWrite,
    SearchParams, SearchQuery, Target, VectorSelector,
};
use anyhow::ensure;
use raft_groups::{Changes, Machine, MemoryState, Position};
use std::time::Instant;

/// Points of one command.
const BATCH: usize = 1_000;
/// Searches, and passes of the read loop.
const PASSES: usize = 100;
const COLLECTION: CollectionId = CollectionId(1);

/// Loads the corpus into an engine and measures both, turn by turn, so that both meet the same machine.
pub(super) fn measure(corpus: &Corpus, report: &mut Report) -> anyhow::Result<()> {
    say("exact search in one engine, against a plain read of the same bytes");
    let engine = loaded(corpus)?;
    let (mut searches, mut reads, mut bytes, mut sum) = (Vec::new(), Vec::new(), 0, 0.0);
    for pass in 0..PASSES {
        let query = query(&corpus.queries()[pass % corpus.queries().len()]);
        let start = Instant::now();
        let found = engine.find(&query)?;
        searches.push(start.elapsed().as_secs_f64());
        ensure!(found.explain.exact && found.explain.compared == corpus.points(), "the search was not exact");
        let start = Instant::now();
        let read = engine.read_vectors(COLLECTION, DEFAULT_VECTOR)?;
        reads.push(start.elapsed().as_secs_f64());
        (bytes, sum) = (read.0, sum + read.1);
    }
    let (search, read) = (percentile(&mut searches, 0.5), percentile(&mut reads, 0.5));
    let gigabytes = |seconds: f64| bytes as f64 / seconds / 1e9;
    let note = format!("top 10 of {}, one thread, no network", count(corpus.points()));
    report.add(Row::new("exact search in one engine, p50", search * 1e3, "ms").note(&note));
    report.add(Row::new("exact search, bandwidth", gigabytes(search), "GB/s"));
    let note = format!("{} MB, one thread (its sum is {sum:.0})", bytes / 1_000_000);
    report.add(Row::new("plain read loop, bandwidth", gigabytes(read), "GB/s").note(&note));
    report.add(Row::new("exact search against the read loop", 100.0 * read / search, "%"));
    Ok(())
}

fn loaded(corpus: &Corpus) -> anyhow::Result<Engine> {
    let engine = Engine::open(&MemoryState::default())?;
    let config = CollectionConfig::single(corpus.size(), Distance::Cosine);
    let mut index = 0;
    let mut apply = |command: Command| {
        index += 1;
        engine.apply(Position { index, term: 1 }, &command.encode(), &mut Changes::default()).map(drop)
    };
    apply(Command::CreateCollection { collection: COLLECTION, config })?;
    let mut points = Vec::with_capacity(BATCH);
    for row in corpus.rows(0, corpus.points())? {
        points.push(point(row?.point.map_err(anyhow::Error::msg)?));
        if points.len() == BATCH {
            apply(Command::Upsert { collection: COLLECTION, request: None, points: std::mem::take(&mut points) })?;
        }
    }
    apply(Command::Upsert { collection: COLLECTION, request: None, points })?;
    Ok(engine)
}

fn point(point: PointInput) -> PointWrite {
    let PointInput { id, vector, .. } = point;
    let id = match id {
        crate::api::PointId::Num(id) => crate::engine::PointId::Num(id),
        crate::api::PointId::Uuid(id) => crate::engine::PointId::Uuid(id),
    };
    PointWrite { id, vectors: vector.into_named(), payload: Payload::default(), if_version: None }
}

fn query(vector: &[f32]) -> SearchQuery {
    SearchQuery {
        collection: COLLECTION,
        vector_name: DEFAULT_VECTOR.into(),
        target: Target::Vector(vector.to_vec()),
        limit: 10,
        filter: None,
        score_threshold: None,
        with_payload: PayloadSelector::None,
        with_vector: VectorSelector::None,
        params: SearchParams { ef: None, exact: true },
    }
}
