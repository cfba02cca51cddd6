//! What every HTTP request passes, whatever it asks for: reading it, bounding it, counting it, and printing its answer.
//!
//! Here is nothing of collections, points or nodes: a route of any family gets a value that was read strictly, and gives
//! a value or an [`ApiError`](error::ApiError) back. `limits` has the numbers; `request_body` and `response_body` refuse
//! what is beyond them.

pub(super) mod browser;
pub mod error;
pub mod extract;
pub(super) mod framing;
pub mod limits;
pub mod low_priority;
pub mod metrics;
pub mod middleware;
pub(super) mod parse_error;
pub mod request_body;
pub mod response_body;
pub(super) mod rolling_window;
pub(super) mod route_class;
pub(super) mod routes;
pub(super) mod strict_json;
