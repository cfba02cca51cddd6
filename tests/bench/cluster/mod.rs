//! The measured cluster: three nodes of the `quiver` binary on free ports, and what can be seen of them from outside.
//!
//! In: a directory, and further arguments of the nodes. Out: nodes that can be killed and started again, clients,
//! terms, processor time. Prints nothing and judges nothing: the measures do.

pub(crate) mod indexing;
pub(crate) mod load;
pub(crate) mod process_stats;

use anyhow::{Context, bail, ensure};
use jepsen_lite::cluster::{Options, TestCluster};
use quiver::api::{ClusterHealth, ClusterSharding, HealthState, Shards};
use quiver::client::Client;
use quiver::client::load::create;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many nodes there are, and how many copies of each shard.
pub(crate) const NODES: usize = 3;
/// The collection that is ingested, read and searched.
pub(crate) const COLLECTION: &str = "bench";
/// The collection of single writes. It is apart, so that the exact answers of the first collection stay true.
pub(crate) const WRITES: &str = "bench-writes";
/// Longest wait for any state of the cluster.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many lines of a log are shown when its node has ended.
const LOG_LINES: usize = 8;
/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A node, as seen from outside.
#[derive(Clone)]
pub(crate) struct Node {
    /// Its name.
    pub(crate) name: String,
    /// The URL of its API.
    pub(crate) url: String,
    /// The id of its process, until it is started again.
    pub(crate) pid: u32,
    /// The directory of its data.
    pub(crate) dir: PathBuf,
}

/// The running cluster.
pub(crate) struct BenchCluster {
    processes: TestCluster,
}

impl BenchCluster {
    /// Starts the nodes under `dir` and creates the collections.
    pub(crate) async fn start(dir: &Path, columns: usize) -> anyhow::Result<Self> {
        let cluster = Self::bare(dir, Vec::new()).await?;
        for collection in [COLLECTION, WRITES] {
            create(&cluster.client(0)?, collection, Some(columns), None, PATIENCE).await?;
        }
        cluster.healthy().await?;
        Ok(cluster)
    }

    /// Starts the nodes under `dir` with further arguments, and creates nothing.
    pub(crate) async fn bare(dir: &Path, args: Vec<String>) -> anyhow::Result<Self> {
        // One more directory than nodes: the last is for the node that joins.
        let data_dirs = (1..=NODES + 1).map(|number| dir.join(format!("node{number}"))).collect();
        let options = Options { nodes: NODES, args, data_dirs, patience: PATIENCE, ..Options::new("bench", binary()?) };
        let cluster = Self { processes: TestCluster::start(options).await? };
        cluster.healthy().await?;
        Ok(cluster)
    }

    /// Starts one more node, which waits to be adopted. Returns its name, and the host and port of its API.
    pub(crate) async fn join(&mut self) -> anyhow::Result<(String, String, u16)> {
        let index = self.processes.start_joiner(0)?;
        self.processes.wait_answers(index).await?;
        let node = &self.processes.nodes()[index];
        Ok((node.name().to_owned(), node.host().to_owned(), node.port()))
    }

    /// The nodes that run, in order.
    pub(crate) fn nodes(&self) -> Vec<Node> {
        let running = self.processes.nodes().iter().filter_map(|node| Some((node, node.pid()?)));
        let node = |(node, pid): (&jepsen_lite::cluster::ClusterNode, u32)| Node {
            name: node.name().to_owned(),
            url: node.url(),
            pid,
            dir: node.data().to_owned(),
        };
        running.map(node).collect()
    }

    /// Kills a node with SIGKILL.
    pub(crate) fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        let index = self.index_of(name)?;
        self.processes.kill(index);
        Ok(())
    }

    /// Asks a node to stop, and waits until it has.
    pub(crate) async fn terminate(&mut self, name: &str) -> anyhow::Result<()> {
        let index = self.index_of(name)?;
        self.processes.terminate(index).await.map(drop)
    }

    /// Starts a node again on its data.
    pub(crate) fn restart(&mut self, name: &str) -> anyhow::Result<()> {
        let index = self.index_of(name)?;
        self.processes.restart(index)
    }

    /// Asks all nodes to stop, the last one first, and removes their logs.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        for index in (0..self.processes.nodes().len()).rev() {
            self.processes.terminate(index).await?;
        }
        self.processes.finish()
    }

    fn index_of(&self, name: &str) -> anyhow::Result<usize> {
        self.processes.index_of(name).with_context(|| format!("no node is called {name}"))
    }

    /// A client whose first endpoint is the node of this number. The others follow in turn.
    pub(crate) fn client(&self, number: usize) -> anyhow::Result<Client> {
        let mut urls: Vec<String> = self.nodes().into_iter().map(|node| node.url).collect();
        urls.rotate_left(number % NODES);
        Client::new(&urls)
    }

    /// Milliseconds of processor time that all servers have used so far.
    pub(crate) fn processor_ms(&self) -> anyhow::Result<f64> {
        process_stats::processor_ms(&self.pids())
    }

    /// The part of it that their indexing threads have used.
    pub(crate) fn indexers_ms(&self) -> anyhow::Result<f64> {
        process_stats::indexers_ms(&self.pids())
    }

    fn pids(&self) -> Vec<u32> {
        self.nodes().iter().map(|node| node.pid).collect()
    }

    /// For each shard, the greatest term that any node knows.
    pub(crate) async fn terms(&self) -> anyhow::Result<BTreeMap<u32, u64>> {
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

    /// The shards and their leaders, as one node knows them.
    pub(crate) async fn sharding(&self) -> anyhow::Result<ClusterSharding> {
        Ok(self.client(0)?.get("/cluster/sharding").await?)
    }

    /// Waits until all nodes are healthy and all groups have leaders.
    pub(crate) async fn healthy(&self) -> anyhow::Result<()> {
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

    /// Waits until this node is healthy and has applied everything that any replica of its shards has applied.
    pub(crate) async fn caught_up(&mut self, name: &str) -> anyhow::Result<()> {
        let index = self.index_of(name)?;
        self.processes.wait_healthy_node(index).await?;
        let until = Instant::now() + PATIENCE;
        while !self.is_level(name).await? {
            ensure!(Instant::now() < until, "{name} has not caught up after {} s", PATIENCE.as_secs());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Returns `true` if this node is healthy, and each of its replicas has applied as much as any other.
    async fn is_level(&self, name: &str) -> anyhow::Result<bool> {
        let (mut own, mut most) = (BTreeMap::new(), BTreeMap::<u32, u64>::new());
        for node in self.nodes() {
            let client = Client::new(std::slice::from_ref(&node.url))?;
            let shards: Shards = client.get("/shards").await?;
            // The node speaks for itself: another node may not know yet that it is back.
            if node.name == name {
                let health: quiver::api::Health = client.get("/health").await?;
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

    /// Fails if a node has ended by itself, with the end of its log.
    pub(crate) fn all_alive(&mut self) -> anyhow::Result<()> {
        for index in 0..self.processes.nodes().len() {
            let node = self.processes.node(index);
            // A node that the benchmark killed has no process id.
            if node.pid().is_some() && !node.running() {
                let log = node.log();
                let lines: Vec<&str> = log.lines().collect();
                let end = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
                bail!("{} ended by itself; the end of its log:\n{end}", node.name());
            }
        }
        Ok(())
    }
}

/// The path of the `quiver` binary beside this one. `scripts/bench` has just built it.
fn binary() -> anyhow::Result<PathBuf> {
    let binary = std::env::current_exe().context("cannot find this binary")?.with_file_name("quiver");
    ensure!(binary.is_file(), "there is no {}: start the benchmark with scripts/bench", binary.display());
    Ok(binary)
}

/// How many terms have passed between two looks, over all shards. Elections that nobody won count too.
pub(crate) fn elections(before: &BTreeMap<u32, u64>, after: &BTreeMap<u32, u64>) -> u64 {
    after.iter().map(|(shard, term)| term.saturating_sub(before.get(shard).copied().unwrap_or(*term))).sum()
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
}
