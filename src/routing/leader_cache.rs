//! Who led each group when last heard of. A hint: a wrong one costs one more call, never a wrong answer.

use std::collections::HashMap;

use parking_lot::RwLock;
use raft_groups::{GroupId, NodeId};

/// The last known leader of each group.
#[derive(Debug, Default)]
pub struct LeaderCache {
    leaders: RwLock<HashMap<GroupId, NodeId>>,
}

impl LeaderCache {
    /// The last known leader of `group`.
    pub fn get(&self, group: GroupId) -> Option<NodeId> {
        self.leaders.read().get(&group).copied()
    }

    /// `node` answered as the leader of `group`, or was named so.
    pub fn learn(&self, group: GroupId, node: NodeId) {
        if self.get(group) != Some(node) {
            self.leaders.write().insert(group, node);
        }
    }

    /// `node` turned out not to lead `group`, or not to answer; what others named meanwhile stays.
    pub fn forget(&self, group: GroupId, node: NodeId) {
        if self.get(group) == Some(node) {
            self.leaders.write().retain(|g, n| !(*g == group && *n == node));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgetting_spares_a_leader_learnt_meanwhile() {
        let (cache, group) = (LeaderCache::default(), GroupId(3));
        cache.learn(group, 1);
        cache.learn(group, 2);
        cache.forget(group, 1);
        assert_eq!(cache.get(group), Some(2));
        cache.forget(group, 2);
        assert_eq!(cache.get(group), None);
    }
}
