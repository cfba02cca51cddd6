//! Cuts in a node's links to others, for tests on real processes and for demonstrations. Off unless someone cuts.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::NodeId;

/// The links of this node that are cut, both ways. Clones share the state.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<RwLock<BTreeSet<NodeId>>>);

impl Faults {
    /// Cuts the links to exactly `nodes`; an empty set heals all.
    pub fn cut(&self, nodes: BTreeSet<NodeId>) {
        *self.0.write() = nodes;
    }

    /// Whether nothing passes between this node and `node`.
    pub fn is_cut(&self, node: NodeId) -> bool {
        self.0.read().contains(&node)
    }

    /// The nodes this one is cut off from.
    pub fn current(&self) -> BTreeSet<NodeId> {
        self.0.read().clone()
    }
}
