//! The bodies of the native API, one file for each resource.

pub(super) mod cluster;
pub(super) mod collections;
pub(super) mod groups;
pub(super) mod index;
pub(super) mod level;
pub(super) mod members;
pub(super) mod payload;
pub(super) mod points;
pub(super) mod search;
pub(super) mod search_batch;
pub(super) mod selection;
pub(super) mod vector;
pub(super) mod vector_params;
