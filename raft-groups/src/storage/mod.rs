//! What a node keeps on disk: two ordered key-value stores, one for the logs and votes of all its groups and one for
//! their machines' state, each with one worker that writes and syncs.
//!
//! Two stores, because every acknowledgement waits for a sync of the log and must not wait for state as well. Who
//! needs which promise is in the module of the promise: [`store`] (what a disk owes), [`syncer`] (order and
//! durability), [`log`] (entries and votes), [`state`] (state and applied index as one), [`record`] (checksums),
//! [`replica_record`] (that a replica exists, or was erased), [`claim`] (whose the stores are). [`sled`] is the store
//! that products run on.

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
