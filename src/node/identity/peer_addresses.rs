//! Where the other nodes listen; consensus and routing both ask here.
//!
//! Comes in: the newest map, the map this node was formed with, and what members claim ([`super::claimed_addresses`]).
//! Goes out: one address for each node. Must not know what is sent there.

use parking_lot::RwLock;
use raft_groups::NodeId;
use raft_groups::network::http::AddressBook;

use super::claimed_addresses::{AddressClaim, ClaimedAddresses};
use crate::placement::{ClusterMap, NodeEntry};
use crate::routing::MapCell;

/// Addresses from claims that are newer than the map, else from the newest map, else from the map this node was formed
/// with.
pub(in crate::node) struct PeerAddresses {
    map: MapCell,
    first: RwLock<ClusterMap>,
    /// What other members say of where they are.
    claimed: ClaimedAddresses,
}

impl PeerAddresses {
    pub fn new(map: MapCell) -> Self {
        Self { map, first: RwLock::default(), claimed: ClaimedAddresses::default() }
    }

    /// The map this node was formed with.
    pub fn first(&self) -> ClusterMap {
        self.first.read().clone()
    }

    /// Takes the map this node was formed with. Its addresses serve until there is a newer map.
    pub fn start_from(&self, first: ClusterMap) {
        *self.first.write() = first;
    }

    /// What other members say of where they are.
    pub(super) fn claimed(&self) -> &ClaimedAddresses {
        &self.claimed
    }

    /// Takes what a member says of where it is. Returns `true` if it was news.
    pub fn accept(&self, claim: AddressClaim) -> bool {
        self.claimed.accept(claim, &self.known())
    }

    /// Returns `true` if there is a formed map and it does not have the node.
    pub fn has_removed(&self, node: NodeId) -> bool {
        let map = self.map.get();
        map.is_formed() && !map.nodes.contains_key(&node)
    }

    /// Returns `true` if the map knows of this start of a node, or of a later one.
    pub fn map_knows(&self, node: NodeId, life: u64) -> bool {
        self.map.get().nodes.get(&node).is_some_and(|entry| entry.life >= life)
    }

    /// The peer ports of all nodes as `host:port`, as far as they are known.
    pub fn list_addresses(&self) -> Vec<String> {
        let known = self.known();
        let of = |(node, entry): (&NodeId, &NodeEntry)| {
            self.claimed.find(*node, &known).unwrap_or_else(|| entry.peer_addr.clone())
        };
        known.nodes.iter().map(of).collect()
    }

    /// The newest map, or the one this node was formed with.
    fn known(&self) -> ClusterMap {
        let map = self.map.get();
        if map.nodes.is_empty() { self.first() } else { ClusterMap::clone(&map) }
    }
}

impl AddressBook for PeerAddresses {
    fn peer_url(&self, node: NodeId) -> Option<String> {
        let url = |map: &ClusterMap| map.nodes.get(&node).map(|entry| format!("http://{}", entry.peer_addr));
        let map = self.map.get();
        let found = self.claimed.find(node, &map).map(|peer_addr| format!("http://{peer_addr}"));
        found.or_else(|| url(&map)).or_else(|| url(&self.first.read()))
    }
}
