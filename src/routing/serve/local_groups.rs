//! The replicas of this node, as the serving side finds them. The node opens and closes them.

use std::collections::BTreeMap;

use parking_lot::{Mutex, RwLock};
use raft_groups::{Group, GroupId};
use tokio::time::Instant;

use crate::engine::Engine;
use crate::placement::{MetaMachine, ShardId};
use crate::routing::Quarantined;
use crate::routing::group_time::LeaderClock;

/// This node's open replicas, and those that stay closed.
#[derive(Default)]
pub struct LocalGroups {
    meta: RwLock<Option<Group<MetaMachine>>>,
    shards: RwLock<BTreeMap<ShardId, Group<Engine>>>,
    quarantined: RwLock<BTreeMap<GroupId, Quarantined>>,
    clocks: Mutex<BTreeMap<GroupId, LeaderClock>>,
}

impl LocalGroups {
    /// The replica of the meta group, where this node has one.
    pub fn meta(&self) -> Option<Group<MetaMachine>> {
        self.meta.read().clone()
    }

    /// The replica of a shard, where this node has one.
    pub fn shard(&self, shard: ShardId) -> Option<Group<Engine>> {
        self.shards.read().get(&shard).cloned()
    }

    /// All replicas of shards.
    pub fn shards(&self) -> Vec<(ShardId, Group<Engine>)> {
        self.shards.read().iter().map(|(shard, group)| (*shard, group.clone())).collect()
    }

    /// The time of `group`, which this node leads in `term` and whose state is at `state_ms`.
    pub(in crate::routing) fn time_ms(&self, group: GroupId, term: u64, state_ms: u64) -> u64 {
        let (mut clocks, now) = (self.clocks.lock(), Instant::now());
        clocks.entry(group).or_insert_with(|| LeaderClock::new(term, state_ms, now)).at(term, state_ms, now)
    }

    /// Replicas that stay closed.
    pub fn quarantined(&self) -> Vec<Quarantined> {
        self.quarantined.read().values().cloned().collect()
    }

    /// Why the replica of `group` is closed, where it is.
    pub fn closed(&self, group: GroupId) -> Option<String> {
        self.quarantined.read().get(&group).map(|closed| closed.reason.clone())
    }

    /// Takes the replica of the meta group.
    pub fn put_meta(&self, group: Group<MetaMachine>) {
        *self.meta.write() = Some(group);
    }

    /// Takes the replica of a shard.
    pub fn put_shard(&self, shard: ShardId, group: Group<Engine>) {
        self.shards.write().insert(shard, group);
    }

    /// Gives up the replica of `group`, so that nothing finds it here any more.
    pub fn remove(&self, group: GroupId) {
        match ShardId::of_group(group) {
            Some(shard) => drop(self.shards.write().remove(&shard)),
            None => drop(self.meta.write().take()),
        }
    }

    /// Forgets that the replica of `group` stayed closed: it is erased.
    pub fn release(&self, group: GroupId) {
        self.quarantined.write().remove(&group);
    }

    /// Notes that a replica stays closed.
    pub fn quarantine(&self, closed: Quarantined) {
        self.quarantined.write().insert(closed.group, closed);
    }
}
