//! A node that holds all points is ended and started again: when it answers by itself, and when all is indexed as
//! before.
//!
//! In: a cluster with points on it. Out: rows for an end by SIGTERM and for one by SIGKILL.

use super::reads::numbers;
use crate::cluster::indexing::Extent;
use crate::cluster::{BenchCluster, COLLECTION, Node};
use crate::data::corpus::Corpus;
use crate::data::truth::{TOP, Truth, right};
use crate::report::times::digits;
use crate::report::{Report, ReportRow};
use anyhow::{Context, ensure};
use quiver::api::{Consistency, Search, SearchParams, Searched};
use quiver::client::Client;
use std::time::{Duration, Instant};

/// Longest wait for the first answer, and for the index.
const PATIENCE: Duration = Duration::from_secs(120);
/// Time between two questions.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// The bars in seconds: of the first answer, and of the index.
const ANSWER_BAR: f64 = 2.0;
const INDEX_BAR: f64 = 5.0;

/// How the node ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Asked,
    Killed,
}

/// Restarts a node after each kind of end, and adds the rows.
pub(crate) async fn measure(
    report: &mut Report,
    cluster: &mut BenchCluster,
    corpus: &Corpus,
    (points, is_full): (u64, bool),
) -> anyhow::Result<()> {
    let (truth, _) = corpus.truth(points, None);
    for end in [End::Asked, End::Killed] {
        let victim = cluster.nodes().into_iter().nth(1).context("there is no second node")?;
        let (answered, indexed) = restarted(cluster, corpus, &truth, victim, end).await?;
        let how = if end == End::Asked { "SIGTERM" } else { "kill -9" };
        for (what, seconds, bar) in [("first right answer", answered, ANSWER_BAR), ("all indexed", indexed, INDEX_BAR)]
        {
            let name = format!("restart after {how}, {points} points: {what}");
            let row = ReportRow::new(name, format!("{} s", digits(seconds))).detail("from the start of the process");
            report.add(row.bar_where(is_full, format!("<= {bar} s"), seconds <= bar).number("seconds", seconds));
        }
    }
    Ok(())
}

/// Returns the seconds from the start of the process to its first right answer, and to the end of its indexing.
async fn restarted(
    cluster: &mut BenchCluster,
    corpus: &Corpus,
    truth: &Truth,
    node: Node,
    end: End,
) -> anyhow::Result<(f64, f64)> {
    let before = Extent::of(&node).await?;
    let probe = Probe::find(corpus, truth, &node).await?;
    match end {
        End::Asked => cluster.terminate(&node.name).await?,
        End::Killed => cluster.kill(&node.name)?,
    }
    // The clock starts when the process is started, not when the old one ends.
    let started = Instant::now();
    cluster.restart(&node.name)?;
    wait("answer rightly", async || probe.is_answered(corpus).await).await?;
    let answered = started.elapsed();
    // A node that has not opened all its replicas yet also has nothing that waits.
    let is_back = |now: Extent| now.replicas == before.replicas && now.points >= before.points;
    wait("index its vectors", async || {
        Extent::of(&node).await.is_ok_and(|now| is_back(now) && now.waiting == 0 && now.indexed >= before.indexed)
    })
    .await?;
    let indexed = started.elapsed();
    cluster.caught_up(&node.name).await?;
    cluster.healthy().await?;
    Ok((answered.as_secs_f64(), indexed.as_secs_f64()))
}

async fn wait(what: &str, mut done: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
    let until = Instant::now() + PATIENCE;
    while !done().await {
        ensure!(Instant::now() < until, "the restarted node did not {what} within {} s", PATIENCE.as_secs());
        tokio::time::sleep(ASK_EVERY).await;
    }
    Ok(())
}

/// A search that a node answers rightly from its own replicas alone.
struct Probe<'a> {
    client: Client,
    node: String,
    search: Search,
    number: u64,
    exact: &'a [u64],
}

impl<'a> Probe<'a> {
    /// Finds the first search that the node answers so now. The index may miss a hit of some others.
    async fn find(corpus: &Corpus, truth: &'a Truth, node: &Node) -> anyhow::Result<Self> {
        let until = Instant::now() + PATIENCE;
        for (number, exact) in truth.0.iter().enumerate().cycle() {
            let search = Search {
                params: SearchParams::default(),
                consistency: Some(Consistency::One.into()),
                ..corpus.search(COLLECTION, number as u64)
            };
            let client = Client::new(std::slice::from_ref(&node.url))?;
            let probe = Self { client, node: node.name.clone(), search, number: number as u64, exact };
            if probe.is_answered(corpus).await {
                return Ok(probe);
            }
            ensure!(Instant::now() < until, "{} answers no query rightly by itself", node.name);
        }
        anyhow::bail!("there is no query")
    }

    async fn is_answered(&self, corpus: &Corpus) -> bool {
        let found: Result<Searched, _> = self.client.ask("/search", &self.search).await;
        found.is_ok_and(|found| {
            let is_own = !found.shards.is_empty() && found.shards.iter().all(|row| row.served_by == self.node);
            let vector = |id| corpus.vector(id);
            is_own && right(corpus.query(self.number), self.exact, &numbers(&found), vector) == TOP
        })
    }
}
