//! What the nodes last said of themselves, collected from their `status` events.
//!
//! In: events. Out: each replica as it was last shown, and who leads. Pure: asks no node.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::api::events::kind;

/// One replica as its node last showed it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct ReplicaStatus {
    pub role: String,
    pub term: u64,
    pub leader: Option<String>,
    pub last_log: u64,
    pub committed: u64,
    pub applied: u64,
    pub snapshot: u64,
    pub purged: u64,
    pub voters: BTreeSet<String>,
    pub learners: BTreeSet<String>,
    pub joint: bool,
}

/// Every replica of every node that is up, by group and node: what it last showed, and the last `status` event itself.
#[derive(Debug, Default)]
pub(crate) struct ClusterView(BTreeMap<(u64, String), ReplicaStatus>, BTreeMap<(u64, String), Value>);

impl ClusterView {
    /// Notes an event of a node.
    pub fn see(&mut self, event: &Value) {
        let (Some(node), Some(group)) = (event["node"].as_str(), event["group"].as_u64()) else { return };
        let key = (group, node.to_owned());
        match event["kind"].as_str() {
            Some(kind::STATUS) => {
                if let Ok(replica) = ReplicaStatus::deserialize(event) {
                    self.0.insert(key.clone(), replica);
                    self.1.insert(key, event.clone());
                }
            }
            // A `status` with this index comes some milliseconds later; nobody needs to wait for it.
            Some(kind::APPLIED) => {
                if let (Some(replica), Some(index)) = (self.0.get_mut(&key), event["index"].as_u64()) {
                    replica.applied = replica.applied.max(index);
                }
            }
            _ => {}
        }
    }

    /// Forgets a node that is down.
    pub fn forget(&mut self, node: &str) {
        self.0.retain(|(_, known), _| known != node);
        self.1.retain(|(_, known), _| known != node);
    }

    /// The last `status` event of each replica, for a page that has just been opened.
    pub fn statuses(&self) -> Vec<Value> {
        self.1.values().cloned().collect()
    }

    /// A node's replica of a group.
    pub fn replica(&self, group: u64, node: &str) -> Option<&ReplicaStatus> {
        self.0.get(&(group, node.to_owned()))
    }

    /// All replicas of a group.
    pub fn replicas(&self, group: u64) -> impl Iterator<Item = (&str, &ReplicaStatus)> {
        self.0
            .iter()
            .filter(move |((known, _), _)| *known == group)
            .map(|((_, node), replica)| (node.as_str(), replica))
    }

    /// The node that leads a group, and its term. A leader that was cut off still calls itself leader, so the highest
    /// term counts.
    pub fn leader(&self, group: u64) -> Option<(String, u64)> {
        let leads = self.replicas(group).filter(|(_, replica)| replica.role == "leader");
        leads.max_by_key(|(_, replica)| replica.term).map(|(node, replica)| (node.to_owned(), replica.term))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_leader_of_the_highest_term_leads() {
        let mut view = ClusterView::default();
        for (node, role, term) in [("node1", "leader", 3), ("node2", "leader", 4), ("node3", "follower", 4)] {
            view.see(&json!({"kind": "status", "node": node, "group": 1, "term": term, "role": role, "applied": 7}));
        }
        assert_eq!(view.leader(1), Some(("node2".to_owned(), 4)));
        view.see(&json!({"kind": "applied", "node": "node3", "group": 1, "index": 9}));
        assert_eq!(view.replica(1, "node3").map(|replica| replica.applied), Some(9));
        view.forget("node2");
        assert_eq!(view.leader(1), Some(("node1".to_owned(), 3)));
        assert_eq!(view.leader(2), None);
    }
}
