//! The loops between the desired and the actual state: they move this node and its groups towards the cluster map, and
//! they move the map on.
//!
//! Comes in: the newest map ([`map_feed`]) and the state of the node's groups. Goes out: replicas that are opened and
//! erased ([`replicas`]), members that are changed ([`membership`]), decisions and confirmations in the map
//! ([`driver`]). Must not know ports, processes or settings of the command line.

pub(super) mod collection_sweep;
pub(super) mod driver;
mod graph_files;
pub(super) mod indexing;
pub(super) mod map_feed;
pub(super) mod membership;
pub(super) mod replicas;
mod suspicion;
