//! The measures, one file for each part. Each takes the cluster or the data, and adds its rows to the report.
//!
//! [`index`] and [`engine_scan`] work in this process, on one thread. [`disk`] measures the disk alone. All others send
//! requests to the nodes and watch them from outside.

pub(crate) mod disk;
pub(crate) mod engine_scan;
pub(crate) mod events;
pub(crate) mod failover;
pub(crate) mod fourth_node;
pub(crate) mod idle;
pub(crate) mod index;
pub(crate) mod reads;
pub(crate) mod rejoin;
pub(crate) mod restart;
pub(crate) mod searches;
pub(crate) mod writes;
