//! What every test needs: clusters of the binary under test, who leads, whether replicas agree, the sample data.

pub mod members;
pub mod sample;
pub mod terminal;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jepsen_lite::check::HistoryVerdict;
use jepsen_lite::client::ApiClient;
use jepsen_lite::cluster::{Options, TestCluster};
use jepsen_lite::run::register_collection::RegisterCollection;
use jepsen_lite::seed::from_env;
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The binary under test: the one just built, or `QUIVER_BINARY` (a release build, say).
pub fn binary() -> PathBuf {
    std::env::var_os("QUIVER_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_quiver").into(), PathBuf::from)
}

/// How long anything may take on a busy machine before a test gives up on it. Never a bound that a test is about.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The size of the vectors in collections of registers.
pub const SIZE: usize = 16;

/// A place among the clusters that may run at once; more would only measure the scheduler.
pub async fn place() -> SemaphorePermit<'static> {
    static PLACES: std::sync::OnceLock<Semaphore> = std::sync::OnceLock::new();
    let allowed = from_env("QUIVER_TEST_CLUSTERS").unwrap_or(2) as usize;
    let places = PLACES.get_or_init(|| Semaphore::new(allowed.max(1)));
    places.acquire().await.expect("the semaphore is never closed")
}

/// How many rounds of faults: `usual`, or `QUIVER_TEST_ROUNDS`.
pub fn rounds(usual: u64) -> u64 {
    from_env("QUIVER_TEST_ROUNDS").unwrap_or(usual)
}

/// Three nodes of the binary under test.
pub fn options(name: &str) -> Options {
    Options::new(name, binary())
}

/// One node, for what needs no replicas.
pub fn single(name: &str) -> Options {
    Options { nodes: 1, ..options(name) }
}

/// Makes a collection of registers. Its history is among the logs of the cluster.
pub async fn register_collection(cluster: &TestCluster, name: &str) -> Result<RegisterCollection> {
    let answer = cluster.client(0).create_collection(name, SIZE, "euclid").await;
    ensure!(answer.status == Some(201), "{}", answer.problem);
    RegisterCollection::new(name, SIZE, &cluster.logs().join("history.edn"))
}

/// The rows of `GET /shards` of one node, by shard.
pub async fn shards(client: &ApiClient) -> Result<BTreeMap<u64, Value>> {
    let body = client.shards().await.ok()?;
    let rows = body["shards"].as_array().context("no `shards`")?;
    let keyed = rows.iter().map(|row| Ok((row["shard"].as_u64().context("no `shard`")?, row.clone())));
    keyed.collect()
}

/// Which node leads each shard, asked of every node that answers, until each shard of the cluster has a leader.
pub async fn leaders(cluster: &TestCluster, count: usize) -> Result<BTreeMap<u64, usize>> {
    let start = Instant::now();
    loop {
        let mut found: BTreeMap<u64, (u64, usize)> = BTreeMap::new();
        for (index, client) in cluster.clients().into_iter().enumerate() {
            let rows = shards(&client.with_deadline(Duration::from_secs(2))).await;
            for (shard, row) in rows.unwrap_or_default() {
                let term = row["term"].as_u64().unwrap_or(0);
                // A leader that was cut off still calls itself one: the highest term is right.
                if row["role"] == "leader" && found.get(&shard).is_none_or(|(known, _)| *known < term) {
                    found.insert(shard, (term, index));
                }
            }
        }
        if found.len() == count {
            return Ok(found.into_iter().map(|(shard, (_, index))| (shard, index)).collect());
        }
        ensure!(start.elapsed() < PATIENCE, "only {found:?} of {count} shards have a leader");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the replicas of every shard have applied the same index, and holds their state hashes against each
/// other. Hashes that differ at an equal index are an error at once.
pub async fn same_state(cluster: &TestCluster) -> Result<()> {
    let start = Instant::now();
    loop {
        let mut seen: BTreeMap<u64, BTreeMap<u64, BTreeSet<String>>> = BTreeMap::new();
        for client in cluster.running_clients() {
            for (shard, row) in shards(&client).await? {
                let index = row["state_index"].as_u64().context("no `state_index`")?;
                let hash = row["state_hash"].as_str().context("no `state_hash`")?;
                seen.entry(shard).or_default().entry(index).or_default().insert(hash.to_owned());
            }
        }
        ensure!(!seen.is_empty(), "no node shows a shard");
        for (shard, by_index) in &seen {
            for (index, hashes) in by_index {
                ensure!(hashes.len() == 1, "replicas of shard {shard} differ at index {index}: {hashes:?}");
            }
        }
        if seen.values().all(|by_index| by_index.len() == 1) {
            return Ok(());
        }
        ensure!(start.elapsed() < PATIENCE, "replicas never came to the same index: {seen:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Reads everything at ALL, as soon as the cluster answers at that level.
async fn read_all(client: &ApiClient, points: &RegisterCollection) -> Result<()> {
    let start = Instant::now();
    while let Err(error) = points.read_all(client, "all").await {
        ensure!(start.elapsed() < PATIENCE, "no read at ALL from {}: {error:#}", client.base());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Reads everything at ALL through one node, and judges all that was seen of the collection so far.
pub async fn final_check(client: &ApiClient, points: &RegisterCollection) -> Result<HistoryVerdict> {
    read_all(client, points).await?;
    points.judge()
}

/// The end of a fault test: every node shows what the acknowledged writes explain, as all did before, and replicas agree.
pub async fn settle(cluster: &TestCluster, points: &RegisterCollection) -> Result<()> {
    for client in cluster.running_clients() {
        read_all(&client, points).await?;
    }
    println!("  {} writes to `{}` were acknowledged", points.acknowledged(), points.name());
    points.holds()?;
    same_state(cluster).await
}

/// Writes `key` through one node, again and again until it is acknowledged; the answer's body.
pub async fn put_until_acknowledged(client: &ApiClient, points: &RegisterCollection, key: u64) -> Result<Value> {
    let start = Instant::now();
    loop {
        let answer = points.put(client, key).await;
        if answer.success() {
            return Ok(answer.body);
        }
        ensure!(start.elapsed() < PATIENCE, "no write through {}: {}", client.base(), answer.problem);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
