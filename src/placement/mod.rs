//! What the cluster is meant to look like: nodes, shards, collections.
//!
//! The [`ClusterMap`] is the state of the meta group's machine ([`MetaMachine`]) and changes only through its log. Reading
//! order: `cluster_map` (what it holds, and what must hold of it), `command` and `reply` (what is asked and answered),
//! `apply` (what each command does), `planner` (what is to change next), `machine` (how it is stored), `recovery_verdict`
//! (who goes on alone where a majority is lost for good).
//! This room decides nothing about requests and moves no data; it must not know HTTP, routing or the engine's inside.

mod apply;
mod change;
mod cluster_map;
mod codec;
mod command;
mod formation;
mod ids;
mod machine;
mod operation;
pub mod planner;
mod recovery_verdict;
mod reply;
#[cfg(test)]
pub(crate) mod tests;
mod timings;

pub use change::Change;
pub use cluster_map::{ClusterMap, CollectionEntry, NodeEntry, NodeState, Placement, ShardEntry};
pub use codec::MetaCodecError;
pub use command::MetaCommand;
pub use formation::{FormationError, MAX_META_VOTERS, form, meta_voters};
pub use ids::{BadName, META, NodeName, ShardId, check_collection_name, group_name};
pub use machine::MetaMachine;
pub use machine::changes::MAX_REMEMBERED_CHANGES;
pub use operation::{Operation, OperationKind, OperationOutcome, OperationState};
pub use recovery_verdict::{Survivor, Verdict, verdict};
pub use reply::MetaReply;
pub use timings::RaftTimings;
