//! Where the other nodes listen, for consensus and for routing alike.

use parking_lot::RwLock;
use raft_groups::NodeId;
use raft_groups::network::http::AddressBook;

use super::address_exchange::{Claim, Whereabouts};
use crate::placement::{ClusterMap, NodeEntry};
use crate::routing::MapCell;

/// Addresses out of the newest map, or, before there is one, out of the map this node was formed with.
pub(in crate::node) struct Peers {
    map: MapCell,
    first: RwLock<ClusterMap>,
    /// What other members have said of where they are.
    whereabouts: Whereabouts,
}

impl Peers {
    pub fn new(map: MapCell) -> Self {
        Self { map, first: RwLock::default(), whereabouts: Whereabouts::default() }
    }

    /// The map this node was formed with.
    pub fn first(&self) -> ClusterMap {
        self.first.read().clone()
    }

    /// Takes the map this node was formed with.
    pub fn start_from(&self, first: ClusterMap) {
        *self.first.write() = first;
    }

    /// What other members have said of where they are.
    pub fn whereabouts(&self) -> &Whereabouts {
        &self.whereabouts
    }

    /// Takes what a member says of where it is; whether it was news.
    pub fn hear(&self, claim: Claim) -> bool {
        self.whereabouts.hear(claim, &self.known())
    }

    /// Whether the cluster has gone on without this node.
    pub fn has_removed(&self, node: NodeId) -> bool {
        let map = self.map.get();
        map.is_formed() && !map.nodes.contains_key(&node)
    }

    /// Whether the map knows of this start of a node, or of a later one.
    pub fn map_knows(&self, node: NodeId, life: u64) -> bool {
        self.map.get().nodes.get(&node).is_some_and(|entry| entry.life >= life)
    }

    /// Where all nodes are, as far as is known: `host:port` of their peer ports.
    pub fn addresses(&self) -> Vec<String> {
        let known = self.known();
        let of = |(node, entry): (&NodeId, &NodeEntry)| {
            self.whereabouts.of(*node, &known).unwrap_or_else(|| entry.peer_addr.clone())
        };
        known.nodes.iter().map(of).collect()
    }

    /// The newest map, or the one this node was formed with.
    fn known(&self) -> ClusterMap {
        let map = self.map.get();
        if map.nodes.is_empty() { self.first() } else { ClusterMap::clone(&map) }
    }
}

impl AddressBook for Peers {
    fn peer_url(&self, node: NodeId) -> Option<String> {
        let url = |map: &ClusterMap| map.nodes.get(&node).map(|entry| format!("http://{}", entry.peer_addr));
        let map = self.map.get();
        let found = self.whereabouts.of(node, &map).map(|peer_addr| format!("http://{peer_addr}"));
        found.or_else(|| url(&map)).or_else(|| url(&self.first.read()))
    }
}
