//! The native API of collections and points: a body of [`api`](crate::api) in, requests to routing, a body out.

pub(super) mod collections;
mod convert;
pub(super) mod payload_indexes;
mod points_body;
pub(super) mod reads;
pub(super) mod request;
pub(super) mod search;
mod targets;
pub(super) mod writes;
