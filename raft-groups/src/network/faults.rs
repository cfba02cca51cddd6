//! Faults in a node's links to others, for tests on real processes and for demonstrations. There are none by
//! default.
//!
//! A request from A to B is one message from A to B, and its reply is one from B to A. Each node loses or delays
//! what it sends and what it receives as set here. So a one-way cut behaves as on a real network: B carries out what
//! A asks, and A never learns of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use crate::NodeId;

/// The faults of a node's links.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkFaults {
    /// What this node sends to these nodes is lost.
    pub lost_to: BTreeSet<NodeId>,
    /// What these nodes send to this node is lost.
    pub lost_from: BTreeSet<NodeId>,
    /// What this node sends to these nodes arrives this much later.
    pub delay_to: BTreeMap<NodeId, Duration>,
}

/// The faults of one node's links. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<RwLock<LinkFaults>>);

impl Faults {
    /// Replaces all faults. The default heals every link.
    pub fn set(&self, faults: LinkFaults) {
        *self.0.write() = faults;
    }

    /// Returns the current faults.
    pub fn current(&self) -> LinkFaults {
        self.0.read().clone()
    }

    /// Returns `true` if what this node sends to `node` is lost.
    pub fn loses_to(&self, node: NodeId) -> bool {
        self.0.read().lost_to.contains(&node)
    }

    /// Returns `true` if what `node` sends to this node is lost.
    pub fn loses_from(&self, node: NodeId) -> bool {
        self.0.read().lost_from.contains(&node)
    }

    /// Waits as long as a message to `node` is delayed.
    pub async fn delay_to(&self, node: NodeId) {
        let delay = self.0.read().delay_to.get(&node).copied();
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
    }
}
