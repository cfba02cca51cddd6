//! Losing any one node: nothing acknowledged is lost, the others go on by themselves, and the lost one comes back as it should.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jepsen_lite::client::{Class, Client};
use jepsen_lite::cluster::Cluster;
use jepsen_lite::ledger::{Fate, Ledger, content};
use jepsen_lite::load::{Load, Plan};
use jepsen_lite::seed::seed;
use serde_json::json;

use crate::support::{PATIENCE, SIZE, leaders, ledger_collection, options, place, rounds, settle, shards};

const SHARDS: usize = 4;

/// Keys that the load does not touch; enough that every shard has some.
const PROBES: std::ops::Range<u64> = 1_000..1_024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_node_may_be_killed_under_load() -> Result<()> {
    let _place = place().await;
    let seed = seed("failover");
    let mut cluster = Cluster::start(options("failover").args(&["--shards", "4"])).await?;
    ledger_collection(&cluster.client(0), "load").await?;
    let ledger = Arc::new(Ledger::new(SIZE));
    let load = Load::start(Plan::new("load", seed), cluster.clients(), ledger.clone());
    for round in 0..rounds(1) {
        for turn in 0..3 {
            let victim = (seed as usize + turn) % 3;
            load.progress(60, PATIENCE).await?;
            let led: Vec<_> =
                leaders(&cluster, SHARDS).await?.into_iter().filter(|(_, node)| *node == victim).collect();
            cluster.kill(victim);
            let killed = Instant::now();
            for survivor in (0..3).filter(|node| *node != victim) {
                probe(&cluster.client(survivor), &ledger).await?;
                let elapsed = killed.elapsed().as_millis();
                println!(
                    "  round {round}: node{} killed, leader of {} shards; node{} serves every shard after {elapsed} ms",
                    victim + 1,
                    led.len(),
                    survivor + 1
                );
            }
            load.progress(120, PATIENCE).await?;
            cluster.restart(victim)?;
            cluster.wait_healthy_node(victim).await?;
            caught_up(&cluster, victim).await?;
        }
    }
    let observed = load.stop().await;
    println!("  searches: {} judged, {} refused", observed.searches, observed.refused);
    ledger.save(&cluster.logs().join("history.jsonl"))?;
    ensure!(
        observed.searches > 0 && observed.problems.is_empty(),
        "stale reads: {:?}",
        observed.problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    );
    settle(&cluster, "load", &ledger).await?;
    cluster.finish()
}

/// Writes each probe key through one node until it is acknowledged: then that node reaches the leader of every shard.
async fn probe(client: &Client, ledger: &Ledger) -> Result<()> {
    let start = Instant::now();
    for key in PROBES {
        loop {
            let ticket = ledger.begin_put(key);
            let (vector, payload) = content(key, ticket.write, SIZE);
            let point = json!({"id": key, "vector": vector, "payload": payload});
            let answer = client.upsert("load", vec![point], json!({"timeout_ms": 3000})).await;
            let fate = match answer.class {
                Class::Ok => Fate::Ok(answer.body["results"][0]["version"].as_u64()),
                Class::Fail => Fate::Fail,
                Class::Unknown => Fate::Unknown,
            };
            ledger.finish(ticket, fate, &answer.problem);
            if answer.class == Class::Ok {
                break;
            }
            ensure!(start.elapsed() < PATIENCE, "{} does not recover: {}", client.base(), answer.problem);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}

/// Waits until every replica of a node has applied what its leader had committed when this began.
async fn caught_up(cluster: &Cluster, node: usize) -> Result<()> {
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
    let mut cluster = Cluster::start(options("snapshot").args(&args)).await?;
    ledger_collection(&cluster.client(0), "load").await?;
    let ledger = Arc::new(Ledger::new(SIZE));
    let load = Load::start(Plan::new("load", seed), cluster.clients(), ledger.clone());
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
    let observed = load.stop().await;
    ensure!(observed.problems.is_empty(), "{:?}", observed.problems);
    settle(&cluster, "load", &ledger).await?;

    // What came by snapshot must also be there after a restart that has nothing else to read it from.
    for index in 0..3 {
        cluster.kill(index);
    }
    for index in 0..3 {
        cluster.restart(index)?;
    }
    cluster.wait_healthy().await?;
    settle(&cluster, "load", &ledger).await?;
    cluster.finish()
}
