//! Where the other nodes listen, for consensus and for routing alike.

use parking_lot::RwLock;
use raft_groups::NodeId;
use raft_groups::network::http::AddressBook;

use crate::placement::ClusterMap;
use crate::routing::MapCell;

/// Addresses out of the newest map, or, before there is one, out of the map this node was formed with.
pub(super) struct Peers {
    map: MapCell,
    first: RwLock<ClusterMap>,
}

impl Peers {
    pub fn new(map: MapCell) -> Self {
        Self { map, first: RwLock::default() }
    }

    /// The map this node was formed with.
    pub fn first(&self) -> ClusterMap {
        self.first.read().clone()
    }

    /// Takes the map this node was formed with.
    pub fn start_from(&self, first: ClusterMap) {
        *self.first.write() = first;
    }
}

impl AddressBook for Peers {
    fn peer_url(&self, node: NodeId) -> Option<String> {
        let url = |map: &ClusterMap| map.nodes.get(&node).map(|entry| format!("http://{}", entry.peer_addr));
        url(&self.map.get()).or_else(|| url(&self.first.read()))
    }
}
