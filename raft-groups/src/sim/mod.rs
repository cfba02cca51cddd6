//! The simulator: a whole cluster in one thread, whose disks, links and clocks do what a seed says.
//!
//! [`SimCluster`] is the way in; it puts [`SimDisk`]s under nodes and a [`SimNet`] between them, and holds
//! [`Invariants`] against all replicas after every message. For tests alone, of this crate and of those above: it is
//! built under the feature `sim`, and a product has nothing of it. It must not know what a machine does.

mod cluster;
pub(crate) mod disk;
mod invariants;
pub(crate) mod network;

pub use self::cluster::{NodeCopy, SimCluster, SimNode, SimPlan};
pub use self::disk::{DiskCopy, DiskFault, SimDisk, SimStore};
pub use self::invariants::{Invariants, Sightings};
pub use self::network::{LinkConditions, SimMessage, SimNet, SimTransport};
