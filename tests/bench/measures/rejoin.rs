//! A node that was killed and missed writes comes back while writes go on: how soon it has caught up, and how long
//! writers at the other nodes are held up.

use super::failover;
use super::writes::upsert;
use crate::cluster::{BenchCluster, Node, WRITES};
use crate::data::corpus::Corpus;
use crate::report::times::{digits, millis};
use crate::report::{Report, ReportRow};
use anyhow::{Context, ensure};
use quiver::api::{Shards, Upserted};
use quiver::client::Client;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Clients that write one point after the other, to all shards.
const WRITERS: u64 = 8;
/// How many points are written in turn.
const POINTS: u64 = 20_000;
/// Pause of a writer after a failed write.
const PAUSE: Duration = Duration::from_millis(20);
/// Pause between two looks at how far the node is.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Longest wait for the node to catch up.
const PATIENCE: Duration = Duration::from_secs(120);
/// The bar: the longest time to catch up, in seconds.
const BAR: f64 = 5.0;

/// Kills a node, lets it miss writes for a while, starts it again, and adds the rows.
pub(crate) async fn measure(
    report: &mut Report,
    cluster: &mut BenchCluster,
    corpus: &Arc<Corpus>,
    (missed, is_full): (Duration, bool),
) -> anyhow::Result<()> {
    cluster.healthy().await?;
    let mut nodes = cluster.nodes();
    let victim = nodes.remove(nodes.len() - 1);
    let writers = Writers::start(corpus, &nodes)?;
    let killed = Instant::now();
    cluster.kill(&victim.name)?;
    tokio::time::sleep(missed).await;
    let restarted = Instant::now();
    cluster.restart(&victim.name)?;
    // The writers are stopped before an error ends the measure.
    let outcome = level(&victim, &nodes).await;
    let level_at = Instant::now();
    let acknowledged = writers.stop().await;
    outcome?;
    // A stall at the kill is a failover. It is shown beside the stall during the rejoin.
    let stall = |from, to| acknowledged.iter().map(|times| longest_gap(times, from, to)).max().unwrap_or_default();
    let (alone, beside) = (stall(killed, restarted), stall(restarted, level_at));
    let entries = acknowledged.iter().flatten().filter(|time| **time >= killed && **time < restarted).count();
    let seconds = (level_at - restarted).as_secs_f64();
    let name = format!("rejoin after kill -9 and {} s of missed writes: level", missed.as_secs());
    let row = ReportRow::new(name, format!("{} s", digits(seconds)));
    let row = row.detail(format!("{entries} writes missed, and more coming; from the start of the process"));
    let row = row.bar_where(is_full, format!("<= {BAR} s"), seconds <= BAR);
    report.add(row.number("seconds", seconds).number("missed_writes", entries as f64));
    let (alone, beside, bar) = (alone.as_secs_f64() * 1e3, beside.as_secs_f64() * 1e3, failover::bar_ms());
    let row = ReportRow::new("longest stall of a writer during the rejoin", millis(beside));
    let row = row.detail(format!("{WRITERS} writers at the other nodes; {} when the node was killed", millis(alone)));
    let row = row.bar(format!("< {bar:.0} ms, a failover"), beside < bar);
    report.add(row.number("stall_ms", beside).number("stall_at_kill_ms", alone));
    cluster.caught_up(&victim.name).await
}

/// Waits until a node has applied everything that the others had applied just before it was asked.
async fn level(victim: &Node, others: &[Node]) -> anyhow::Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut most = BTreeMap::<u32, u64>::new();
        for node in others {
            for (shard, applied) in applied(node).await.context("a node that was left alone does not answer")? {
                let known = most.entry(shard).or_default();
                *known = applied.max(*known);
            }
        }
        // The node that starts may not answer yet, which counts as nothing applied.
        let own = applied(victim).await.unwrap_or_default();
        if most.iter().all(|(shard, applied)| own.get(shard).is_some_and(|own| own >= applied)) {
            return Ok(());
        }
        ensure!(Instant::now() < until, "{} is not level after {} s", victim.name, PATIENCE.as_secs());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn applied(node: &Node) -> anyhow::Result<BTreeMap<u32, u64>> {
    let shards: Shards = Client::new(std::slice::from_ref(&node.url))?.get("/shards").await?;
    Ok(shards.shards.iter().map(|row| (row.shard, row.applied)).collect())
}

/// Clients that write until they are stopped, and note when each write was acknowledged.
struct Writers {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Vec<Instant>>,
}

impl Writers {
    fn start(corpus: &Arc<Corpus>, nodes: &[Node]) -> anyhow::Result<Self> {
        let (stop, mut tasks) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        for number in 0..WRITERS {
            let mut urls: Vec<String> = nodes.iter().map(|node| node.url.clone()).collect();
            urls.rotate_left(number as usize % nodes.len());
            let (client, corpus, stop) = (Client::new(&urls)?, corpus.clone(), stop.clone());
            tasks.spawn(async move {
                let (mut times, mut id) = (vec![Instant::now()], number);
                while !stop.load(Ordering::Relaxed) {
                    let write = upsert(WRITES, &corpus, id..id + 1);
                    if client.write::<Upserted>("/vectors", &write, Duration::ZERO, |_| {}).await.is_ok() {
                        times.push(Instant::now());
                        id = (id + WRITERS) % POINTS;
                    } else {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                times
            });
        }
        Ok(Self { stop, tasks })
    }

    /// Stops the writers. Returns for each of them when its writes were acknowledged, after the moment of its start.
    async fn stop(self) -> Vec<Vec<Instant>> {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await
    }
}

/// The longest time between two successive moments, among those pairs that overlap the time from `from` to `to`.
fn longest_gap(times: &[Instant], from: Instant, to: Instant) -> Duration {
    let pairs = times.windows(2).filter(|pair| pair[1] > from && pair[0] < to);
    pairs.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_counts_where_it_overlaps() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let times = [0, 10, 500, 510, 530, 2_000].map(at);
        let longest = |from, to| longest_gap(&times, at(from), at(to)).as_millis();
        assert_eq!((longest(0, 5), longest(20, 505), longest(502, 520), longest(0, 3_000)), (10, 490, 20, 1_470));
        assert_eq!(longest(2_000, 3_000), 0);
    }
}
