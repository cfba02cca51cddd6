//! Ingest in batches, single writes by one client, and single writes by many clients at once.
//!
//! In: a cluster and points. Out: rows, compared with what the disk alone can do. The points stay.

use super::disk;
use crate::cluster::indexing;
use crate::cluster::load::{Taken, Until, encoded, run};
use crate::cluster::{BenchCluster, COLLECTION, NODES, WRITES};
use crate::data::corpus::Corpus;
use crate::report::times::{Times, digits};
use crate::report::{Report, ReportRow};
use quiver::api::{Consistency, PointsHead, Upsert};
use quiver::client::Body;
use quiver::client::load::body_of;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Points in one request of an ingest.
const BATCH: u64 = 100;
/// How many clients write at once, so that their writes share syncs.
const CROWD: usize = 64;
/// The bar: many clients must write so many times as much as one sync a write, or one client, would give.
const GROUP_COMMIT_BAR: f64 = 5.0;
/// The bars of an ingest, in milliseconds of all servers for a vector: until it is acknowledged, and until it is
/// indexed.
const INGEST_BARS: (f64, f64) = (0.20, 0.75);
/// The bar of a single write by one client, in milliseconds; and the slowest sync of a disk for which it applies.
const SINGLE_BAR: (f64, f64) = (1.5, 0.25);
/// Bodies that are made before single writes: a bound on memory.
const SINGLE_WRITES: u64 = 30_000;

/// What the disk alone does.
#[derive(Clone, Copy)]
pub(crate) struct Syncs {
    /// Appends and syncs a second.
    pub(crate) rate: f64,
    /// The median time of one of them.
    pub(crate) p50_ms: f64,
}

/// Measures the disk alone: appends and syncs, one pair after the other.
pub(crate) fn disk(report: &mut Report, name: &str, dir: &Path, time: Duration) -> anyhow::Result<Syncs> {
    let times = disk::sync_times(dir, time)?;
    let rate = rate(&times, time);
    let row = ReportRow::new(format!("disk, 2 KiB append + fdatasync, {name}"), format!("{}/s", digits(rate)));
    let row = row.detail(times.summary()).number("per_second", rate);
    report.add(row.number("p50_ms", times.p50()).number("p99_ms", times.p99()));
    Ok(Syncs { rate, p50_ms: times.p50() })
}

fn rate(times: &Times, time: Duration) -> f64 {
    times.len() as f64 / time.as_secs_f64()
}

/// How an ingest is made.
#[derive(Clone, Copy)]
pub(crate) struct Ingest {
    /// Clients at once.
    pub(crate) clients: usize,
    /// `true` for bodies of the compact form, as `quiver ingest` sends them; else they are JSON.
    pub(crate) compact: bool,
    /// `true` if the bars apply.
    pub(crate) is_full: bool,
}

impl Ingest {
    fn name(self) -> String {
        let form = if self.compact { ", compact body" } else { "" };
        format!("ingest{form}, batch {BATCH}, {}", people(self.clients))
    }

    fn body(self, corpus: &Corpus, ids: Range<u64>) -> Body {
        if !self.compact {
            return Body::json(&upsert(COLLECTION, corpus, ids));
        }
        let points: Vec<_> = ids.map(|id| (id, corpus.point(id))).collect();
        body_of(head(COLLECTION), &points)
    }
}

/// Loads the points of these ids in batches, and waits until they are indexed.
pub(crate) async fn ingest(
    report: &mut Report,
    cluster: &BenchCluster,
    corpus: &Corpus,
    ids: Range<u64>,
    how: Ingest,
) -> anyhow::Result<()> {
    // Bodies are made before the clocks start.
    let starts = ids.clone().step_by(BATCH as usize);
    let bodies: Vec<Body> = starts.map(|start| how.body(corpus, start..(start + BATCH).min(ids.end))).collect();
    let (bodies, until) = (Arc::new(bodies), Until::all((ids.end - ids.start).div_ceil(BATCH)));
    let (indexers, processor, started) = (cluster.indexers_ms()?, cluster.processor_ms()?, Instant::now());
    let taken = run(cluster, how.clients, until, move |hand, number| {
        let body = bodies[number as usize].clone();
        async move { hand.write_body("/vectors", body).await }
    });
    let taken = taken.await?;
    let each = |ms: f64| ms / (ids.end - ids.start) as f64;
    // Indexing goes on beside the ingest, as far as a processor is free. Its time belongs to the next row.
    let beside = each(cluster.indexers_ms()? - indexers);
    let (rate, cpu) = (taken.rate() * BATCH as f64, each(taken.processor_ms) - beside);
    let detail = format!(
        "{} a batch; {} ms CPU a vector, and {} for the indexing beside{}",
        taken.times.summary(),
        digits(cpu),
        digits(beside),
        taken.mishaps()
    );
    let row = ReportRow::new(how.name(), format!("{} vectors/s", digits(rate))).detail(detail);
    let row = row.bar_where(how.is_full, format!("<= {} ms CPU", INGEST_BARS.0), cpu <= INGEST_BARS.0);
    report.add(numbers(row, &taken).number("vectors_per_second", rate).number("cpu_ms_per_vector", cpu));
    indexing::everywhere(cluster).await?;
    let (all, seconds) = (each(cluster.processor_ms()? - processor), started.elapsed().as_secs_f64());
    let row = ReportRow::new(format!("{}, until indexed", how.name()), format!("{} ms CPU a vector", digits(all)));
    let row = row.detail(format!("in all {NODES} replicas, after {} s", digits(seconds)));
    let row = row.bar_where(how.is_full, format!("<= {} ms CPU", INGEST_BARS.1), all <= INGEST_BARS.1);
    report.add(row.number("cpu_ms_per_vector", all).number("seconds", seconds));
    Ok(())
}

/// Measures single writes by one client, and then by many. Those of many are compared with one sync a write, and with
/// those of one client.
pub(crate) async fn single(
    report: &mut Report,
    cluster: &BenchCluster,
    corpus: &Corpus,
    syncs: Syncs,
    time: Duration,
) -> anyhow::Result<()> {
    let alone = singles(cluster, corpus, 1, time).await?;
    let bar = format!("p50 <= {} ms on a disk of <= {} ms", SINGLE_BAR.0, SINGLE_BAR.1);
    let row = single_row("single upsert, 1 client", &alone);
    let row = row.number("disk_p50_ms", syncs.p50_ms);
    report.add(row.bar_where(syncs.p50_ms <= SINGLE_BAR.1, bar, alone.times.p50() <= SINGLE_BAR.0));
    // Writes that wait together share a sync: that is the group commit.
    let crowd = singles(cluster, corpus, CROWD, time).await?;
    report.add(single_row(&format!("single upsert, {CROWD} clients"), &crowd));
    for (against, rate) in [("one fdatasync a write", syncs.rate), ("one client", alone.rate())] {
        let ratio = crowd.rate() / rate;
        let detail = format!("{}/s over {}/s", digits(crowd.rate()), digits(rate));
        let row = ReportRow::new(format!("group commit over {against}"), format!("{} x", digits(ratio)));
        let row = row.detail(detail).bar(format!(">= {GROUP_COMMIT_BAR} x"), ratio >= GROUP_COMMIT_BAR);
        report.add(row.number("ratio", ratio));
    }
    Ok(())
}

async fn singles(cluster: &BenchCluster, corpus: &Corpus, clients: usize, time: Duration) -> anyhow::Result<Taken> {
    let count = if clients == 1 { SINGLE_WRITES / 3 } else { SINGLE_WRITES };
    let bodies = encoded((0..count).map(|id| upsert(WRITES, corpus, id..id + 1)));
    run(cluster, clients, Until { operations: count, time }, move |hand, number| {
        let bodies = bodies.clone();
        async move { hand.write_body("/vectors", bodies[number as usize].clone()).await }
    })
    .await
}

fn single_row(name: &str, taken: &Taken) -> ReportRow {
    let cpu = taken.processor_ms_per(1.0);
    let detail = format!("{}; {} ms CPU a write{}", taken.times.summary(), digits(cpu), taken.mishaps());
    let row = ReportRow::new(name, format!("{} writes/s", digits(taken.rate()))).detail(detail);
    numbers(row, taken).number("writes_per_second", taken.rate()).number("cpu_ms_per_write", cpu)
}

fn numbers(row: ReportRow, taken: &Taken) -> ReportRow {
    let row = row.number("p50_ms", taken.times.p50()).number("p99_ms", taken.times.p99());
    row.number("operations", taken.times.len() as f64).number("retries", taken.retries as f64)
}

/// A write of these points. Its own request id makes a repetition harmless.
pub(crate) fn upsert(collection: &str, corpus: &Corpus, ids: Range<u64>) -> Upsert {
    Upsert {
        collection: collection.into(),
        vectors: ids.map(|id| corpus.point(id)).collect(),
        consistency: Some(Consistency::Quorum.into()),
        request_id: Some(Uuid::new_v4()),
        timeout_ms: None,
    }
}

fn head(collection: &str) -> PointsHead {
    PointsHead {
        collection: collection.into(),
        using: None,
        consistency: Some(Consistency::Quorum.into()),
        request_id: Some(Uuid::new_v4()),
        timeout_ms: None,
    }
}

/// Adds a row about the disk that the points take. `points` is how many were acknowledged so far.
pub(crate) async fn footprint(
    report: &mut Report,
    cluster: &BenchCluster,
    points: u64,
    columns: usize,
) -> anyhow::Result<()> {
    let (mut claimed, mut taken) = (0, 0);
    for node in cluster.nodes() {
        let stats: quiver::api::Stats = quiver::client::Client::new(&[node.url])?.get("/stats").await?;
        claimed += stats.disk_bytes;
        taken += disk::bytes_under(&node.dir)?;
    }
    // Every node holds a copy of every point.
    let each = |bytes: u64| bytes as f64 / points as f64 / NODES as f64;
    let row = ReportRow::new("disk after the ingest, a vector and copy", format!("{} bytes", digits(each(taken))));
    let detail = format!(
        "{} by /stats; a raw vector has {}; {} MiB on {NODES} nodes",
        digits(each(claimed)),
        4 * columns,
        taken >> 20
    );
    report.add(row.detail(detail).number("bytes_per_vector", each(taken)).number("bytes_by_stats", each(claimed)));
    Ok(())
}

/// The number of clients, in words.
pub(crate) fn people(clients: usize) -> String {
    if clients == 1 { "1 client".into() } else { format!("{clients} clients") }
}
