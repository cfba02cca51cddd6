//! How far the replicas' indexing is, as each node tells of its own replicas.
//!
//! In: nodes. Out: sums over their replicas, and a wait until nothing is left to index.

use crate::cluster::{BenchCluster, Node};
use anyhow::ensure;
use quiver::api::Shards;
use quiver::client::{Client, Failure};
use std::time::{Duration, Instant};

/// Longest wait for all vectors to be indexed.
const PATIENCE: Duration = Duration::from_secs(300);
/// Pause between two looks. Looks are rare, because each answer costs the servers what is measured.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Sums over the replicas of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Extent {
    /// Replicas.
    pub(crate) replicas: usize,
    /// Points.
    pub(crate) points: u64,
    /// Vectors that a graph links.
    pub(crate) indexed: u64,
    /// Vectors that wait to be linked.
    pub(crate) waiting: u64,
}

impl Extent {
    /// The sums of a node, as it tells them itself.
    pub(crate) async fn of(node: &Node) -> Result<Self, Failure> {
        let client = Client::new(std::slice::from_ref(&node.url)).map_err(|error| Failure::Unreachable {
            tried: format!("{}: {error}", node.url),
            late: false,
            sent: false,
        })?;
        let shards: Shards = client.get("/shards").await?;
        Ok(shards.shards.iter().fold(Self { replicas: shards.shards.len(), ..Self::default() }, |sum, row| Self {
            points: sum.points + row.vectors,
            indexed: sum.indexed + row.index.indexed,
            waiting: sum.waiting + row.index.waiting,
            ..sum
        }))
    }
}

/// Waits until all nodes hold equally many points, and none of their vectors waits.
pub(crate) async fn everywhere(cluster: &BenchCluster) -> anyhow::Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut extents = Vec::new();
        for node in cluster.nodes() {
            extents.push(Extent::of(&node).await?);
        }
        // A node that lacks points has not applied all writes yet, so its zero does not count.
        let most = extents.iter().map(|extent| extent.points).max();
        if extents.iter().all(|extent| extent.waiting == 0 && Some(extent.points) == most) {
            return Ok(());
        }
        ensure!(Instant::now() < until, "after {} s there are vectors that wait: {extents:?}", PATIENCE.as_secs());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
