//! What survives when a replica is damaged, or a majority is lost for good: the one repairs itself, the other by the
//! operator's order, and both end with all copies equal. Damage is planted with `raft-groups` itself, since no byte on
//! the disk is sure to be in use.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use jepsen_lite::cluster::{Options, TestCluster};
use jepsen_lite::process::{Finished, run};
use jepsen_lite::seed::seed;
use raft_groups::{Disk, GroupId, Identity, StoppedNode};
use serde_json::Value;

use crate::support::members::{adopt, at_home, can_lose_one, delete, done, operation_of};
use crate::support::{
    PATIENCE, options, place, put_until_acknowledged, register_collection, same_state, settle, shards,
};

const ARGS: [&str; 4] = ["--shards", "3", "--node-lost-after-ms", "4000"];

/// Damages a stopped node's replica of a group: what is stored of its state, or all of its log, mark and vote.
async fn damage(data: &Path, group: GroupId, log: bool) -> Result<()> {
    let text = std::fs::read(data.join("node.json"))?;
    let node = serde_json::from_slice::<Value>(&text)?["node"].clone();
    let id = |value: &Value| -> Result<[u8; 16]> {
        let digits: String = value.as_str().context("no id")?.chars().filter(|c| *c != '-').collect();
        Ok(u128::from_str_radix(&digits, 16)?.to_be_bytes())
    };
    let identity = Identity {
        cluster: id(&node["member"]["cluster"])?,
        node: node["member"]["node"].as_u64().context("no number")?,
        incarnation: id(&node["incarnation"])?,
        life: Default::default(),
    };
    let stores = data.join("raft");
    let stopped = StoppedNode::open(identity, Disk::open(&stores)?).await?;
    if log {
        stopped.lose_log(group).await?
    } else {
        stopped.damage(group).await?
    }
    drop(stopped);
    // The store's workers hold its lock a moment longer; the node must get it.
    let start = Instant::now();
    while let Err(error) = Disk::open(&stores) {
        ensure!(start.elapsed() < PATIENCE, "the stores stay locked: {error}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_replica_is_made_anew_by_itself() -> Result<()> {
    let _place = place().await;
    let seed = seed("made-anew");
    let mut cluster = TestCluster::start(options("made-anew").args(&ARGS)).await?;
    let points = register_collection(&cluster, "d").await?;
    for key in 0..60 {
        put_until_acknowledged(&cluster.client(key as usize % 3), &points, key).await?;
    }
    // A shard's replica and the map's.
    let (shard, map) = (GroupId(1 + seed % 3), GroupId(0));
    for (round, (group, log)) in [(shard, false), (map, false), (shard, true), (map, true)].into_iter().enumerate() {
        let victim = (seed as usize + round) % 3;
        ensure!(cluster.terminate(victim).await? == Some(0), "a clean stop");
        damage(cluster.node(victim).data(), group, log).await?;
        let before = cluster.node(victim).log().len();
        cluster.restart(victim)?;
        let start = Instant::now();
        while !cluster.node(victim).log()[before..].contains("is damaged") {
            ensure!(cluster.node(victim).running(), "it ended:\n{}", &cluster.node(victim).log()[before..]);
            ensure!(start.elapsed() < PATIENCE, "the damage of {group} is not noticed");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        cluster.wait_healthy_node(victim).await?;
        // Healthy for a moment before the damage was known would do, so wait for what must come of it.
        let start = Instant::now();
        while !cluster.node(victim).log()[before..].contains("it is erased") {
            ensure!(start.elapsed() < PATIENCE, "the damaged replica of {group} is not erased");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        at_home(&cluster.client(victim), &["node1", "node2", "node3"], 3).await?;
        cluster.wait_healthy().await?;
        can_lose_one(&cluster.client(victim)).await?;
        let what = if log { "log" } else { "state" };
        println!("  node{}: the {what} of {group} was damaged, and its replica is made anew", victim + 1);
    }
    for key in 60..80 {
        put_until_acknowledged(&cluster.client(key as usize % 3), &points, key).await?;
    }
    settle(&cluster, &points).await?;
    cluster.finish()
}

/// A power loss may cost a node its whole state store, for that is not synced. Its logs still hold what no snapshot holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lost_its_state_has_it_back() -> Result<()> {
    let _place = place().await;
    let seed = seed("lost-state");
    // Of the map the log goes back to its beginning, of the shards it does not.
    let args = [&ARGS[..], &["--snapshot-after", "30", "--keep-entries", "5"]].concat();
    let mut cluster = TestCluster::start(options("lost-state").args(&args)).await?;
    let points = register_collection(&cluster, "d").await?;
    for key in 0..200 {
        put_until_acknowledged(&cluster.client(key as usize % 3), &points, key).await?;
    }
    let victim = seed as usize % 3;
    let rows = shards(&cluster.client(victim)).await?;
    ensure!(rows.values().any(|row| row["purged"].as_u64() > Some(0)), "no log was purged: {rows:?}");
    ensure!(cluster.terminate(victim).await? == Some(0), "a clean stop");
    let state = cluster.node(victim).data().join("raft/state/db");
    let mut bytes = std::fs::read(&state)?;
    bytes[64..].fill(0xa5);
    std::fs::write(&state, bytes)?;
    let before = cluster.node(victim).log().len();
    cluster.restart(victim)?;
    cluster.wait_healthy_node(victim).await?;
    let start = Instant::now();
    while cluster.node(victim).log()[before..].matches("it is erased").count() < 3 {
        ensure!(start.elapsed() < PATIENCE, "not all shards' replicas were let go of:\n{}", cluster.node(victim).log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    at_home(&cluster.client(victim), &["node1", "node2", "node3"], 3).await?;
    for key in 200..220 {
        put_until_acknowledged(&cluster.client(key as usize % 3), &points, key).await?;
    }
    settle(&cluster, &points).await?;
    cluster.finish()
}

/// Lets a lost node leave, as soon as the map knows that the groups go on without it.
async fn bury(cluster: &TestCluster, by: usize, name: &str) -> Result<()> {
    let start = Instant::now();
    loop {
        let left = delete(&cluster.client(by), &format!("/cluster/nodes/{name}")).await;
        if left.code() != "would_lose_quorum" {
            return done(&cluster.running_clients(), &operation_of(left)?).await;
        }
        ensure!(start.elapsed() < PATIENCE, "{name} may never leave: {}", left.body);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// Runs the verb on a node's directory.
async fn recover(cluster: &mut TestCluster, index: usize, more: &[&str]) -> Result<Finished> {
    let data = cluster.node(index).data().to_string_lossy().into_owned();
    let args = [&["cluster", "unsafe-recover", "--data-dir", &data], more].concat();
    run(cluster.verb(&args), PATIENCE).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_of_three_goes_on_and_gets_new_companions() -> Result<()> {
    let _place = place().await;
    let seed = seed("last-of-three");
    let mut cluster = TestCluster::start(options("last-of-three").args(&ARGS)).await?;
    let points = register_collection(&cluster, "d").await?;
    for key in 0..60 {
        put_until_acknowledged(&cluster.client(key as usize % 3), &points, key).await?;
    }
    same_state(&cluster).await?;
    let survivor = seed as usize % 3;
    let dead: Vec<usize> = (0..3).filter(|index| *index != survivor).collect();
    let lost = dead.iter().map(|index| format!("node{}", index + 1)).collect::<Vec<_>>().join(",");

    let running = recover(&mut cluster, survivor, &["--lost", &lost, "--yes"]).await?;
    ensure!(running.code == Some(1) && running.stderr.contains("in use"), "{running:?}");
    dead.iter().for_each(|index| cluster.kill(*index));
    ensure!(cluster.terminate(survivor).await? == Some(0), "a clean stop");
    let whole = recover(&mut cluster, survivor, &["--lost", "node9", "--yes"]).await?;
    ensure!(whole.code == Some(1) && whole.stderr.contains("there is no node `node9`"), "{whole:?}");
    let one = recover(&mut cluster, survivor, &["--lost", &format!("node{}", dead[0] + 1), "--yes"]).await?;
    ensure!(one.code == Some(0) && one.stdout.contains("has a majority"), "a majority was left: {one:?}");
    let told = recover(&mut cluster, survivor, &["--lost", &lost]).await?;
    ensure!(told.code == Some(10) && told.stdout.contains("would go on alone"), "{told:?}");
    let carried_out = recover(&mut cluster, survivor, &["--lost", &lost, "--yes"]).await?;
    ensure!(carried_out.code == Some(0) && carried_out.stdout.contains("goes on alone"), "{carried_out:?}");
    println!("{}", carried_out.stdout);

    cluster.restart(survivor)?;
    for key in 50..70 {
        put_until_acknowledged(&cluster.client(survivor), &points, key).await?;
    }
    let mut alive = BTreeSet::from([survivor]);
    for _ in 0..2 {
        let joiner = cluster.start_joiner(survivor)?;
        cluster.wait_answers(joiner).await?;
        let joined = operation_of(adopt(&cluster.client(survivor), &cluster, joiner).await)?;
        alive.insert(joiner);
        println!("  node{} joins: {joined}", joiner + 1);
    }
    for name in lost.split(',') {
        bury(&cluster, survivor, name).await?;
    }
    let names: Vec<String> = alive.iter().map(|index| format!("node{}", index + 1)).collect();
    at_home(&cluster.client(survivor), &names.iter().map(String::as_str).collect::<Vec<_>>(), 3).await?;
    for key in 70..80 {
        put_until_acknowledged(&cluster.running_clients()[key as usize % 3], &points, key).await?;
    }
    settle(&cluster, &points).await?;
    cluster.finish()
}

/// Two of five survive, one of them behind: the reports say which of them has what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_survivors_the_one_that_holds_more_goes_on() -> Result<()> {
    let _place = place().await;
    seed("two-of-five");
    let args = ["--shards", "2", "--replication-factor", "5", "--node-lost-after-ms", "4000"];
    let mut cluster = TestCluster::start(Options { nodes: 5, ..options("two-of-five").args(&args) }).await?;
    let points = register_collection(&cluster, "d").await?;
    for key in 0..30 {
        put_until_acknowledged(&cluster.client(key as usize % 5), &points, key).await?;
    }
    same_state(&cluster).await?;
    cluster.pause(0);
    for key in 20..50 {
        put_until_acknowledged(&cluster.client(1 + key as usize % 4), &points, key).await?;
    }
    // The second node has all of it, which no majority without the first needs.
    let start = Instant::now();
    loop {
        let (second, third) = (shards(&cluster.client(1)).await?, shards(&cluster.client(2)).await?);
        let level = |shard: &u64| second[shard]["applied"] == third[shard]["applied"];
        if second.keys().all(level) && second.values().all(|row| row["applied"] == row["last_log"]) {
            break;
        }
        ensure!(start.elapsed() < PATIENCE, "the second node is not level with the third");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    [2, 3, 4].into_iter().for_each(|index| cluster.kill(index));
    cluster.kill(0);
    ensure!(cluster.terminate(1).await? == Some(0), "a clean stop");

    let lost = ["--lost", "node3,node4,node5"];
    let mut reports = Vec::new();
    for index in [0, 1] {
        let told = recover(&mut cluster, index, &[&lost[..], &["-o", "json"]].concat()).await?;
        ensure!(told.code == Some(1) && told.stdout.contains("needs_reports"), "{told:?}");
        let path = cluster.logs().join(format!("report{index}.json"));
        std::fs::write(&path, &told.stdout)?;
        reports.push(path.to_string_lossy().into_owned());
    }
    let behind = recover(&mut cluster, 0, &[&lost[..], &["--others", &reports[1], "--yes"]].concat()).await?;
    ensure!(behind.code == Some(0) && behind.stdout.contains("the copy of node2,"), "{behind:?}");
    let ahead = recover(&mut cluster, 1, &[&lost[..], &["--others", &reports[0], "--yes"]].concat()).await?;
    ensure!(ahead.code == Some(0) && ahead.stdout.contains("goes on alone"), "{ahead:?}");
    println!("{}{}", behind.stdout, ahead.stdout);

    cluster.restart(0)?;
    cluster.restart(1)?;
    put_until_acknowledged(&cluster.client(1), &points, 50).await?;
    for name in ["node3", "node4", "node5"] {
        bury(&cluster, 1, name).await?;
    }
    at_home(&cluster.client(0), &["node1", "node2"], 2).await?;
    settle(&cluster, &points).await?;
    cluster.finish()
}

/// A third node is replaced while it is down; then the two that know of it are lost. It and the new one both run the tool,
/// each with the other's report. It holds an older membership, in which it would be the only one left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_survivor_that_was_replaced_does_not_found_a_second_group() -> Result<()> {
    let _place = place().await;
    seed("one-was-replaced");
    let args = ["--shards", "1", "--node-lost-after-ms", "600000"];
    let mut cluster = TestCluster::start(options("one-was-replaced").args(&args)).await?;
    let points = register_collection(&cluster, "d").await?;
    for key in 0..10 {
        put_until_acknowledged(&cluster.client(key as usize % 3), &points, key).await?;
    }
    same_state(&cluster).await?;
    cluster.kill(0);
    let newcomer = cluster.start_joiner(1)?;
    cluster.wait_answers(newcomer).await?;
    let joined = operation_of(adopt(&cluster.client(1), &cluster, newcomer).await)?;
    done(&[cluster.client(1)], &joined).await?;
    let left = operation_of(delete(&cluster.client(1), "/cluster/nodes/node1?force=true").await)?;
    done(&[cluster.client(1)], &left).await?;
    for key in 10..30 {
        put_until_acknowledged(&cluster.client(1 + key as usize % 3), &points, key).await?;
    }
    same_state(&cluster).await?;
    cluster.kill(1);
    cluster.kill(2);
    ensure!(cluster.terminate(newcomer).await? == Some(0), "a clean stop");

    let lost = ["--lost", "node2,node3"];
    let mut reports = Vec::new();
    for index in [0, newcomer] {
        let told = recover(&mut cluster, index, &[&lost[..], &["-o", "json"]].concat()).await?;
        let path = cluster.logs().join(format!("report{index}.json"));
        std::fs::write(&path, &told.stdout)?;
        reports.push(path.to_string_lossy().into_owned());
    }
    let replaced = recover(&mut cluster, 0, &[&lost[..], &["--others", &reports[1], "--yes"]].concat()).await?;
    ensure!(!replaced.stdout.contains("goes on alone") && replaced.stdout.contains("no member"), "{replaced:?}");
    let newer = recover(&mut cluster, newcomer, &[&lost[..], &["--others", &reports[0], "--yes"]].concat()).await?;
    ensure!(newer.code == Some(0) && newer.stdout.matches("goes on alone").count() == 2, "{newer:?}");
    println!("{}{}", replaced.stdout, newer.stdout);

    cluster.restart(newcomer)?;
    for key in 30..40 {
        put_until_acknowledged(&cluster.client(newcomer), &points, key).await?;
    }
    settle(&cluster, &points).await?;
    cluster.finish()
}
