//! The admin verbs: `quiver cluster`, `node`, `shard` and `op`. Each is a thin client of the admin paths of any node,
//! save the recovery of last resort, which has no node left to ask.
//!
//! Long work is an operation that the cluster keeps, whatever becomes of this process: `--wait` only watches it.

pub(super) mod ask;
mod cluster;
mod leaders;
mod node;
mod op;
pub(super) mod print;
mod recover;
mod shard;
mod watch;

pub(crate) use cluster::{ClusterArgs, run as run_cluster};
pub(crate) use node::{NodeArgs, run as run_node};
pub(crate) use op::{OpArgs, run as run_op};
pub(crate) use shard::{ShardArgs, run as run_shard};
