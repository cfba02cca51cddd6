//! Losing any one node: nothing acknowledged is lost, the others go on by themselves, and the lost one comes back as it
//! should.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jepsen_lite::client::ApiClient;
use jepsen_lite::cluster::TestCluster;
use jepsen_lite::run::load::{LoadGenerator, LoadPlan};
use jepsen_lite::run::register_collection::RegisterCollection;
use jepsen_lite::seed::seed;
use serde_json::Value;

use crate::support::{
    PATIENCE, leaders, options, place, put_until_acknowledged, register_collection, rounds, settle, shards,
};

const SHARDS: usize = 4;

/// Keys that the load does not touch; enough that every shard has some.
const PROBES: std::ops::Range<u64> = 1_000..1_024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_node_may_be_killed_under_load() -> Result<()> {
    let _place = place().await;
    let seed = seed("failover");
    let mut cluster = TestCluster::start(options("failover").args(&["--shards", "4"])).await?;
    let points = register_collection(&cluster, "load").await?;
    let load = LoadGenerator::start(LoadPlan::new(seed), cluster.clients(), points.clone());
    for round in 0..rounds(1) {
        for turn in 0..3 {
            let victim = (seed as usize + turn) % 3;
            load.progress(60, PATIENCE).await?;
            let led: Vec<_> =
                leaders(&cluster, SHARDS).await?.into_iter().filter(|(_, node)| *node == victim).collect();
            cluster.kill(victim);
            let killed = Instant::now();
            let probe_one = |survivor: usize| probe_all(cluster.client(survivor), points.clone(), killed);
            let (one, other) = tokio::join!(probe_one((victim + 1) % 3), probe_one((victim + 2) % 3));
            println!(
                "  round {round}: node{} killed, leader of {} shards; every shard takes writes through the others after {} and {} ms",
                victim + 1,
                led.len(),
                one?.as_millis(),
                other?.as_millis()
            );
            load.progress(120, PATIENCE).await?;
            cluster.restart(victim)?;
            cluster.wait_healthy_node(victim).await?;
            caught_up(&cluster, victim).await?;
        }
    }
    let observed = load.stop().await;
    println!("  searches: {} answered, {} refused", observed.searches, observed.refused);
    ensure!(observed.searches > 0, "no search was ever answered");
    settle(&cluster, &points).await?;
    cluster.finish()
}

/// Writes all probe keys through one node, at once, until each is acknowledged: then that node reaches the leader of
/// every shard. Returns how long after `killed` that was.
async fn probe_all(client: ApiClient, points: RegisterCollection, killed: Instant) -> Result<Duration> {
    let probes: Vec<_> = PROBES.map(|key| tokio::spawn(probe(client.clone(), points.clone(), key))).collect();
    for probe in probes {
        probe.await??;
    }
    Ok(killed.elapsed())
}

async fn probe(client: ApiClient, points: RegisterCollection, key: u64) -> Result<Value> {
    put_until_acknowledged(&client, &points, key).await
}

/// Waits until every replica of a node has applied what its leader had committed when this began.
async fn caught_up(cluster: &TestCluster, node: usize) -> Result<()> {
    let mut wanted = Vec::new();
    for (shard, leader) in leaders(cluster, shards(&cluster.client(node)).await?.len()).await? {
        let rows = shards(&cluster.client(leader)).await?;
        wanted.push((shard, rows.get(&shard).and_then(|row| row["committed"].as_u64()).context("no `committed`")?));
    }
    let start = Instant::now();
    loop {
        let rows = shards(&cluster.client(node)).await?;
        let applied = |shard: &u64| rows.get(shard).and_then(|row| row["applied"].as_u64()).unwrap_or(0);
        if wanted.iter().all(|(shard, committed)| applied(shard) >= *committed) {
            return Ok(());
        }
        ensure!(start.elapsed() < PATIENCE, "node{} does not catch up to {wanted:?}: {rows:?}", node + 1);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_missed_what_was_purged_catches_up_by_snapshot() -> Result<()> {
    let _place = place().await;
    let seed = seed("catch_up_by_snapshot");
    let args = ["--shards", "2", "--snapshot-after", "40", "--keep-entries", "10"];
    let mut cluster = TestCluster::start(options("snapshot").args(&args)).await?;
    let points = register_collection(&cluster, "load").await?;
    let load = LoadGenerator::start(LoadPlan::new(seed), cluster.clients(), points.clone());
    load.progress(60, PATIENCE).await?;
    let victim = seed as usize % 3;
    let before = shards(&cluster.client(victim)).await?;
    cluster.kill(victim);

    let start = Instant::now();
    loop {
        let mut purged = 0;
        for (shard, leader) in leaders(&cluster, 2).await? {
            let rows = shards(&cluster.client(leader)).await?;
            let last = before[&shard]["last_log"].as_u64().context("no `last_log`")?;
            purged += usize::from(rows[&shard]["purged"].as_u64().context("no `purged`")? > last);
        }
        if purged == 2 {
            break;
        }
        ensure!(start.elapsed() < 2 * PATIENCE, "the log of a killed node's shards is never purged");
        load.progress(50, PATIENCE).await?;
    }
    cluster.restart(victim)?;
    cluster.wait_healthy_node(victim).await?;
    caught_up(&cluster, victim).await?;
    for (shard, row) in shards(&cluster.client(victim)).await? {
        let last = before[&shard]["last_log"].as_u64();
        ensure!(row["snapshot"].as_u64() > last, "shard {shard} did not come by snapshot: {row}");
    }
    load.stop().await;
    settle(&cluster, &points).await?;

    // What came by snapshot must also be there after a restart that has nothing else to read it from.
    for index in 0..3 {
        cluster.kill(index);
    }
    for index in 0..3 {
        cluster.restart(index)?;
    }
    cluster.wait_healthy().await?;
    settle(&cluster, &points).await?;
    cluster.finish()
}
