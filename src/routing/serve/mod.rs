//! The serving side: carries calls out on the replicas of this node.

pub(super) mod deletion;
pub(super) mod freshness;
pub(super) mod local_groups;
pub(super) mod long_queries;
pub(super) mod pool;
pub(super) mod proposal;
pub(super) mod query;
pub(super) mod query_failure;
pub(super) mod report;
pub(super) mod service;
