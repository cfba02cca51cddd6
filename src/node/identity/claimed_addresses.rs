//! The addresses that members claim for themselves, for as long as they are newer than the map.
//!
//! Comes in: claims of members, and the map to judge them by. Goes out: where a node is, if the map does not know
//! better. A claim counts only if it names the cluster's identity, the node's number and its incarnation, as every
//! message between nodes does. Must not know how claims travel: [`super::address_exchange`] does.

use std::collections::BTreeMap;

use parking_lot::RwLock;
use raft_groups::NodeId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::placement::ClusterMap;

/// Where a node listens since one of its starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::node) struct AddressClaim {
    pub cluster: Uuid,
    pub node: NodeId,
    pub incarnation: Uuid,
    /// The number of the start.
    pub life: u64,
    /// `host:port` of its peer port.
    pub peer_addr: String,
}

/// The newest claim of each node.
#[derive(Debug, Default)]
pub(super) struct ClaimedAddresses(RwLock<BTreeMap<NodeId, AddressClaim>>);

impl ClaimedAddresses {
    /// Takes a claim that fits the map and is newer than the map and the known claim. Returns `true` if it was taken.
    pub fn accept(&self, claim: AddressClaim, map: &ClusterMap) -> bool {
        // Cluster, number and incarnation must all be right: the directory of another node cannot claim.
        let fits = *claim.cluster.as_bytes() == map.cluster
            && map
                .nodes
                .get(&claim.node)
                .is_some_and(|entry| entry.incarnation == *claim.incarnation.as_bytes() && entry.life < claim.life);
        let mut known = self.0.write();
        // Claims travel over several nodes, so an older one may come later.
        let is_news = fits && known.get(&claim.node).is_none_or(|known| known.life < claim.life);
        if is_news {
            known.insert(claim.node, claim);
        }
        is_news
    }

    /// The address `host:port` that a node claims, if the claim is newer than the map.
    pub fn find(&self, node: NodeId, map: &ClusterMap) -> Option<String> {
        let known = self.0.read();
        let claim = known.get(&node)?;
        let is_newer = map.nodes.get(&node).is_none_or(|entry| entry.life < claim.life);
        is_newer.then(|| claim.peer_addr.clone())
    }

    /// Every claim that was accepted.
    pub fn all(&self) -> Vec<AddressClaim> {
        self.0.read().values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::tests::map_of;

    #[test]
    fn only_who_knows_the_node_says_where_it_is_and_the_newest_start_counts() {
        let mut map = ClusterMap { epoch: 1, ..map_of(3, 1, 3) };
        map.nodes.get_mut(&2).unwrap().life = 5;
        let (cluster, incarnation) = (Uuid::from_bytes(map.cluster), Uuid::from_bytes(map.nodes[&2].incarnation));
        let claim = |life, port: u16| AddressClaim {
            cluster,
            node: 2,
            incarnation,
            life,
            peer_addr: format!("10.0.0.9:{port}"),
        };
        let known = ClaimedAddresses::default();
        assert!(!known.accept(AddressClaim { cluster: Uuid::nil(), ..claim(6, 1) }, &map), "another cluster");
        assert!(
            !known.accept(AddressClaim { incarnation: Uuid::new_v4(), ..claim(6, 1) }, &map),
            "another node of that number"
        );
        assert!(!known.accept(AddressClaim { node: 9, ..claim(6, 1) }, &map), "no member");
        assert!(!known.accept(claim(5, 1), &map), "the map knows of that start");
        assert_eq!(known.find(2, &map), None);
        assert!(known.accept(claim(6, 1), &map) && known.accept(claim(8, 2), &map) && !known.accept(claim(7, 3), &map));
        assert_eq!(known.find(2, &map).as_deref(), Some("10.0.0.9:2"));
        map.nodes.get_mut(&2).unwrap().life = 8;
        assert_eq!(known.find(2, &map), None, "the map has caught up");
    }
}
