//! The simulator: a whole cluster in one thread. A seed decides what its disks, links and clocks do.
//!
//! [`SimCluster`] is the entry point. It puts [`SimDisk`]s under nodes and a [`SimNet`] between them, and checks
//! [`Invariants`] on all replicas after every message. It is for tests alone, of this crate and of those above. It
//! is built only for tests or with the feature `sim`, so no release contains it. It must not know what a machine
//! does.

mod cluster;
pub(crate) mod disk;
mod invariants;
pub(crate) mod network;

pub use self::cluster::{NodeCopy, SimCluster, SimNode, SimPlan};
pub use self::disk::{DiskCopy, DiskFault, SimDisk, SimStore};
pub use self::invariants::{Invariants, Sightings};
pub use self::network::{LinkConditions, SimMessage, SimNet, SimTransport};
