//! A fourth node joins while points are written: how much slower searches are meanwhile, and how long the join takes.
//!
//! In: a cluster of three nodes with points on it. Out: one row about searches before the join and during it.

use super::writes::upsert;
use crate::cluster::{BenchCluster, COLLECTION};
use crate::data::corpus::Corpus;
use crate::report::times::{Times, digits, millis};
use crate::report::{Report, ReportRow};
use anyhow::{Context, ensure};
use quiver::api::{AddNode, Change, OperationRow, Searched, Upserted};
use quiver::client::Client;
use reqwest::Method;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Points in one request of the ingest beside.
const BATCH: u64 = 100;
/// How many different searches are made in turn.
const SEARCHES: u64 = 100;
/// How many times as long the p99 of searches may be during the move.
const BAR: f64 = 3.0;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(600);

/// Measures searches under an ingest, and the same again while replicas move to a new node.
pub(crate) async fn measure(
    report: &mut Report,
    cluster: &mut BenchCluster,
    corpus: Arc<Corpus>,
    first: u64,
    time: Duration,
) -> anyhow::Result<()> {
    let client = cluster.client(0)?;
    let ingest = BackgroundIngest::start(Arc::new(cluster.client(1)?), corpus.clone(), first);
    let before = searched(&client, &corpus, |began| std::future::ready(Ok(began.elapsed() < time))).await?;
    let (name, host, port) = cluster.join().await?;
    let began = Instant::now();
    let body = AddNode { node_id: name, host, port, replaces: None };
    let change: Change = client.change(&Method::POST, "/cluster/nodes", &body).await?;
    let path = format!("/quiver/v1/operations/{}", change.operation_id.context("the node was known already")?);
    // The join is over when its operation has ended.
    let moving = |since: Instant| {
        let (client, path) = (&client, &path);
        async move {
            ensure!(since.elapsed() < PATIENCE, "the new node is not balanced yet");
            let row: OperationRow = client.get(path).await?;
            ensure!(row.state == "running" || row.state == "done", "the join ended as {}", row.state);
            Ok(row.state == "running")
        }
    };
    let during = searched(&client, &corpus, moving).await?;
    let (took, written) = (began.elapsed(), ingest.stop().await);
    // Both sides have the same ingest beside them, so the ratio is that of the move.
    let factor = during.p99() / before.p99();
    let row = ReportRow::new("search while a fourth node is filled", format!("p99 {}", millis(during.p99())));
    let detail = format!(
        "{} before, under the same ingest; {} times as long; the join took {:.1} s; {written} points came in meanwhile",
        millis(before.p99()),
        digits(factor),
        took.as_secs_f64(),
    );
    let row = row.detail(detail).bar(format!("<= {BAR} times"), factor <= BAR);
    let row = row.number("p99_ms", during.p99()).number("p99_before_ms", before.p99());
    report.add(row.number("join_seconds", took.as_secs_f64()));
    Ok(())
}

/// Searches at QUORUM, one after the other, until `go_on` gives `false`. It is asked after every few searches.
async fn searched<A>(client: &Client, corpus: &Corpus, go_on: impl Fn(Instant) -> A) -> anyhow::Result<Times>
where
    A: Future<Output = anyhow::Result<bool>>,
{
    let (began, mut times) = (Instant::now(), Vec::new());
    while go_on(began).await? {
        for number in 0..SEARCHES / 10 {
            let search = corpus.search(COLLECTION, number + times.len() as u64 % SEARCHES);
            let before = Instant::now();
            let _: Searched = client.ask("/search", &search).await?;
            times.push(before.elapsed());
        }
    }
    Ok(Times::new(times))
}

/// One client that writes one batch after the other.
struct BackgroundIngest {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl BackgroundIngest {
    fn start(client: Arc<Client>, corpus: Arc<Corpus>, first: u64) -> Self {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ends, counts) = (stop.clone(), written.clone());
        let task = tokio::spawn(async move {
            while !ends.load(Ordering::Relaxed) {
                let next = first + counts.load(Ordering::Relaxed);
                let batch = upsert(COLLECTION, &corpus, next..next + BATCH);
                if client.write::<Upserted>("/vectors", &batch, PATIENCE, |_| {}).await.is_ok() {
                    counts.fetch_add(BATCH, Ordering::Relaxed);
                }
            }
        });
        Self { stop, written, task }
    }

    /// Ends the ingest. Returns how many points it has written.
    async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.task.await;
        self.written.load(Ordering::Relaxed)
    }
}
