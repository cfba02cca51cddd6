//! Where the other nodes listen, for consensus and for routing alike.

use parking_lot::RwLock;
use raft_groups::NodeId;
use raft_groups::network::faults::Faults;
use raft_groups::network::http::AddressBook;

use crate::placement::ClusterMap;
use crate::routing::MapCell;

/// Addresses out of the newest map, or, before there is one, out of the map this node was formed with.
pub(super) struct Peers {
    map: MapCell,
    first: RwLock<ClusterMap>,
    faults: Faults,
}

impl Peers {
    pub fn new(map: MapCell, faults: Faults) -> Self {
        Self { map, first: RwLock::default(), faults }
    }

    /// Takes the map this node was formed with.
    pub fn start_from(&self, first: ClusterMap) {
        *self.first.write() = first;
    }
}

impl AddressBook for Peers {
    fn peer_url(&self, node: NodeId) -> Option<String> {
        if self.faults.is_cut(node) {
            return None;
        }
        let url = |map: &ClusterMap| map.nodes.get(&node).map(|entry| format!("http://{}", entry.peer_addr));
        url(&self.map.get()).or_else(|| url(&self.first.read()))
    }
}
