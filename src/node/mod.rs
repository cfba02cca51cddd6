//! The composition root: starts and stops everything a process needs, and keeps a node's replicas as the map says.
//!
//! ```text
//! run_server: data directory ─▶ HTTP port ─▶ formation (number, first map) ─▶ groups ─▶ peer port ─▶ serve ─▶ stop
//! run_gateway: HTTP port ─▶ map from the nodes ─▶ serve ─▶ stop
//! ```
//! Nothing above knows how these parts are put together, and no part below knows that this room exists.

mod control;
mod error;
mod identity;
mod process;
mod recovery;
mod stop_signal;
#[cfg(test)]
mod tests;

pub use crate::placement::Verdict;
pub use error::{NodeError, unanswered};
pub use process::{run_gateway, run_server, start_logging};
pub use recovery::{LastResort, ReplicaRow, SurvivorReport, last_resort};
