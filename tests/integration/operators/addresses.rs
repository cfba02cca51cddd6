//! Who belongs, and where they are: members that all come back elsewhere, and nodes that nothing is said to.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jepsen_lite::client::ApiClient;
use jepsen_lite::cluster::TestCluster;
use jepsen_lite::process::{ChildProcess, run};
use jepsen_lite::seed::seed;

use crate::support::{PATIENCE, options, place, put_until_acknowledged, register_collection, single};

/// A node that is started by hand, on ports that the system gives it.
struct Elsewhere {
    _process: ChildProcess,
    url: String,
}

async fn start(cluster: &TestCluster, name: &str, data: &Path, more: &[&str]) -> Result<Elsewhere> {
    let mut command = cluster.verb(&["server", "--node-id", name, "--listen", "127.0.0.1:0"]);
    command.args(["--peer-listen", "127.0.0.1:0", "--data-dir"]).arg(data).args(more);
    let log = cluster.logs().join(format!("{name}-elsewhere.log"));
    let out = log.with_extension("out");
    let process = ChildProcess::start(command, &out, &log)?;
    let began = Instant::now();
    loop {
        let said = std::fs::read_to_string(&out).unwrap_or_default();
        let url = said.split("serving ").nth(1).and_then(|rest| rest.split_whitespace().next());
        if let Some(url) = url {
            return Ok(Elsewhere { _process: process, url: url.to_owned() });
        }
        ensure!(began.elapsed() < PATIENCE, "{name} does not come up: {}", std::fs::read_to_string(&log)?);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_all_come_back_at_other_addresses_find_each_other() -> Result<()> {
    let _place = place().await;
    seed("new-addresses");
    let mut cluster = TestCluster::start(options("new-addresses").args(&["--shards", "3"])).await?;
    let points = register_collection(&cluster, "d").await?;
    for key in 0..20 {
        put_until_acknowledged(&cluster.client(0), &points, key).await?;
    }
    let data: Vec<PathBuf> = (0..3).map(|node| cluster.nodes()[node].data().to_owned()).collect();
    (0..3).for_each(|node| cluster.kill(node));
    let first = start(&cluster, "node1", &data[0], &[]).await?;
    let second = start(&cluster, "node2", &data[1], &["--join", &first.url]).await?;
    // The third knows the second alone, and hears of the first.
    let third = start(&cluster, "node3", &data[2], &["--join", &second.url]).await?;
    for url in [&first.url, &second.url, &third.url] {
        let client = ApiClient::new(url);
        let began = Instant::now();
        while !client.scroll("d", 100, serde_json::json!({"consistency": "all"})).await.success() {
            ensure!(began.elapsed() < PATIENCE, "{url} does not serve");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    put_until_acknowledged(&ApiClient::new(&third.url), &points, 20).await?;
    // What the map says is where they are: whoever starts next finds them there.
    let began = Instant::now();
    loop {
        let nodes = ApiClient::new(&first.url).get("/cluster/nodes").await.ok()?.to_string();
        let port = |url: &str| url.rsplit(':').next().map(str::to_owned).context("a URL has a port");
        if [&first.url, &second.url, &third.url].iter().all(|url| port(url).is_ok_and(|port| nodes.contains(&port))) {
            break;
        }
        ensure!(began.elapsed() < PATIENCE, "the map has not learned where they are: {nodes}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop((first, second, third));
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_nothing_is_said_to_forms_a_cluster_where_nobody_calls_it_and_nowhere_else() -> Result<()> {
    let _place = place().await;
    let cluster = TestCluster::prepare(single("unsaid"))?;
    let data = cluster.logs().join("unsaid");
    let mut command = cluster.verb(&["server", "--listen", "0.0.0.0:0", "--advertise", "127.0.0.1", "--data-dir"]);
    command.arg(&data);
    let refused = run(command, PATIENCE).await?;
    ensure!(refused.code == Some(2) && refused.stderr.contains("--bootstrap N"), "{refused:?}");
    let alone = start(&cluster, "node1", &cluster.logs().join("alone"), &[]).await?;
    let client = ApiClient::new(&alone.url);
    let began = Instant::now();
    while client.health().await.status != Some(200) {
        ensure!(began.elapsed() < PATIENCE, "it does not serve");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let log = std::fs::read_to_string(cluster.logs().join("node1-elsewhere.log"))?;
    ensure!(log.contains("a new cluster of one node"), "it says what it does: {log}");
    drop(alone);
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_there_is_a_map_nobody_is_told_that_something_is_not_there() -> Result<()> {
    let _place = place().await;
    let cluster = TestCluster::prepare(single("no-map"))?;
    let waits = start(&cluster, "node1", &cluster.logs().join("waits"), &["--bootstrap", "3"]).await?;
    let client = ApiClient::new(&waits.url);
    for path in [
        "/collections",
        "/collections/x",
        "/cluster/status",
        "/cluster/nodes",
        "/cluster/nodes/x",
        "/quiver/v1/shards/0",
    ] {
        let answer = client.get(path).await;
        ensure!(answer.status == Some(503) && answer.code() == "starting", "{path}: {answer:?}");
    }
    for verb in [&["status"][..], &["node", "list"], &["shard", "list"], &["shard", "verify"], &["collection", "list"]]
    {
        let mut command = cluster.verb(verb);
        command.args(["--url", &waits.url]);
        let finished = run(command, PATIENCE).await?;
        ensure!(finished.code == Some(7), "{verb:?}: {finished:?}");
    }
    let log = std::fs::read_to_string(cluster.logs().join("node1-elsewhere.log"))?;
    ensure!(log.contains("0 of 2 other nodes have come"), "it says what it waits for: {log}");
    drop(waits);
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_serves_no_cluster_that_its_seeds_do_not_agree_on() -> Result<()> {
    let _place = place().await;
    let cluster = TestCluster::prepare(single("two-clusters"))?;
    // As a node that has lost its disk, and one that has not.
    let first = start(&cluster, "node1", &cluster.logs().join("first"), &["--bootstrap", "1"]).await?;
    let second = start(&cluster, "node2", &cluster.logs().join("second"), &["--bootstrap", "1"]).await?;
    for url in [&first.url, &second.url] {
        let began = Instant::now();
        while ApiClient::new(url).health().await.status != Some(200) {
            ensure!(began.elapsed() < PATIENCE, "{url} does not serve");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let both = format!("{},{}", first.url, second.url);
    let mut command = cluster.verb(&["gateway", "--listen", "127.0.0.1:0", "--cluster", &both]);
    command.env("QUIVER_LOG_FORMAT", "text");
    let log = cluster.logs().join("gateway.log");
    let _gateway = ChildProcess::start(command, &log.with_extension("out"), &log)?;
    let began = Instant::now();
    while !std::fs::read_to_string(&log)?.contains("neither is served") {
        ensure!(began.elapsed() < PATIENCE, "it says nothing: {}", std::fs::read_to_string(&log)?);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let said = std::fs::read_to_string(log.with_extension("out"))?;
    let url = said.split("serving ").nth(1).and_then(|rest| rest.split_whitespace().next()).context("it has a port")?;
    let client = ApiClient::new(url);
    let listed = client.get("/collections").await;
    ensure!(listed.status == Some(503) && listed.code() == "starting", "{listed:?}");
    ensure!(client.create_collection("docs", 2, "dot").await.status == Some(503), "nothing is made in either");
    ensure!(client.health().await.body.to_string().contains("neither is served"), "its health tells why");
    let mut command = cluster.verb(&["status", "--url", &both]);
    command.env("QUIVER_LOG_FORMAT", "text");
    let status = run(command, PATIENCE).await?;
    ensure!(status.code == Some(7) && status.stderr.contains(&second.url), "the CLI takes neither: {status:?}");
    drop(first);
    let began = Instant::now();
    while client.health().await.status != Some(200) {
        ensure!(began.elapsed() < PATIENCE, "it serves the one that is left");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(second);
    cluster.finish()
}
