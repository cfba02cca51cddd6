//! How far the start of a node is, in one cell that all its readers share.
//!
//! ```text
//! Starting ──the stores are open──▶ Opening ──the replicas are open──▶ Electing ──every leader is known──▶ Serving
//! ```
//! Comes in: one call for each step, in this order. Goes out: the parts that an open node has, and how far it is. Must
//! not know what the parts are, or when a step is due.

use parking_lot::RwLock;

/// A phase of a node's start. It never goes back: a serving node that loses something is degraded, not starting.
enum NodePhase<Parts> {
    /// It looks for its cluster, or opens its stores. There is nothing behind the HTTP port.
    Starting,
    /// Its stores are open, and its replicas are being opened.
    Opening(Parts),
    /// Its replicas are open. The leader of some group has not been known yet.
    Electing(Parts),
    /// The leader of every group was known at the same moment once.
    Serving(Parts),
}

/// The phase of one node, and the parts that it has from [`PhaseCell::open_stores`] on.
pub(super) struct PhaseCell<Parts>(RwLock<NodePhase<Parts>>);

impl<Parts> PhaseCell<Parts> {
    /// A node that has nothing yet.
    pub fn new() -> Self {
        Self(RwLock::new(NodePhase::Starting))
    }

    /// The stores are open, and the node has these parts.
    pub fn open_stores(&self, parts: Parts) {
        self.advance(|phase| match phase {
            NodePhase::Starting => NodePhase::Opening(parts),
            _ => unreachable!("the stores of a node are opened once"),
        });
    }

    /// The replicas are open.
    pub fn open_replicas(&self) {
        self.advance(|phase| match phase {
            NodePhase::Opening(parts) => NodePhase::Electing(parts),
            _ => unreachable!("replicas are opened once, after the stores"),
        });
    }

    /// Every group has known its leader.
    pub fn begin_serving(&self) {
        self.advance(|phase| match phase {
            NodePhase::Electing(parts) => NodePhase::Serving(parts),
            _ => unreachable!("leaders are counted once, after the replicas are open"),
        });
    }

    /// Reads the parts; `None` before the stores are open.
    pub fn read<T>(&self, read: impl FnOnce(&Parts) -> T) -> Option<T> {
        match &*self.0.read() {
            NodePhase::Starting => None,
            NodePhase::Opening(parts) | NodePhase::Electing(parts) | NodePhase::Serving(parts) => Some(read(parts)),
        }
    }

    /// Returns `true` from [`PhaseCell::open_replicas`] on.
    pub fn has_open_replicas(&self) -> bool {
        matches!(&*self.0.read(), NodePhase::Electing(_) | NodePhase::Serving(_))
    }

    /// Returns `true` from [`PhaseCell::begin_serving`] on.
    pub fn is_serving(&self) -> bool {
        matches!(&*self.0.read(), NodePhase::Serving(_))
    }

    /// Takes one step. The value in between is never seen, because the lock is held.
    fn advance(&self, step: impl FnOnce(NodePhase<Parts>) -> NodePhase<Parts>) {
        let mut phase = self.0.write();
        *phase = step(std::mem::replace(&mut phase, NodePhase::Starting));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_goes_through_its_phases_in_order_and_keeps_its_parts() {
        let phase = PhaseCell::new();
        let look = || (phase.read(|parts: &&str| parts.len()), phase.has_open_replicas(), phase.is_serving());
        assert_eq!(look(), (None, false, false));
        phase.open_stores("host");
        assert_eq!(look(), (Some(4), false, false));
        phase.open_replicas();
        assert_eq!(look(), (Some(4), true, false));
        phase.begin_serving();
        assert_eq!(look(), (Some(4), true, true));
    }

    #[test]
    #[should_panic(expected = "after the stores")]
    fn replicas_do_not_open_before_the_stores() {
        PhaseCell::<()>::new().open_replicas();
    }
}
