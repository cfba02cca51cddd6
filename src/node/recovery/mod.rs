//! The recovery of last resort: groups whose majority is lost for good go on with what one node has left.

mod last_resort;

pub use last_resort::{LastResort, ReplicaRow, SurvivorReport, last_resort};
