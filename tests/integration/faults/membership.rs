//! Nodes join and leave, die and are replaced, while the cluster serves: no acknowledged write is lost, nothing is
//! refused for good, and the replicas agree in the end, wherever they have come to be.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jepsen_lite::client::ApiClient;
use jepsen_lite::cluster::TestCluster;
use jepsen_lite::run::load::{LoadGenerator, LoadPlan};
use jepsen_lite::seed::seed;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::members::{adopt, at_home, delete, done, operation_of, status};
use crate::support::{PATIENCE, options, place, put_until_acknowledged, register_collection, settle, single};

/// Few shards, snapshots now and then, and a dead node is soon given up.
const ARGS: [&str; 8] =
    ["--shards", "4", "--snapshot-after", "80", "--keep-entries", "20", "--node-lost-after-ms", "4000"];

/// Waits until every shard is led by the node that is meant to, and no node is meant to lead many more than another.
async fn led_as_meant(by: &ApiClient, shards: u32) -> Result<()> {
    let start = Instant::now();
    loop {
        let (mut led, mut meant) = (Vec::new(), Vec::new());
        for shard in 0..shards {
            let detail = by.get(&format!("/quiver/v1/shards/{shard}")).await.body;
            led.push(detail["leader"].clone());
            meant.push(detail["preferred_leader"].clone());
        }
        let counts: Vec<usize> = meant.iter().map(|node| meant.iter().filter(|other| *other == node).count()).collect();
        if led == meant && counts.iter().max() <= Some(&2) {
            return Ok(());
        }
        ensure!(start.elapsed() < PATIENCE, "leaders are {led:?}, and should be {meant:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Has the second or third node lead the map's group, by killing whoever else does, and says which it is.
async fn lead_among_the_first(cluster: &mut TestCluster, load: &LoadGenerator) -> Result<usize> {
    let start = Instant::now();
    loop {
        let now = status(&cluster.client(4)).await.or(status(&cluster.client(3)).await)?;
        match cluster.index_of(now["meta_leader"].as_str().unwrap_or_default()) {
            Some(index @ (1 | 2)) => return Ok(index),
            Some(index) => {
                cluster.kill(index);
                load.progress(20, PATIENCE).await?;
                if index < 3 {
                    cluster.restart(index)?
                } else {
                    cluster.restart_joiner(index, 1)?
                }
                cluster.wait_healthy_node(index).await?;
            }
            None => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        ensure!(start.elapsed() < 3 * PATIENCE, "the map's group is never led by one of the first three nodes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_grows_shrinks_and_heals_under_load() -> Result<()> {
    let _place = place().await;
    let seed = seed("membership");
    let mut cluster = TestCluster::start(options("membership").args(&ARGS)).await?;
    for _ in 0..2 {
        let joiner = cluster.start_joiner(1)?;
        cluster.wait_answers(joiner).await?;
    }
    let points = register_collection(&cluster, "load").await?;
    let load = LoadGenerator::start(LoadPlan::new(seed), cluster.clients(), points.clone());
    load.progress(60, PATIENCE).await?;

    // Two joins at once, asked of different nodes.
    let (fourth, fifth) = (adopt(&cluster.client(1), &cluster, 3).await, adopt(&cluster.client(2), &cluster, 4).await);
    for joined in [operation_of(fourth)?, operation_of(fifth)?] {
        done(&cluster.clients(), &joined).await?;
    }
    cluster.wait_healthy().await?;
    let repeated = adopt(&cluster.client(4), &cluster, 3).await;
    ensure!(repeated.status == Some(200), "{} {}", repeated.problem, repeated.body);
    at_home(&cluster.client(3), &["node1", "node2", "node3", "node4", "node5"], 3).await?;
    println!("  five nodes: {} writes acknowledged", load.acknowledged());
    load.progress(60, PATIENCE).await?;

    // The first node, asked of itself, and the node that leads the map's group by then.
    let mut leaving = Vec::new();
    for first in [true, false] {
        let index = if first { 0 } else { lead_among_the_first(&mut cluster, &load).await? };
        println!("  node{} leaves{}", index + 1, if first { "" } else { "; it leads the map's group" });
        leaving.push(index);
        let name = format!("node{}", index + 1);
        let plan = delete(&cluster.client(3), &format!("/cluster/nodes/{name}?dry_run=true")).await.ok()?;
        ensure!(plan["moves"].as_array().is_some_and(|moves| !moves.is_empty()), "{plan}");
        ensure!(plan["tolerated_failures"] == json!([1, 1]), "{plan}");
        let drained = cluster.client(index).post(&format!("/quiver/v1/nodes/{name}/drain"), &json!({})).await;
        done(&cluster.clients(), &operation_of(drained)?).await?;
        // It serves the request that removes it.
        let left = delete(&cluster.client(index), &format!("/cluster/nodes/{name}")).await;
        done(&cluster.clients(), &operation_of(left)?).await?;
        let gone = delete(&cluster.client(3), &format!("/cluster/nodes/{name}")).await;
        ensure!(gone.code() == "node_not_found", "{} {}", gone.problem, gone.body);
    }
    let staying: Vec<usize> = (0..5).filter(|index| !leaving.contains(index)).collect();
    let names: Vec<String> = staying.iter().map(|index| format!("node{}", index + 1)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    at_home(&cluster.client(4), &names, 3).await?;
    load.progress(60, PATIENCE).await?;
    for index in leaving.iter().copied() {
        ensure!(cluster.terminate(index).await? == Some(0), "node{} did not stop well", index + 1);
    }
    println!("  three nodes: {} writes acknowledged", load.acknowledged());

    // The first node comes back with an empty directory, as a new node of the old name.
    cluster.start_anew(0, 4)?;
    cluster.wait_answers(0).await?;
    done(&cluster.running_clients(), &operation_of(adopt(&cluster.client(3), &cluster, 0).await)?).await?;
    load.progress(60, PATIENCE).await?;

    // One of the rest dies for good, and is replaced without anyone's doing.
    let victim = staying[seed as usize % staying.len()];
    cluster.kill(victim);
    let alive: BTreeSet<usize> = staying.iter().copied().filter(|index| *index != victim).chain([0]).collect();
    let names: Vec<String> = alive.iter().map(|index| format!("node{}", index + 1)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let survivor = *alive.last().context("three are alive")?;
    at_home(&cluster.client(survivor), &names, 3).await?;
    println!("  node{} killed and replaced: {} writes acknowledged", victim + 1, load.acknowledged());
    load.progress(60, PATIENCE).await?;
    let buried = delete(&cluster.client(survivor), &format!("/cluster/nodes/node{}", victim + 1)).await;
    done(&cluster.running_clients(), &operation_of(buried)?).await?;

    let observed = load.stop().await;
    println!("  searches: {} answered, {} refused", observed.searches, observed.refused);
    observed.soft()?;
    ensure!(observed.searches > 0, "no search was ever answered");
    settle(&cluster, &points).await?;
    let now = status(&cluster.client(survivor)).await?;
    ensure!(now["total_nodes"] == 3 && now["healthy_nodes"] == 3, "{now}");
    cluster.finish()
}

/// Whoever takes part in a join is killed in the middle of it, one after the other: the joining node, the node whose
/// driver decides, and a node that leads moving shards. Each comes back, and the join ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_outlives_whoever_is_killed_in_it() -> Result<()> {
    let _place = place().await;
    let seed = seed("killed_in_a_join");
    // Slow enough that there is a middle.
    let args = [&ARGS[..4], &["--keep-entries", "0", "--max-moves", "1", "--move-rate-bytes", "65536"]].concat();
    let mut cluster = TestCluster::start(options("killed-in-a-join").args(&args)).await?;
    let points = register_collection(&cluster, "load").await?;
    let joiner = cluster.start_joiner(0)?;
    cluster.wait_answers(joiner).await?;
    let load = LoadGenerator::start(LoadPlan::new(seed), cluster.clients(), points.clone());
    load.progress(400, 2 * PATIENCE).await?;
    let joined = operation_of(adopt(&cluster.client(1), &cluster, joiner).await)?;
    for round in 0..4 {
        let victim = match (round + seed) % 4 {
            0 => joiner,
            1 => {
                let leads = status(&cluster.client(joiner)).await.or(status(&cluster.client(0)).await)?;
                cluster.index_of(leads["meta_leader"].as_str().unwrap_or_default()).unwrap_or(0)
            }
            turn => turn as usize - 1,
        };
        cluster.kill(victim);
        load.progress(30, PATIENCE).await?;
        let by = &cluster.running_clients()[0];
        let row = by.get(&format!("/quiver/v1/operations/{joined}")).await;
        println!("  node{} killed; the operation: {} {}", victim + 1, row.body["state"], row.body["replicas_left"]);
        match victim == joiner {
            true => cluster.restart_joiner(victim, 0)?,
            false => cluster.restart(victim)?,
        }
        cluster.wait_healthy_node(victim).await?;
    }
    done(&cluster.clients(), &joined).await?;
    let observed = load.stop().await;
    observed.soft()?;
    settle(&cluster, &points).await?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_one_node_to_three_and_back_to_another_one() -> Result<()> {
    let _place = place().await;
    seed("one_three_one");
    let mut cluster = TestCluster::start(single("one-three-one").args(&ARGS)).await?;
    let points = register_collection(&cluster, "load").await?;
    for key in 0..40 {
        put_until_acknowledged(&cluster.client(0), &points, key).await?;
    }
    for index in [1, 2] {
        cluster.start_joiner(0)?;
        cluster.wait_answers(index).await?;
        done(&cluster.running_clients(), &operation_of(adopt(&cluster.client(0), &cluster, index).await)?).await?;
    }
    at_home(&cluster.client(2), &["node1", "node2", "node3"], 3).await?;
    cluster.wait_healthy().await?;
    for key in 40..60 {
        put_until_acknowledged(&cluster.client(key as usize % 3), &points, key).await?;
    }
    settle(&cluster, &points).await?;
    // A restart of all at once: the map is found again, although what each was started with is older.
    for index in 0..3 {
        cluster.kill(index);
    }
    for index in 0..3 {
        cluster.restart(index)?;
    }
    cluster.wait_healthy().await?;
    led_as_meant(&cluster.client(1), 4).await?;
    for (index, copies) in [(0, 2), (1, 1)] {
        let name = format!("node{}", index + 1);
        let left = delete(&cluster.client(index), &format!("/cluster/nodes/{name}")).await;
        let warned = left.body["warnings"][0].as_str().unwrap_or_default().to_owned();
        ensure!(warned.contains("replica"), "no warning of {copies} copies: {}", left.body);
        done(&cluster.running_clients(), &operation_of(left)?).await?;
    }
    at_home(&cluster.client(2), &["node3"], 1).await?;
    for index in [0, 1] {
        cluster.terminate(index).await?;
    }
    for key in 20..50 {
        put_until_acknowledged(&cluster.client(2), &points, key).await?;
    }
    cluster.kill(2);
    cluster.restart(2)?;
    cluster.wait_healthy_node(2).await?;
    settle(&cluster, &points).await?;
    let last = delete(&cluster.client(2), "/cluster/nodes/node3?force=true").await;
    ensure!(last.code() == "would_lose_data", "{} {}", last.problem, last.body);
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_comes_and_who_was_wiped() -> Result<()> {
    let _place = place().await;
    seed("never_comes");
    let args = ["--shards", "2", "--join-within-ms", "2000"];
    let mut cluster = TestCluster::start(options("never-comes").args(&args)).await?;
    let before = cluster.client(0).get("/cluster/nodes").await.ok()?;

    // Somebody who can only introduce himself.
    let ghost = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = ghost.local_addr()?.port();
    let introducing = tokio::spawn(introduce(ghost, port));
    let body = json!({"node_id": "ghost", "host": "127.0.0.1", "port": port});
    let joining = operation_of(cluster.client(1).post("/cluster/nodes", &body).await)?;
    let start = Instant::now();
    let failed = loop {
        let row = cluster.client(2).get(&format!("/quiver/v1/operations/{joining}")).await.ok()?;
        if row["state"] != "running" {
            break row;
        }
        ensure!(start.elapsed() < PATIENCE, "the ghost is waited for: {row}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    introducing.abort();
    ensure!(failed["state"] == "failed", "{failed}");
    let reason = failed["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("did not answer within 2000 ms"), "{failed}");
    let after = cluster.client(0).get("/cluster/nodes").await.ok()?;
    let ids = |nodes: &Value| -> Vec<String> {
        nodes["nodes"].as_array().into_iter().flatten().map(|node| node["id"].to_string()).collect()
    };
    ensure!(ids(&before) == ids(&after), "the ghost left a trace: {after}");
    let nobody = json!({"node_id": "nobody", "host": "127.0.0.1", "port": 1});
    let unreachable = cluster.client(0).post("/cluster/nodes", &nobody).await;
    ensure!(unreachable.status == Some(502), "{} {}", unreachable.problem, unreachable.body);

    // A wiped node is not who it was: it is told so, and does not start.
    cluster.kill(2);
    cluster.start_anew(2, 0)?;
    let start = Instant::now();
    while cluster.node(2).running() {
        ensure!(start.elapsed() < PATIENCE, "a wiped node was taken for what it was");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let log = cluster.nodes()[2].log();
    ensure!(log.contains("earlier life"), "it does not say why: {log}");
    // Once what it was is removed, it can join as new.
    let buried = delete(&cluster.client(0), "/cluster/nodes/node3").await;
    done(&cluster.running_clients(), &operation_of(buried)?).await?;
    cluster.start_anew(2, 0)?;
    cluster.wait_answers(2).await?;
    done(&cluster.running_clients(), &operation_of(adopt(&cluster.client(1), &cluster, 2).await)?).await?;
    at_home(&cluster.client(2), &["node1", "node2", "node3"], 3).await?;
    cluster.wait_healthy().await?;
    cluster.finish()
}

/// Answers every request with the introduction of a node that will never do more.
async fn introduce(listener: tokio::net::TcpListener, port: u16) -> Result<()> {
    let node = json!({"name": "ghost", "incarnation": "11111111-1111-4111-8111-111111111111", "host": "127.0.0.1",
                      "port": port, "peer_addr": "127.0.0.1:9"});
    let body = json!({"node": node, "cluster": null, "taken": false}).to_string();
    loop {
        let (mut stream, _) = listener.accept().await?;
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await?;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length:";
        stream.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await?;
    }
}
