//! The composition root: starts and stops everything a process needs, and keeps a node's replicas as the map says.
//!
//! ```text
//! run_server: data directory ─▶ HTTP port ─▶ formation (number, first map) ─▶ groups ─▶ peer port ─▶ serve ─▶ stop
//! run_gateway: HTTP port ─▶ map from the nodes ─▶ serve ─▶ stop
//! ```
//! Nothing above knows how these parts are put together, and no part below knows that this room exists.

mod asked;
mod crowd;
mod data_dir;
mod driver;
mod error;
mod formation;
mod gateway;
mod graph_files;
mod health;
mod identity;
mod indexer;
mod join;
mod last_resort;
mod listen;
mod local;
mod map_feed;
mod memory;
#[cfg(test)]
mod moves;
mod peer_bodies;
mod peers;
mod pipelining;
mod process;
mod replicas;
mod server;
mod shutdown;
mod steward;
mod suspicion;
mod telemetry;
mod vitals;
mod walker;
mod whereabouts;

pub use crate::placement::Verdict;
pub use error::NodeError;
pub use gateway::run_gateway;
pub use last_resort::{LastResort, ReplicaRow, SurvivorReport, last_resort};
pub use server::run_server;
pub use telemetry::start_logging;
