//! Many Raft groups in one process: openraft's consensus over sled's storage, generic over a [`Machine`].
//!
//! The only crate that names either of the two; above it there are only the types exported here.

mod ids;
mod machine;

pub use ids::{GroupId, NodeId};
pub use machine::{BrokenInvariant, Changes, Machine, MemoryState, Position, StateReader};
