//! Who led each group when last heard of. A hint: a wrong one costs one more call, never a wrong answer.

use std::collections::HashMap;

use parking_lot::RwLock;
use raft_groups::{GroupId, NodeId};

/// The last known leader of each group.
#[derive(Debug, Default)]
pub struct LeaderCache {
    leaders: RwLock<HashMap<GroupId, Known>>,
}

/// What is known of one group's leader.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// The latest term anyone led in; kept when the leader is forgotten, so that an earlier one does not come back.
    term: u64,
    leader: Option<NodeId>,
}

impl LeaderCache {
    /// The last known leader of `group`.
    pub fn get(&self, group: GroupId) -> Option<NodeId> {
        self.leaders.read().get(&group).and_then(|known| known.leader)
    }

    /// `node` answered as the leader of `group` in `term`; of no interest where a later term is known.
    pub fn learn(&self, group: GroupId, node: NodeId, term: u64) {
        // Most answers say what is known already, and need only the lock for reading.
        let known = self.leaders.read().get(&group).copied();
        let is_new = |known: Known| term > known.term || term == known.term && known.leader != Some(node);
        if known.is_none_or(is_new) {
            // Another thread may have learned of a later term, so the terms are compared once more.
            let mut leaders = self.leaders.write();
            let known = leaders.entry(group).or_insert(Known { term, leader: None });
            if term >= known.term {
                *known = Known { term, leader: Some(node) };
            }
        }
    }

    /// `node` turned out not to lead `group`, or not to answer; what others named meanwhile stays.
    pub fn forget(&self, group: GroupId, node: NodeId) {
        if self.get(group) == Some(node) {
            let mut leaders = self.leaders.write();
            leaders.entry(group).and_modify(|known| known.leader = known.leader.filter(|leader| *leader != node));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgetting_spares_a_leader_learnt_meanwhile() {
        let (cache, group) = (LeaderCache::default(), GroupId(3));
        cache.learn(group, 1, 1);
        cache.learn(group, 2, 2);
        cache.forget(group, 1);
        assert_eq!(cache.get(group), Some(2));
        cache.forget(group, 2);
        assert_eq!(cache.get(group), None);
    }

    #[test]
    fn a_leader_of_an_earlier_term_does_not_come_back() {
        let (cache, group) = (LeaderCache::default(), GroupId(3));
        cache.learn(group, 1, 7);
        cache.learn(group, 2, 6);
        assert_eq!(cache.get(group), Some(1));
        cache.forget(group, 1);
        cache.learn(group, 2, 6);
        assert_eq!(cache.get(group), None);
        cache.learn(group, 1, 7);
        assert_eq!(cache.get(group), Some(1));
    }
}
