//! The cluster under measurement: three nodes of this binary on free ports, and what can be seen of them from outside.

use super::vitals;
use crate::api::{ClusterHealth, ClusterSharding, HealthState, Shards};
use crate::cli::client::Client;
use crate::cli::dev::{Cluster, Plan};
use crate::cli::ingest::create;
use anyhow::{Context, bail, ensure};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Nodes, and copies of each shard.
pub(super) const NODES: usize = 3;
/// The collection that is ingested, read and searched.
pub(super) const COLLECTION: &str = "bench";
/// The collection of single writes, apart so that the exact answers over the first stay true.
pub(super) const WRITES: &str = "bench-writes";
/// Longest wait for the cluster to be as it should.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Ports are taken from here: below Linux' own range for outgoing connections.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A node, as seen from outside.
#[derive(Clone)]
pub(super) struct Node {
    /// Its name.
    pub(super) name: String,
    /// Its API.
    pub(super) url: String,
    /// Its process, until it is started again.
    pub(super) pid: u32,
    /// Its data.
    pub(super) dir: PathBuf,
}

/// The running cluster.
pub(super) struct Stage {
    /// Its processes.
    pub(super) cluster: Cluster,
    dir: PathBuf,
}

impl Stage {
    /// Starts the nodes under `dir` and creates the collections. Call it on the main thread.
    pub(super) async fn set(dir: &Path, columns: usize) -> anyhow::Result<Self> {
        let stage = Self::bare(dir, Vec::new()).await?;
        for collection in [COLLECTION, WRITES] {
            create(&stage.client(0)?, collection, Some(columns), None, PATIENCE).await?;
        }
        stage.healthy().await?;
        Ok(stage)
    }

    /// Starts the nodes under `dir` with further arguments, and creates nothing. Call it on the main thread.
    pub(super) async fn bare(dir: &Path, node_args: Vec<String>) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let ports = free_ports(2 * NODES)?;
        let node_ports = ports.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        let plan = Plan { gateway_port: None, node_ports, dir: dir.into(), node_args };
        let mut stage = Self { cluster: Cluster::start(plan)?, dir: dir.into() };
        stage.cluster.serving(PATIENCE).await?;
        stage.healthy().await?;
        Ok(stage)
    }

    /// Starts one more node, which waits to be adopted: its name and where it answers. Call it on the main thread.
    pub(super) async fn join(&mut self) -> anyhow::Result<(String, String, u16)> {
        let ports = free_ports(2)?;
        let name = self.cluster.join((ports[0], ports[1]), &self.dir)?;
        let until = Instant::now() + PATIENCE;
        let url = format!("http://127.0.0.1:{}/health", ports[0]);
        while reqwest::get(&url).await.is_err() {
            ensure!(Instant::now() < until, "{name} does not answer after {} s", PATIENCE.as_secs());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok((name, "127.0.0.1".to_owned(), ports[0]))
    }

    /// The nodes, in order.
    pub(super) fn nodes(&self) -> Vec<Node> {
        let node = |(name, url, pid, _): (&str, &str, u32, &Path)| Node {
            name: name.into(),
            url: url.into(),
            pid,
            dir: self.dir.join(name),
        };
        self.cluster.members().map(node).collect()
    }

    /// A client whose first door is the node of this number; the others follow in turn.
    pub(super) fn client(&self, number: usize) -> anyhow::Result<Client> {
        let mut urls: Vec<String> = self.nodes().into_iter().map(|node| node.url).collect();
        urls.rotate_left(number % NODES);
        Client::new(&urls)
    }

    /// Processor time of all servers so far, in milliseconds.
    pub(super) fn processor_ms(&self) -> anyhow::Result<f64> {
        vitals::processor_ms(&self.pids())
    }

    /// That of their indexing alone.
    pub(super) fn indexers_ms(&self) -> anyhow::Result<f64> {
        vitals::indexers_ms(&self.pids())
    }

    fn pids(&self) -> Vec<u32> {
        self.nodes().iter().map(|node| node.pid).collect()
    }

    /// The greatest term of each shard that any node knows.
    pub(super) async fn terms(&self) -> anyhow::Result<BTreeMap<u32, u64>> {
        let mut terms = BTreeMap::new();
        for node in self.nodes() {
            let shards: Shards = Client::new(&[node.url])?.get("/shards").await?;
            for row in shards.shards {
                let term = terms.entry(row.shard).or_default();
                *term = row.term.max(*term);
            }
        }
        Ok(terms)
    }

    /// The shards and their leaders, by a node's lights.
    pub(super) async fn sharding(&self) -> anyhow::Result<ClusterSharding> {
        Ok(self.client(0)?.get("/cluster/sharding").await?)
    }

    /// Waits until all nodes are healthy and all groups led.
    pub(super) async fn healthy(&self) -> anyhow::Result<()> {
        let client = self.client(0)?;
        let until = Instant::now() + PATIENCE;
        loop {
            let health: Result<ClusterHealth, _> = client.get("/cluster/health").await;
            let said = match health {
                Ok(health) if health.status == HealthState::Healthy => return Ok(()),
                Ok(health) => health.issues.first().map(|issue| issue.message.clone()).unwrap_or_default(),
                Err(failure) => failure.to_string(),
            };
            ensure!(Instant::now() < until, "the cluster is not healthy after {} s: {said}", PATIENCE.as_secs());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until this node says it is healthy and has applied all that any replica of its shards has.
    pub(super) async fn caught_up(&mut self, name: &str) -> anyhow::Result<()> {
        self.cluster.node_serving(name, PATIENCE).await?;
        let until = Instant::now() + PATIENCE;
        while !self.is_level(name).await? {
            ensure!(Instant::now() < until, "{name} has not caught up after {} s", PATIENCE.as_secs());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn is_level(&self, name: &str) -> anyhow::Result<bool> {
        let (mut own, mut most) = (BTreeMap::new(), BTreeMap::<u32, u64>::new());
        for node in self.nodes() {
            let client = Client::new(std::slice::from_ref(&node.url))?;
            let shards: Shards = client.get("/shards").await?;
            if node.name == name {
                let health: crate::api::Health = client.get("/health").await?;
                if health.status != HealthState::Healthy {
                    return Ok(false);
                }
                own = shards.shards.iter().map(|row| (row.shard, row.applied)).collect();
            }
            for row in shards.shards {
                let applied = most.entry(row.shard).or_default();
                *applied = row.applied.max(*applied);
            }
        }
        Ok(!own.is_empty() && most.iter().all(|(shard, applied)| own.get(shard) == Some(applied)))
    }

    /// Fails where a node has ended by itself.
    pub(super) fn all_alive(&mut self) -> anyhow::Result<()> {
        match self.cluster.died().first() {
            Some(obituary) => bail!("{obituary}"),
            None => Ok(()),
        }
    }
}

/// Sum of the terms passed between two looks: elections, held in vain ones included.
pub(super) fn elections(before: &BTreeMap<u32, u64>, after: &BTreeMap<u32, u64>) -> u64 {
    after.iter().map(|(shard, term)| term.saturating_sub(before.get(shard).copied().unwrap_or(*term))).sum()
}

fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let mut held = Vec::new();
    for _ in 0..1_000 {
        // Held until all are found, so that none is found twice.
        held.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, rand::random_range(PORTS))).ok());
        if held.len() == count {
            return held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect();
        }
    }
    None.with_context(|| format!("found no {count} free ports in {} to {}", PORTS.start, PORTS.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_passed_are_summed_over_shards() {
        let (before, after) = (BTreeMap::from([(0, 1), (1, 4)]), BTreeMap::from([(0, 3), (1, 4), (2, 9)]));
        assert_eq!(elections(&before, &after), 2);
        assert_eq!(elections(&after, &after), 0);
    }

    #[test]
    fn free_ports_differ() {
        let mut ports = free_ports(6).unwrap();
        ports.dedup();
        assert!(ports.len() == 6 && ports.iter().all(|port| PORTS.contains(port)), "{ports:?}");
    }
}
