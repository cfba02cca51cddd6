//! What operators ask of the cluster: its nodes, its shards, its timings, and what a change would do.
//!
//! A change is a wish that is written into the cluster map. Nothing here acts on a node or a group.

pub(super) mod adoption;
mod change;
pub(super) mod cluster;
mod far_apart;
mod fewer_copies;
mod forecast;
pub(super) mod nodes;
pub(super) mod operations;
pub(super) mod overview;
pub(super) mod timings;
