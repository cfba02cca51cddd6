//! What a node keeps on disk: two ordered key-value stores, one for the logs and votes of all its groups and one for
//! their machines' state, each with one worker that writes and syncs.
//!
//! Two stores, because every acknowledgement waits for a sync of the log and must not wait for state as well. Who
//! needs which promise is in the module of the promise: [`syncer`] (order and durability), [`log`] (openraft's log
//! contract), [`state`] (state and applied index as one), [`frozen`] (one moment's contents while writes go on).

pub(crate) mod contradiction;
pub(crate) mod digests;
mod disk;
pub(crate) mod found;
pub(crate) mod frozen;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod machine;
pub(crate) mod mark;
pub(crate) mod record;
pub(crate) mod sled;
pub(crate) mod state;
pub(crate) mod store;
pub(crate) mod syncer;
pub(crate) mod tail;

pub use self::disk::Disk;
pub(crate) use self::disk::Stores;
#[cfg(any(test, feature = "sim"))]
pub(crate) use self::disk::{Delays, Workers};

/// Simulated disks, by the path that the crates above use.
#[cfg(any(test, feature = "sim"))]
pub mod sim_disk {
    pub use crate::sim::SimDisk;
}
