//! The admin verbs: `quiver cluster`, `node`, `shard` and `op`. Each is a thin client of the admin paths of any node.
//! The recovery of last resort is the exception: it has no node left to ask.
//!
//! Long work is an operation that the cluster keeps, whatever happens to this process. `--wait` only watches it.

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
