//! The admin verbs on a real cluster: what they print, what they wait for, and what they exit with.

use std::time::Instant;

use anyhow::{Result, ensure};
use jepsen_lite::cluster::TestCluster;
use jepsen_lite::process::{Finished, run};
use jepsen_lite::seed::seed;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::terminal::Terminal;
use crate::support::{PATIENCE, options, place, single};

async fn verb(cluster: &TestCluster, args: &str, code: i32) -> Result<Finished> {
    let url = cluster.nodes()[0].url();
    let args: Vec<&str> = args.split(' ').chain(["--url", &url]).collect();
    let finished = run(cluster.verb(&args), 2 * PATIENCE).await?;
    ensure!(finished.code == Some(code), "{args:?} should exit with {code}: {finished:?}");
    Ok(finished)
}

fn json_of(finished: &Finished) -> Result<Value> {
    Ok(serde_json::from_str(&finished.stdout)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_shards_and_operations_by_hand() -> Result<()> {
    let _place = place().await;
    seed("admin");
    let mut cluster = TestCluster::start(options("admin").args(&["--shards", "4"])).await?;
    let client = cluster.client(0);
    client.create_collection("docs", 4, "cosine").await.ok()?;
    let points = (1..=40).map(|id| json!({"id": id, "vector": [1, 2, 3, id]})).collect();
    client.upsert("docs", points, json!({})).await.ok()?;
    let joiner = cluster.start_joiner(0)?;
    cluster.wait_answers(joiner).await?;
    let address = format!("127.0.0.1:{}", cluster.nodes()[joiner].port());

    let health = verb(&cluster, "cluster health", 0).await?;
    ensure!(health.stdout.starts_with("healthy: 5 of 5 groups"), "{health:?}");
    verb(&cluster, "cluster status", 0).await?;
    ensure!(verb(&cluster, "node list", 0).await?.stdout.lines().count() == 4, "a header and three nodes");

    let plan = json_of(&verb(&cluster, &format!("node join node4 {address} --dry-run -o json"), 10).await?)?;
    ensure!(plan["moves"].as_array().is_some_and(|moves| moves.len() == 3), "{plan}");
    let joined = verb(&cluster, &format!("node join node4 {address} --wait --yes -o ndjson"), 0).await?;
    ensure!(json_of(&joined)?["state"] == "done", "{joined:?}");
    let again = verb(&cluster, &format!("node join node4 {address} --yes"), 0).await?;
    ensure!(again.stdout.contains("node4: member"), "{again:?}");
    verb(&cluster, "node join node9 127.0.0.1:1 --yes", 7).await?;
    verb(&cluster, "node join node9 nowhere --yes", 2).await?;
    verb(&cluster, "node show node9", 4).await?;
    ensure!(verb(&cluster, "node show node4", 0).await?.stdout.contains("state    member, healthy"), "node4 is there");
    verb(&cluster, "cluster rebalance --dry-run", 0).await?;
    verb(&cluster, "cluster rebalance --wait --yes", 0).await?;

    let rows = verb(&cluster, "shard list -o ndjson", 0).await?;
    let shards: Vec<Value> = rows.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(shards.len() == 4, "{rows:?}");
    let verified = verb(&cluster, "shard verify", 0).await?;
    ensure!(verified.stdout.matches("equal").count() == 4, "{verified:?}");
    let holders = |shard: &Value| -> Vec<String> {
        let replicas = shard["replicas"].as_array().into_iter().flatten();
        replicas.filter_map(|replica| replica["node"].as_str().map(str::to_owned)).collect()
    };
    let held = holders(&shards[0]);
    let free = (1..=4).map(|n| format!("node{n}")).find(|node| !held.contains(node)).expect("one of four holds none");
    let follower = held.iter().find(|node| shards[0]["leader"] != ***node).expect("two of three follow").clone();
    verb(&cluster, &format!("shard transfer-leader 0 --to {follower}"), 0).await?;
    verb(&cluster, &format!("shard transfer-leader 0 --to {free}"), 5).await?;
    verb(&cluster, &format!("shard move 0 --from {free} --to {follower} --yes"), 5).await?;
    let moved = verb(&cluster, &format!("shard move 0 --from {follower} --to {free} --wait --yes"), 0).await?;
    ensure!(moved.stdout.contains("done"), "{moved:?}");
    ensure!(verb(&cluster, "shard show 0", 0).await?.stdout.contains("settled"), "the move is over");
    verb(&cluster, "shard show 9", 4).await?;

    verb(&cluster, "node label node4 zone=b", 0).await?;
    verb(&cluster, "node label node4 zone", 2).await?;
    let topology = verb(&cluster, "cluster topology", 0).await?;
    ensure!(topology.stdout.lines().any(|line| line.starts_with("b ") && line.contains("node4")), "{topology:?}");
    let under_way = verb(&cluster, "node transfer-leaders node4", 0).await?;
    ensure!(under_way.stderr.contains("--wait"), "it does not say that it goes on: {under_way:?}");
    // The first node, which may lead the cluster map too, hands everything over and takes it back.
    let led = json_of(&verb(&cluster, "node transfer-leaders node1 --wait -o json", 0).await?)?;
    ensure!(led["state"] == "leads nothing", "{led}");
    ensure!(json_of(&verb(&cluster, "node show node1 -o json", 0).await?)?["leads"] == 0, "node1 leads still");
    let map_leader = cluster.client(0).cluster_status().await.ok()?["meta_leader"].clone();
    ensure!(map_leader.is_string() && map_leader != "node1", "the cluster map is led by {map_leader}");
    verb(&cluster, "node transfer-leaders node1 --undo", 0).await?;
    let member = json_of(&verb(&cluster, "node show node4 -o json", 0).await?)?;
    ensure!(member["labels"] == json!({"leaders": "off", "zone": "b"}), "{member}");

    for asks in [
        format!("node join node4 {address}"),
        "node leave node4".to_owned(),
        "node leave node4 --wait".to_owned(),
        "node drain node4".to_owned(),
        "node undrain node4".to_owned(),
        format!("node replace node4 node9 {address}"),
        "cluster rebalance".to_owned(),
        "shard move 0 --from node1 --to node2".to_owned(),
        "op cancel op-1".to_owned(),
        "collection delete docs".to_owned(),
        "point delete docs --id 1".to_owned(),
    ] {
        let refused = verb(&cluster, &asks, 2).await?;
        ensure!(refused.stderr.contains("give --yes") && refused.stderr.contains("nothing was changed"), "{refused:?}");
    }
    asked_at_a_terminal(&cluster).await?;
    let drained = json_of(&verb(&cluster, "node show node4 -o json", 0).await?)?;
    ensure!(drained["state"] == "draining" && drained["shards"] == 0 && drained["leads"] == 0, "{drained}");
    verb(&cluster, "node undrain node4 --wait --yes", 0).await?;
    verb(&cluster, "node leave node4 --dry-run", 10).await?;
    let left = verb(&cluster, "node leave node4 --wait --yes", 0).await?;
    ensure!(left.stderr.contains("remove its data directory"), "nobody is told what is left to do: {left:?}");
    // It runs still, and its directory is that of a node that is not taken back.
    let back = verb(&cluster, &format!("node join node4 {address} --yes"), 5).await?;
    ensure!(back.stderr.contains("removed from this cluster"), "{back:?}");
    let operations = verb(&cluster, "op list", 0).await?;
    ensure!(operations.stdout.contains("leave") && !operations.stdout.contains("running"), "{operations:?}");
    verb(&cluster, "op watch op-1", 0).await?;
    verb(&cluster, "op watch 1", 0).await?;
    verb(&cluster, "op watch op-99", 4).await?;
    verb(&cluster, "op cancel op-99 --yes", 4).await?;
    cluster.terminate(joiner).await?;

    // Of three nodes one is gone: another may not leave.
    cluster.kill(2);
    let killed = Instant::now();
    loop {
        // Until the others have elected, some shard may have no leader.
        let url = cluster.nodes()[0].url();
        let health = run(cluster.verb(&["cluster", "health", "--url", &url]), PATIENCE).await?;
        if health.code == Some(3) {
            break;
        }
        ensure!(health.code == Some(7) && killed.elapsed() < PATIENCE, "{health:?}");
    }
    let dead = format!("node join node3 127.0.0.1:{} --wait --yes", cluster.nodes()[2].port());
    ensure!(verb(&cluster, &dead, 5).await?.stderr.contains("does not answer"), "a dead member is said to be well");
    let refused = verb(&cluster, "node leave node2 --yes", 9).await?;
    ensure!(refused.stderr.contains("majority"), "{refused:?}");
    cluster.restart(2)?;
    cluster.wait_healthy_node(2).await?;
    cluster.finish()
}

/// At a terminal the plan is shown and a yes is asked for; anything else changes nothing. The wait has a bar.
async fn asked_at_a_terminal(cluster: &TestCluster) -> Result<()> {
    let url = cluster.nodes()[0].url();
    let drain = || Terminal::start(cluster.verb(&["node", "drain", "node4", "--wait", "--url", &url]));
    for (answer, code) in [("n", 2), ("", 2), ("y", 0)] {
        let mut terminal = drain()?;
        terminal.shows("[y/N]").await?;
        let asked = terminal.screen();
        ensure!(asked.contains("replicas move") && asked.contains("nodes that may fail"), "no plan:\n{asked}");
        terminal.types(answer)?;
        let ended = terminal.ends().await?;
        ensure!(ended == Some(code), "`{answer}` should end with {code}, not {ended:?}:\n{}", terminal.screen());
        let state = json_of(&verb(cluster, "node show node4 -o json", 0).await?)?["state"].clone();
        ensure!(state == if code == 0 { "draining" } else { "member" }, "`{answer}` left node4 as {state}");
        if code == 0 {
            let screen = terminal.screen();
            ensure!(screen.contains("replicas,") && screen.contains("left to copy"), "no progress:\n{screen}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn completions_and_manual() -> Result<()> {
    let cluster = TestCluster::prepare(options("manual"))?;
    for shell in ["bash", "zsh", "fish"] {
        let printed = run(cluster.verb(&["completions", shell]), PATIENCE).await?;
        ensure!(printed.code == Some(0) && printed.stdout.contains("drain"), "{shell}: {printed:?}");
    }
    let dir = cluster.logs().join("man");
    let written = run(cluster.verb(&["man", &dir.to_string_lossy()]), PATIENCE).await?;
    ensure!(written.code == Some(0), "{written:?}");
    for page in ["quiver.1", "quiver-node-drain.1", "quiver-server.1"] {
        let text = std::fs::read_to_string(dir.join(page))?;
        ensure!(text.contains(".SH"), "{page} is no man page");
    }
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timings_are_the_clusters_whatever_a_node_is_started_with() -> Result<()> {
    let _place = place().await;
    let mut cluster = TestCluster::start(single("timings").args(&["--election-max-ms", "1500"])).await?;
    let client = cluster.client(0);
    let timings = client.get("/quiver/v1/timings").await.ok()?;
    ensure!(timings == json!({"heartbeat_ms": 150, "election_min_ms": 500, "election_max_ms": 1500}), "{timings}");
    let wrong = client.send(Method::PUT, "/quiver/v1/timings", Some(&json!({"heartbeat_ms": 400}))).await;
    ensure!(wrong.status == Some(400) && wrong.message().contains("heartbeat_ms"), "{}", wrong.problem);
    let change = json!({"election_max_ms": 2000});
    client.send(Method::PUT, "/quiver/v1/timings", Some(&change)).await.ok()?;
    ensure!(cluster.terminate(0).await? == Some(0), "a clean stop");
    cluster.restart(0)?;
    cluster.wait_healthy().await?;
    let timings = cluster.client(0).get("/quiver/v1/timings").await.ok()?;
    ensure!(timings["election_max_ms"] == 2000, "{timings}");
    // Nobody else can lead: the wait ends, and says what is led still.
    let stays = verb(&cluster, "node transfer-leaders node1 --wait --within 1", 1).await?;
    ensure!(stays.stderr.contains("it leads shard 0") && stays.stderr.contains("after 1 s"), "{stays:?}");
    let log = cluster.node(0).log();
    ensure!(log.contains("--election-max-ms is ignored"), "nobody is told that the flag is ignored:\n{log}");
    cluster.finish()
}
