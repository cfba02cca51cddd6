//! Failover: a leader is killed with -9; how long until writes to all shards and a search at QUORUM are answered again?

use super::corpus::Corpus;
use super::reads::search;
use super::report::{Report, Row, percentile};
use super::say;
use super::writes::upsert;
use crate::api::{ClusterSharding, Consistency, PointId, PointInput, VectorValue};
use crate::cli::client::{Client, Failure};
use crate::cli::dev::Cluster;
use anyhow::{Context, ensure};
use std::time::{Duration, Instant};

/// Longest wait for service, and for a node to come back.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two attempts.
const ASK_EVERY: Duration = Duration::from_millis(10);
/// Quiet time between rounds.
const REST: Duration = Duration::from_secs(2);
/// Points of the probing write: enough to have some on every shard.
const PROBE: u64 = 128;

/// Kills `rounds` leaders, one after the other, each brought back before the next.
pub(super) async fn measure(
    cluster: &mut Cluster,
    corpus: &Corpus,
    rounds: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut times = Vec::new();
    for round in 0..rounds {
        let sharding: ClusterSharding = Client::new(&[cluster.door().to_owned()])?.get("/cluster/sharding").await?;
        let shard = &sharding.shards[round % sharding.shards.len()];
        let victim = shard.leader.clone().with_context(|| format!("shard {} has no leader to kill", shard.shard))?;
        say(&format!("failover, round {}: {victim} is killed", round + 1));
        let survivors: Vec<_> =
            cluster.members().filter(|(name, ..)| *name != victim).map(|(_, url, ..)| url.to_owned()).collect();
        let client = Client::new(&survivors)?;
        cluster.kill(&victim)?;
        times.push(outage(&client, corpus).await?.as_secs_f64());
        cluster.restart(&victim)?;
        cluster.node_serving(&victim, PATIENCE).await?;
        caught_up(&client, &victim).await?;
        tokio::time::sleep(REST).await;
    }
    if rounds > 0 {
        let worst = times.iter().copied().fold(0.0, f64::max);
        let note = format!("worst {worst:.2} s of {rounds} kills; writes to all shards and a search answered again");
        report.add(Row::new("failover after kill -9, median", percentile(&mut times, 0.5), "s").note(&note));
    }
    Ok(())
}

/// Time until a write to every shard and a search have succeeded.
async fn outage(client: &Client, corpus: &Corpus) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    while let Err(failure) = probe(client, corpus).await {
        ensure!(begun.elapsed() < PATIENCE, "no service {} s after the kill: {failure}", PATIENCE.as_secs());
        tokio::time::sleep(ASK_EVERY).await;
    }
    Ok(begun.elapsed())
}

async fn probe(client: &Client, corpus: &Corpus) -> Result<(), Failure> {
    let vector = &corpus.queries()[0];
    let point = |n| PointInput {
        // Past all ids of the other measurements.
        id: PointId::Num(u64::MAX - n),
        vector: VectorValue::Single(vector.clone()),
        payload: None,
        if_version: None,
    };
    upsert(client, (0..PROBE).map(point).collect()).await?;
    search(client, vector.clone(), Consistency::Quorum).await
}

async fn caught_up(client: &Client, node: &str) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let sharding: ClusterSharding = client.get("/cluster/sharding").await?;
        let mut replicas = sharding.shards.iter().flat_map(|shard| &shard.replicas);
        if replicas.all(|replica| replica.node != node || replica.lag == Some(0)) {
            return Ok(());
        }
        ensure!(begun.elapsed() < PATIENCE, "{node} has not caught up after {} s", PATIENCE.as_secs());
        tokio::time::sleep(ASK_EVERY).await;
    }
}
