//! What the nodes say of themselves, gathered for the cluster's status pages.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raft_groups::mutants::{Mutant, is_planted};
use raft_groups::{GroupId, GroupStatus, NodeId};
use serde::{Deserialize, Serialize};

use crate::engine::{CollectionId, IndexProgress};
use crate::placement::{ClusterMap, ShardId};

/// Every node's report, or why there is none.
#[derive(Debug, Clone)]
pub struct Overview {
    /// The map the reports belong to.
    pub map: Arc<ClusterMap>,
    /// The nodes in the order of their numbers.
    pub nodes: Vec<NodeOverview>,
}

/// One node, as far as it could be asked.
#[derive(Debug, Clone)]
pub struct NodeOverview {
    /// Its number.
    pub node: NodeId,
    /// What it says of itself, or why it does not answer.
    pub report: Result<NodeReport, String>,
}

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeReport {
    /// Its number.
    pub node: NodeId,
    /// Seconds since its process started.
    pub uptime_seconds: u64,
    /// How busy it is, 0 to 1.
    pub load: f32,
    /// Memory its points use, in bytes.
    pub memory_bytes: u64,
    /// Disk its logs and state use, in bytes.
    pub disk_bytes: u64,
    /// Epoch of the map it has.
    pub epoch: u64,
    /// Its replica of the meta group, if it has one.
    pub meta: Option<GroupStatus>,
    /// Its replicas of shards.
    pub replicas: Vec<ReplicaReport>,
    /// Replicas that stay closed.
    pub quarantined: Vec<Quarantined>,
    /// Milliseconds that a message to each peer and its answer take, as far as that is known.
    pub round_trips_ms: BTreeMap<NodeId, u64>,
}

/// One replica of a shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplicaReport {
    /// The shard.
    pub shard: ShardId,
    /// Its group as this replica sees it.
    pub status: GroupStatus,
    /// Points in it.
    pub points: u64,
    /// Points by collection.
    pub collections: BTreeMap<CollectionId, u64>,
    /// Of collections with indexed payload fields: points with a value there, by the field's path.
    pub fields: BTreeMap<CollectionId, BTreeMap<String, u64>>,
    /// Memory its points use, in bytes.
    pub memory_bytes: u64,
    /// Log index of the last command that `digest` reflects.
    pub digest_index: u64,
    /// Digest of its replicated state: equal on all replicas at equal index.
    pub digest: u64,
    /// How far the indexing of its vectors is.
    pub index: IndexProgress,
}

/// A replica that stays closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Its group.
    pub group: GroupId,
    /// What is wrong, with the way out.
    pub reason: String,
    /// Whether its data fails its checks. If not, the disk did not let it be opened, and may at the next start.
    pub damaged: bool,
}

impl NodeReport {
    fn damaged(&self) -> impl Iterator<Item = GroupId> {
        self.quarantined.iter().filter(|closed| closed.damaged).map(|closed| closed.group)
    }

    /// Points on this node, every replica counted.
    pub fn points(&self) -> u64 {
        self.replicas.iter().map(|replica| replica.points).sum()
    }
}

impl Overview {
    /// The reports there are.
    pub fn reports(&self) -> impl Iterator<Item = &NodeReport> {
        self.nodes.iter().filter_map(|node| node.report.as_ref().ok())
    }

    /// Replicas that are worth nothing: they stay closed since their data is damaged, or a majority contradicts them.
    pub fn damaged(&self) -> BTreeSet<(NodeId, GroupId)> {
        let closed = self.reports().flat_map(|report| report.damaged().map(|group| (report.node, group)));
        let odd = self.differing().into_iter().flat_map(|(group, odd)| odd.into_iter().map(move |node| (node, group)));
        closed.chain(odd).collect()
    }

    /// Groups whose replicas differ, with no majority that agrees.
    pub fn disputed(&self) -> BTreeSet<GroupId> {
        self.differing().into_iter().filter(|(_, odd)| odd.is_empty()).map(|(group, _)| group).collect()
    }

    /// Groups whose replicas differ at one log index, each with the nodes that differ from a majority of its voters.
    /// The set of nodes is empty where no majority agrees.
    pub fn differing(&self) -> BTreeMap<GroupId, BTreeSet<NodeId>> {
        if is_planted(Mutant::NeverComparesStates) {
            return BTreeMap::new();
        }
        self.map.placements().filter_map(|(group, _)| Some((group, self.odd_ones(group)?))).collect()
    }

    fn odd_ones(&self, group: GroupId) -> Option<BTreeSet<NodeId>> {
        let mut seen: BTreeMap<u64, BTreeMap<u64, BTreeSet<NodeId>>> = BTreeMap::new();
        let mut voters = (0, &BTreeSet::new());
        // Digests can be compared only at the same index, so they are sorted by it.
        for (node, status) in self.statuses(group) {
            for (index, digest) in &status.digests {
                seen.entry(*index).or_default().entry(*digest).or_default().insert(node);
            }
            // The replica that has applied most has the newest list of voters.
            voters = voters.max((status.applied, &status.voters));
        }
        let (_, voters) = voters;
        let is_majority = |nodes: &BTreeSet<NodeId>| nodes.intersection(voters).count() * 2 > voters.len();
        let differing: Vec<_> = seen.into_values().filter(|by_digest| by_digest.len() > 1).collect();
        // Of the indexes at which replicas differ, the last one with a majority decides who is wrong.
        let judged = differing.iter().rev().find_map(|by_digest| {
            let right = by_digest.values().find(|nodes| is_majority(nodes))?;
            Some(by_digest.values().flatten().copied().filter(|node| !right.contains(node)).collect())
        });
        (!differing.is_empty()).then(|| judged.unwrap_or_default())
    }

    /// What all replicas of a group say of it, with their nodes.
    fn statuses(&self, group: GroupId) -> impl Iterator<Item = (NodeId, &GroupStatus)> {
        self.reports().flat_map(move |report| {
            let statuses = report.replicas.iter().map(|replica| &replica.status).chain(&report.meta);
            statuses.filter(move |status| status.group == group).map(|status| (report.node, status))
        })
    }

    /// All replicas of a shard that were reported, with their nodes.
    pub fn replicas(&self, shard: ShardId) -> impl Iterator<Item = (NodeId, &ReplicaReport)> {
        self.reports().flat_map(move |report| {
            let of_shard = report.replicas.iter().filter(move |replica| replica.shard == shard);
            of_shard.map(|replica| (report.node, replica))
        })
    }

    /// The leader of a shard, as the replica with the highest term that calls itself so and has a majority behind it.
    pub fn leader(&self, shard: ShardId) -> Option<(NodeId, &ReplicaReport)> {
        let leaders = self.replicas(shard).filter(|(_, r)| r.status.leads());
        leaders.max_by_key(|(_, replica)| replica.status.term)
    }

    /// The node that leads the meta group, by the same rule.
    pub fn meta_leader(&self) -> Option<NodeId> {
        let statuses = self.reports().filter_map(|r| r.meta.as_ref().map(|meta| (r.node, meta)));
        let leaders = statuses.filter(|(_, meta)| meta.leads());
        leaders.max_by_key(|(_, meta)| meta.term).map(|(node, _)| node)
    }

    /// The replica of a shard that speaks for it: its leader, or else the one that has applied most.
    pub fn speaker(&self, shard: ShardId) -> Option<(NodeId, &ReplicaReport)> {
        self.leader(shard).or_else(|| self.replicas(shard).max_by_key(|(_, r)| r.status.applied))
    }

    /// Points in the cluster, each counted once.
    pub fn points(&self) -> u64 {
        self.speakers().map(|replica| replica.points).sum()
    }

    /// Points of one collection, each counted once.
    pub fn points_of(&self, collection: CollectionId) -> u64 {
        self.speakers().filter_map(|replica| replica.collections.get(&collection)).sum()
    }

    /// Points of one collection that have a value at an indexed payload field, each counted once.
    pub fn points_with(&self, collection: CollectionId, field: &str) -> u64 {
        self.speakers().filter_map(|replica| replica.fields.get(&collection)?.get(field)).sum()
    }

    fn speakers(&self) -> impl Iterator<Item = &ReplicaReport> {
        self.map.shards.keys().filter_map(|shard| self.speaker(*shard)).map(|(_, replica)| replica)
    }
}
