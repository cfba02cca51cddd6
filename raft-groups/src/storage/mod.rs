//! What a node keeps on disk: two ordered key-value stores. One is for the logs and votes of all its groups, the
//! other for the state of their machines. Each has one worker that writes and syncs.
//!
//! There are two, because every acknowledgement waits for a sync of the log and must not wait for state as well.
//! Each module states its own guarantee: [`store`] (what a disk owes), [`syncer`] (order and durability), [`log`]
//! (entries and votes), [`state`] (state and applied index in one batch), [`record`] (checksums), [`replica_record`]
//! (that a replica exists, or was erased), [`claim`] (who owns the stores). [`sled`] is the store in production.

pub(crate) mod claim;
mod disk;
pub(crate) mod erase;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod record;
pub(crate) mod replica_record;
pub(crate) mod sled;
pub(crate) mod state;
pub(crate) mod store;
pub(crate) mod syncer;

pub use self::disk::Disk;
pub(crate) use self::disk::Stores;
#[cfg(any(test, feature = "sim"))]
pub(crate) use self::disk::{Delays, Workers};
