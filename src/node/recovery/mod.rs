//! The recovery of last resort: groups whose majority is lost for good go on with what one node has left.
//!
//! Comes in: the operator's order, on the directory of a stopped node. Goes out: groups with one voter. Once that node
//! runs again, the map knows of them. Must not run on its own: an operator orders it.

mod confirm_recovered;
mod last_resort;

pub(super) use confirm_recovered::RecoveryConfirmation;
pub use last_resort::{LastResort, ReplicaRow, SurvivorReport, last_resort};
