//! The gateway: HTTP and JSON in, typed requests out to routing; typed answers back in, JSON out.
//!
//! ```text
//! request ─▶ http::middleware (request id, error body, metrics) ─▶ the route's layer, by its class (limits, memory)
//!         ─▶ http::extract (parse) ─▶ a handler in native, admin or node ─▶ routing::Router
//!                                                  │
//!                        consistency (Consistency → ReadMode), http::error (→ status)
//! ```
//! Decided here and nowhere else: what a consistency level means ([`consistency`]), which status an error has
//! ([`http::error`]), what one request may ask for ([`http::limits`]). Not here: where a point lives, who leads, whether a
//! write is safe to retry. Knows neither Raft nor storage, beyond the names of roles and read modes.

mod admin;
pub mod consistency;
pub mod http;
mod native;
mod node;
pub mod state;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::Method;
use axum::middleware::from_fn_with_state;

use self::admin::{adoption, cluster, nodes, operations, timings};
use self::http::error::quoted;
use self::http::middleware;
use self::http::route_class::Class;
use self::http::routes::Routes;
use self::native::{collections, payload_indexes, reads, search, writes};
use self::node::{events, faults, front_page, groups, reports};
use crate::console;

pub use http::error::ApiError;
pub use http::limits::Limits;
pub use state::{GatewayState, Introduction, LinkSwitch, LocalNode, LocalReplicas, NodeHealth};

/// Every route of the native API.
pub fn router(state: GatewayState) -> Router {
    router_with(state, Router::new())
}

/// Every route of the native API, and `extra` routes of the composition root behind the same layers: their bodies arrive
/// under the same limits, their answers get a request id, their [`ApiError`]s a body.
pub fn router_with(state: GatewayState, extra: Router) -> Router {
    routes(&state)
        .into_router()
        .merge(console::console())
        .with_state(state.clone())
        .merge(extra.layer(from_fn_with_state(state.clone(), middleware::elsewhere)))
        .fallback(unknown_path)
        .method_not_allowed_fallback(method_not_allowed)
        // The extractor in `http::extract` has its own limit, which it can name.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(state, middleware::pass))
}

/// The one table of routes.
fn routes(state: &GatewayState) -> Routes {
    use Class::{Admin, Read, Search, Status, Write};
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    const PUT: Method = Method::PUT;
    const DELETE: Method = Method::DELETE;
    Routes::new(state)
        .add(GET, "/", Status, front_page::show)
        .add(GET, "/reference", Status, front_page::reference)
        .add(GET, "/health", Status, reports::health)
        .add(GET, "/stats", Status, reports::stats)
        .add(GET, "/shards", Status, reports::shards)
        .add(GET, "/metrics", Status, reports::metrics)
        .add_with_query(GET, "/quiver/v1/events", Status, events::stream)
        .add_with_query(GET, "/quiver/v1/groups/{group}/log", Status, groups::log)
        .add(POST, "/quiver/v1/groups/{group}/campaign", Status, groups::campaign)
        .add(POST, "/quiver/v1/groups/{group}/step-down", Status, groups::step_down)
        .add(GET, "/quiver/v1/faults", Status, faults::show)
        .add(PUT, "/quiver/v1/faults", Status, faults::set)
        .add(DELETE, "/quiver/v1/faults", Status, faults::heal)
        .add(POST, "/vectors", Write, writes::upsert)
        .add(DELETE, "/vectors", Write, writes::delete)
        .add_with_query(GET, "/vectors/{collection}/{id}", Read, reads::get)
        .add_with_query(DELETE, "/vectors/{collection}/{id}", Write, writes::delete_one)
        .add(POST, "/search", Search, search::search)
        .add(POST, "/quiver/v1/search/batch", Search, search::search_batch)
        .add(POST, "/quiver/v1/scroll", Read, reads::scroll)
        .add(POST, "/quiver/v1/count", Read, reads::count)
        .add(GET, "/collections", Admin, collections::list)
        .add(POST, "/collections", Admin, collections::create)
        .add(GET, "/collections/{name}", Admin, collections::show)
        .add(DELETE, "/collections/{name}", Admin, collections::remove)
        .add_with_query(PUT, "/collections/{name}/index", Admin, payload_indexes::create)
        .add_with_query(DELETE, "/collections/{name}/index/{field}", Admin, payload_indexes::remove)
        .add(GET, "/cluster/status", Admin, cluster::status)
        // It says itself that there is no map yet.
        .add(GET, "/cluster/health", Status, cluster::health)
        .add(GET, "/cluster/sharding", Admin, cluster::sharding)
        .add(GET, "/cluster/nodes", Admin, nodes::list)
        .add_with_query(POST, "/cluster/nodes", Admin, adoption::add)
        .add(GET, "/cluster/nodes/{node_id}", Admin, nodes::show)
        .add_with_query(DELETE, "/cluster/nodes/{node_id}", Admin, nodes::remove)
        .add_with_query(POST, "/quiver/v1/nodes/{node_id}/drain", Admin, nodes::drain)
        .add_with_query(POST, "/quiver/v1/nodes/{node_id}/undrain", Admin, nodes::undrain)
        .add(PUT, "/quiver/v1/nodes/{node_id}/labels", Admin, nodes::label)
        .add(GET, "/quiver/v1/shards/{shard}", Admin, operations::shard)
        .add_with_query(POST, "/quiver/v1/shards/{shard}/move", Admin, operations::move_replica)
        .add(POST, "/quiver/v1/shards/{shard}/leader", Admin, operations::transfer_leader)
        .add_with_query(POST, "/quiver/v1/rebalance", Admin, operations::rebalance)
        .add(GET, "/quiver/v1/timings", Admin, timings::show)
        .add(PUT, "/quiver/v1/timings", Admin, timings::set)
        .add(GET, "/quiver/v1/operations", Admin, operations::list)
        .add(GET, "/quiver/v1/operations/{operation_id}", Admin, operations::show)
        .add(DELETE, "/quiver/v1/operations/{operation_id}", Admin, operations::cancel)
}

async fn unknown_path(request: Request) -> ApiError {
    ApiError::UnknownPath { path: quoted(request.uri().path()) }
}

async fn method_not_allowed(request: Request) -> ApiError {
    ApiError::MethodNotAllowed { method: quoted(request.method().as_str()), path: quoted(request.uri().path()) }
}
