//! What a node and a cluster say of troubles that nothing has failed of yet: nodes that are too far apart, a data directory
//! that was taken away, a node that was removed and runs on.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use jepsen_lite::client::ApiClient;
use jepsen_lite::cluster::TestCluster;
use jepsen_lite::seed::seed;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::members::{adopt, delete, done, operation_of};
use crate::support::{PATIENCE, options, place, single};

/// Waits until a page of a node says what is wanted.
async fn says(client: &ApiClient, path: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let start = Instant::now();
    loop {
        let page = client.get(path).await.body;
        if wanted(&page) {
            return Ok(page);
        }
        ensure!(start.elapsed() < PATIENCE, "{path} goes on saying {page}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn issue(health: &Value) -> Option<&Value> {
    health["issues"].as_array()?.iter().find(|issue| issue["code"] == "nodes_too_far_apart")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_too_far_apart_are_named_until_the_timings_bear_it() -> Result<()> {
    let _place = place().await;
    seed("far");
    let cluster = TestCluster::start(options("far").args(&["--shards", "2"])).await?;
    let (first, other) = (cluster.client(0), cluster.client(1));
    first.fault_links(&json!({"delay_ms": {"node3": 450}})).await.ok()?;
    let health = says(&other, "/cluster/health", |health| issue(health).is_some()).await?;
    let told = issue(&health).map(|issue| issue["message"].to_string()).unwrap_or_default();
    ensure!(told.contains("node1 and node3"), "{told}");
    let timings = json!({"heartbeat_ms": 450, "election_min_ms": 1500, "election_max_ms": 3000});
    other.send(Method::PUT, "/quiver/v1/timings", Some(&timings)).await.ok()?;
    says(&other, "/cluster/health", |health| issue(health).is_none()).await?;
    first.heal().await.ok()?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_that_is_taken_away_is_noticed() -> Result<()> {
    let _place = place().await;
    seed("taken_away");
    let mut cluster = TestCluster::start(single("taken-away")).await?;
    let (client, dir) = (cluster.client(0), cluster.nodes()[0].data().to_owned());
    let aside = dir.with_extension("aside");
    std::fs::rename(&dir, &aside)?;
    let health = says(&client, "/health", |health| health["status"] == "degraded").await?;
    ensure!(health["checks"]["data_dir"].as_str().is_some_and(|told| told.contains("is gone")), "{health}");
    std::fs::rename(&aside, &dir)?;
    says(&client, "/health", |health| health["status"] == "healthy").await?;
    ensure!(cluster.terminate(0).await? == Some(0), "a clean stop");
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_removed_and_runs_on_says_so() -> Result<()> {
    let _place = place().await;
    seed("runs_on");
    let mut cluster = TestCluster::start(options("runs-on").args(&["--shards", "2"])).await?;
    let joiner = cluster.start_joiner(0)?;
    cluster.wait_answers(joiner).await?;
    let by = cluster.client(0);
    done(&cluster.clients(), &operation_of(adopt(&by, &cluster, joiner).await)?).await?;
    let left = delete(&by, "/cluster/nodes/node4").await;
    done(std::slice::from_ref(&by), &operation_of(left)?).await?;
    let removed = |health: &Value| health["checks"]["removed"].is_string() && health["status"] == "degraded";
    says(&cluster.client(joiner), "/health", removed).await?;
    let start = Instant::now();
    while !cluster.nodes()[joiner].log().contains("does not know this node any more") {
        ensure!(start.elapsed() < PATIENCE, "its log says nothing: {}", cluster.nodes()[joiner].log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // It is not taken back, neither while it runs nor after a restart, and both are said at once.
    for restarts in [false, true] {
        if restarts {
            cluster.kill(joiner);
            cluster.restart_joiner(joiner, 0)?;
            cluster.wait_answers(joiner).await?;
        }
        let refused = adopt(&by, &cluster, joiner).await;
        ensure!(refused.code() == "node_conflict" && refused.message().contains("removed"), "{}", refused.problem);
    }
    cluster.finish()
}
