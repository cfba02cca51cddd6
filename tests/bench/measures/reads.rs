//! Gets and searches at each level, and the recall of exact searches.
//!
//! In: a cluster with points on it. Out: rows by level, and a row about recall.

use super::writes::people;
use crate::cluster::load::{Taken, Until, encoded, run};
use crate::cluster::{BenchCluster, COLLECTION};
use crate::data::corpus::Corpus;
use crate::data::truth::{TOP, right};
use crate::report::times::digits;
use crate::report::{Report, ReportRow};
use anyhow::ensure;
use quiver::api::{Consistency, Found, PointId, Search, SearchParams, Searched};
use quiver::client::Body;
use std::sync::Arc;
use std::time::Duration;

/// All levels, the weakest first.
const LEVELS: [Consistency; 3] = [Consistency::One, Consistency::Quorum, Consistency::All];
/// How many searches are encoded before a load.
const SEARCHES: u64 = 100;
/// Ids are read with this stride. It is prime and divides no number of points used here, so reads reach all shards.
const STRIDE: u64 = 7_919;

/// Measures gets and searches at every level, by one client and by eight.
pub(crate) async fn levels(
    report: &mut Report,
    cluster: &BenchCluster,
    corpus: &Corpus,
    points: u64,
    time: Duration,
) -> anyhow::Result<()> {
    for level in LEVELS {
        for clients in [1, 8] {
            let taken = gets(cluster, level, clients, points, time).await?;
            report.add(row("get by id", level, clients, &taken));
        }
    }
    for level in LEVELS {
        // Unlike the measure of recall, these searches go by the index.
        let indexed = |number| Search { params: SearchParams::default(), ..corpus.search(COLLECTION, number) };
        let bodies = encoded((0..SEARCHES).map(|number| at(indexed(number), level)));
        for clients in [1, 8] {
            let taken = searches(cluster, bodies.clone(), clients, time).await?;
            report.add(row("search", level, clients, &taken));
        }
    }
    Ok(())
}

async fn gets(
    cluster: &BenchCluster,
    level: Consistency,
    clients: usize,
    points: u64,
    time: Duration,
) -> anyhow::Result<Taken> {
    run(cluster, clients, Until::time(time), move |hand, number| async move {
        let id = number * STRIDE % points;
        hand.client().get::<Found>(&format!("/vectors/{COLLECTION}/{id}?consistency={level}")).await.map(drop)
    })
    .await
}

/// Carries out these searches in turn for this time.
pub(crate) async fn searches(
    cluster: &BenchCluster,
    bodies: Arc<Vec<Body>>,
    clients: usize,
    time: Duration,
) -> anyhow::Result<Taken> {
    run(cluster, clients, Until::time(time), move |hand, number| {
        let bodies = bodies.clone();
        async move {
            let body = bodies[(number % bodies.len() as u64) as usize].clone();
            hand.client().ask_body::<Searched>("/search", body).await.map(drop)
        }
    })
    .await
}

fn at(search: Search, level: Consistency) -> Search {
    Search { consistency: Some(level.into()), ..search }
}

fn row(what: &str, level: Consistency, clients: usize, taken: &Taken) -> ReportRow {
    let cpu = taken.processor_ms_per(1.0);
    let name = format!("{what} at {}, {}", level.to_string().to_uppercase(), people(clients));
    let row = ReportRow::new(name, format!("{}/s", digits(taken.rate())));
    let row = row.detail(format!("{}; {} ms CPU each", taken.times.summary(), digits(cpu)));
    let row = row.number("per_second", taken.rate()).number("cpu_ms", cpu);
    row.number("p50_ms", taken.times.p50()).number("p99_ms", taken.times.p99())
}

/// Asks every query with a known answer once, as an exact search by one client at QUORUM. Adds rows about time and
/// recall.
pub(crate) async fn recall(
    report: &mut Report,
    cluster: &BenchCluster,
    corpus: &Corpus,
    points: u64,
) -> anyhow::Result<()> {
    let (truth, source) = corpus.truth(points, None);
    let (client, mut times, mut correct) = (cluster.client(0)?, Vec::new(), 0);
    for (number, exact) in truth.0.iter().enumerate() {
        let search = at(corpus.search(COLLECTION, number as u64), Consistency::Quorum);
        let before = std::time::Instant::now();
        let found: Searched = client.ask("/search", &search).await?;
        times.push(before.elapsed());
        // An answer without all shards would make recall look low for another reason.
        ensure!(found.missing_shards.is_empty(), "query {number} was answered without all shards");
        correct += right(corpus.query(number as u64), exact, &numbers(&found), |id| corpus.vector(id));
    }
    let times = crate::report::times::Times::new(times);
    let recall = correct as f64 / (truth.0.len() * TOP) as f64;
    let size = format!("{points} x {}", corpus.columns);
    let row = ReportRow::new(format!("exact search over HTTP, {size}"), format!("{} ms", digits(times.p50())));
    let row = row.detail(format!("{} over {} queries at QUORUM, 1 client", times.summary(), times.len()));
    report.add(row.number("p50_ms", times.p50()).number("p99_ms", times.p99()));
    let row =
        ReportRow::new("recall@10 of those, by score", format!("{recall:.4}")).detail(format!("answers: {source}"));
    report.add(row.bar("1", correct == truth.0.len() * TOP).number("recall", recall));
    Ok(())
}

/// The ids of the hits, best first.
pub(crate) fn numbers(found: &Searched) -> Vec<u64> {
    let number = |id| match id {
        PointId::Num(number) => Some(number),
        PointId::Uuid(_) => None,
    };
    found.results.iter().filter_map(|hit| number(hit.id)).collect()
}
