//! Many Raft groups in one process: openraft's consensus over sled's storage, generic over a [`Machine`].
//!
//! The only crate that names either of the two; above it there are only the types exported here.

mod contact;
mod converge;
mod disk_watch;
mod distance;
mod error;
pub mod events;
mod fatal;
mod format;
mod group;
mod hand_over;
mod host;
mod identity;
mod ids;
pub mod inspect;
mod lives;
mod machine;
mod membership;
pub mod mutants;
pub mod network;
mod pace;
mod promise;
mod read;
mod recovery;
mod replica;
mod runtime;
mod settings;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod status;
pub mod storage;
mod suspend;
#[cfg(test)]
mod tests;
mod types;
mod watch;

pub use error::{OpenError, ReadError, WriteError};
pub use group::{Group, Written};
pub use host::Host;
pub use identity::Identity;
pub use ids::{GroupId, NodeId, name_groups};
pub use lives::Life;
pub use machine::{BrokenInvariant, Changes, Garbage, Machine, MemoryState, Position, StateReader, Visit};
pub use membership::{Step, next_step};
pub use promise::LONGEST as LONGEST_PROMISE;
pub use recovery::{StoppedNode, StoredReplica, recoveries};
pub use runtime::seed_this_thread;
pub use settings::RaftSettings;
pub use status::{GroupStatus, ReadMode, ReadPoint, Role};
pub use storage::Disk;
