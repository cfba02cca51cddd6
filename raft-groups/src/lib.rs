//! Many Raft groups in one process: openraft's consensus over sled's storage, generic over a [`Machine`].
//!
//! The only crate that names either of the two; above it there are only the types exported here.

mod consensus;
mod error;
pub mod events;
mod format;
mod group;
mod host;
mod ids;
pub mod inspect;
mod lease;
mod machine;
mod membership;
pub mod mutants;
pub mod network;
mod recovery;
mod replica;
mod settings;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod status;
pub mod storage;
#[cfg(test)]
mod tests;

pub use consensus::runtime::seed_this_thread;
pub use error::{OpenError, ReadError, WriteError};
pub use group::{Group, Written};
pub use host::Host;
pub use ids::{GroupId, Identity, Life, NodeId, name_groups};
pub use lease::promise::LONGEST_PROMISE;
pub use machine::{BrokenInvariant, Changes, Garbage, Machine, MemoryState, Position, StateReader, Visit};
/// [`MembershipStep`], by the name that the crates above use.
pub use membership::MembershipStep as Step;
pub use membership::{MembershipStep, next_step};
pub use recovery::{StoppedNode, StoredReplica, recoveries};
pub use settings::RaftSettings;
pub use status::{GroupStatus, ReadMode, ReadPoint, Role};
pub use storage::Disk;
