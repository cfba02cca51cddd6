//! The first map of a new cluster: pure.

use std::collections::{BTreeMap, BTreeSet};

use raft_groups::NodeId;

use crate::model::limits::MAX_SHARDS;

use super::{ClusterMap, NodeEntry, Placement, ShardEntry, ShardId};

/// Most nodes that vote in the meta group; more would only slow its commits down.
pub const MAX_META_VOTERS: usize = 5;

/// How many nodes vote in the meta group of a cluster with so many members: an odd number, where there are enough.
pub fn meta_voters(members: usize) -> usize {
    match members {
        0..=3 => members,
        4 => 3,
        _ => MAX_META_VOTERS,
    }
}

/// Why no map can be made of these numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormationError {
    /// A cluster needs a node.
    #[error("a cluster needs at least one node")]
    NoNodes,
    /// The number of shards is out of range.
    #[error("a cluster has 1 to {MAX_SHARDS} shards, not {0}")]
    Shards(u32),
    /// A shard needs a replica.
    #[error("the replication factor is at least 1")]
    NoReplicas,
    /// Two nodes have one name.
    #[error("two nodes are named `{0}`")]
    SameName(String),
}

/// The first map: equal contiguous ranges, replicas in rings over the nodes, first leaders spread evenly.
///
/// The replication factor is at most the number of nodes.
///
/// # Errors
/// [`FormationError`] where there are no nodes, names repeat, or a number is out of range.
pub fn form(
    cluster: [u8; 16],
    nodes: BTreeMap<NodeId, NodeEntry>,
    shard_count: u32,
    replication_factor: usize,
) -> Result<ClusterMap, FormationError> {
    check(&nodes, shard_count, replication_factor)?;
    // Fewer nodes than wanted hold fewer replicas. The wish is kept for nodes that join later.
    let (wanted_factor, replication_factor) = (replication_factor, replication_factor.min(nodes.len()));
    let order: Vec<NodeId> = nodes.keys().copied().collect();
    // Shard by shard the ring begins one node further, so leaders and replicas are spread evenly.
    let shards = (0..shard_count)
        .map(|shard| {
            let home = shard as usize % order.len();
            let target: BTreeSet<NodeId> = order.iter().cycle().skip(home).take(replication_factor).copied().collect();
            let range = range_of(shard, shard_count);
            (ShardId(shard), ShardEntry { range, placement: Placement::first(target), preferred: order[home] })
        })
        .collect();
    Ok(ClusterMap {
        cluster,
        epoch: 0,
        replication_factor,
        wanted_factor,
        meta: Placement::first(order.iter().copied().take(meta_voters(order.len())).collect()),
        next_node: nodes.keys().last().map_or(1, |last| last + 1),
        nodes,
        shards,
        collections: BTreeMap::new(),
        leaving: BTreeMap::new(),
        next_collection: 1,
        operations: BTreeMap::new(),
        next_operation: 1,
        timings: None,
    })
}

fn check(
    nodes: &BTreeMap<NodeId, NodeEntry>,
    shard_count: u32,
    replication_factor: usize,
) -> Result<(), FormationError> {
    if nodes.is_empty() {
        return Err(FormationError::NoNodes);
    }
    if !(1..=MAX_SHARDS).contains(&shard_count) {
        return Err(FormationError::Shards(shard_count));
    }
    if replication_factor == 0 {
        return Err(FormationError::NoReplicas);
    }
    // Names are how operators speak of nodes.
    let mut names = BTreeSet::new();
    match nodes.values().find(|node| !names.insert(&node.name)) {
        Some(twin) => Err(FormationError::SameName(twin.name.to_string())),
        None => Ok(()),
    }
}

/// The `shard`th of `count` parts of the hash space; sizes differ by one at most.
fn range_of(shard: u32, count: u32) -> (u64, u64) {
    let start = |i: u32| (u128::from(i) << 64) / u128::from(count);
    let first = u64::try_from(start(shard)).expect("i < count, so the start is below 2^64");
    let last = u64::try_from(start(shard + 1) - 1).expect("the end is at most 2^64 - 1");
    (first, last)
}
