//! Nodes that are adopted and let go, and waiting until that is done.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jepsen_lite::client::{ApiAnswer, ApiClient, operation_done};
use jepsen_lite::cluster::TestCluster;
use reqwest::Method;
use serde_json::{Value, json};

use super::PATIENCE;

/// Asks for a node to be adopted.
pub async fn adopt(by: &ApiClient, cluster: &TestCluster, index: usize) -> ApiAnswer {
    let node = &cluster.nodes()[index];
    let body = json!({"node_id": node.name(), "host": "127.0.0.1", "port": node.port()});
    by.post("/cluster/nodes", &body).await
}

/// The operation that an accepted change began.
pub fn operation_of(answer: ApiAnswer) -> Result<String> {
    ensure!(answer.status == Some(202), "{} {}", answer.problem, answer.body);
    Ok(answer.body["operation_id"].as_str().context("no `operation_id`")?.to_owned())
}

/// Waits until an operation is done.
pub async fn done(by: &[ApiClient], operation: &str) -> Result<()> {
    operation_done(by, operation, 2 * PATIENCE).await
}

/// What `GET /cluster/status` says.
pub async fn status(by: &ApiClient) -> Result<Value> {
    by.cluster_status().await.ok()
}

/// Waits until every shard is on `copies` of these nodes only, with all replicas voting and nothing on its way.
pub async fn at_home(by: &ApiClient, nodes: &[&str], copies: usize) -> Result<()> {
    let start = Instant::now();
    loop {
        let sharding = by.sharding().await;
        let rows = sharding.body["shards"].as_array().cloned().unwrap_or_default();
        let row_is_home = |row: &Value| {
            let replicas = row["replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
            let there = |replica: &Value| {
                replica["state"] == "voter" && replica["node"].as_str().is_some_and(|node| nodes.contains(&node))
            };
            replicas.len() == copies && replicas.iter().all(there)
        };
        let still = sharding.body["moves_in_progress"].as_array().is_some_and(Vec::is_empty);
        if still && !rows.is_empty() && rows.iter().all(row_is_home) {
            return Ok(());
        }
        ensure!(start.elapsed() < 2 * PATIENCE, "the shards do not come to {nodes:?}: {}", sharding.body);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until the cluster says that it can lose a node: what comes next may take one.
pub async fn can_lose_one(by: &ApiClient) -> Result<()> {
    let start = Instant::now();
    while let Err(health) = by.can_lose_one().await {
        ensure!(start.elapsed() < 2 * PATIENCE, "no node can be done without: {health}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// A DELETE without a body.
pub async fn delete(by: &ApiClient, path: &str) -> ApiAnswer {
    by.send(Method::DELETE, path, None).await
}
