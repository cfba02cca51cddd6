//! What the cluster is meant to look like: nodes, shards, collections.
//!
//! The [`ClusterMap`] is the state of the meta group's machine ([`MetaMachine`]) and changes only through its log.
//! This room decides nothing about requests and moves no data; it must not know HTTP, routing or the engine's inside.

mod cluster_map;
mod command;
mod formation;
mod ids;
mod last_resort;
mod machine;
mod node_life;
mod operation;
pub mod planner;
mod replicas;
mod reply;
#[cfg(test)]
pub(crate) mod tests;
mod timings;

pub use cluster_map::{ClusterMap, CollectionEntry, NodeEntry, ShardEntry};
pub use command::{MetaCodecError, MetaCommand};
pub use formation::{FormationError, MAX_META_VOTERS, form, meta_voters};
pub use ids::{BadName, META, NodeName, ShardId, check_collection_name, group_name};
pub use last_resort::{Survivor, Verdict, verdict};
pub use machine::MetaMachine;
pub use machine::changes::MAX_REMEMBERED_CHANGES;
pub use node_life::NodeState;
pub use operation::{Operation, OperationKind, OperationOutcome, OperationState};
pub use replicas::{Change, Placement};
pub use reply::MetaReply;
pub use timings::RaftTimings;
