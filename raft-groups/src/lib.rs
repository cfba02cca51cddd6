//! Many Raft groups in one process: openraft's consensus over sled's storage, generic over a [`Machine`].
//!
//! The only crate that names either of the two; above it there are only the types exported here.

mod error;
mod group;
mod host;
mod ids;
mod machine;
pub mod network;
mod status;

pub use error::{OpenError, ReadError, WriteError};
pub use group::{Group, Written};
pub use host::{Disk, Host, Identity, RaftSettings};
pub use ids::{GroupId, NodeId};
pub use machine::{BrokenInvariant, Changes, Machine, MemoryState, Position, StateReader};
pub use status::{GroupStatus, ReadMode, ReadPoint, Role};
