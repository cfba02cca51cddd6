//! The gateway: HTTP and JSON in, typed requests out to routing; typed answers back in, JSON out.
//!
//! ```text
//! request ─▶ http::middleware (request id, error body, metrics) ─▶ the route's layer, by its class (limits, memory)
//!         ─▶ http::extract (parse) ─▶ a handler in native, admin or node ─▶ routing::Router
//!                                                  │
//!                        consistency (Consistency → ReadMode), http::error (→ status)
//! ```
//! [`routes`] is the one table of routes; [`openapi`] makes the document of the API from it.
//!
//! Decided here and nowhere else: what a consistency level means ([`consistency`]), which status an error has
//! ([`http::error`]), what one request may ask for ([`http::limits`]). Not here: where a point lives, who leads, whether a
//! write is safe to retry. Knows neither Raft nor storage, beyond the names of roles and read modes.

mod admin;
pub mod consistency;
pub mod http;
mod native;
mod node;
mod openapi;
pub mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn_with_state;

use self::admin::{adoption, cluster, nodes, operations, timings};
use self::http::error::quoted;
use self::http::middleware;
use self::http::route_class::Class;
use self::http::routes::Routes;
use self::native::{collections, payload_indexes, reads, search, writes};
use self::node::{events, faults, front_page, groups, reports};
use self::openapi::api_route::{RouteAnswers, answers, answers_as};
use crate::api::events::NodeEvent;
use crate::api::{
    BatchSearched, Change, ClusterHealth, ClusterSharding, ClusterStatus, CollectionInfo, CollectionRows, Counted,
    CreatedCollection, Deleted, Envelope, Faults, Found, FrontPage, GroupNudge, Health, Member, Members, OperationRow,
    Operations, Plan, ReplicaLog, Scrolled, Searched, ShardDetail, Shards, Stats, Timings, UpdateResult, Upserted,
};
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
    let routes = routes(&state);
    let methods = Arc::new(routes.methods());
    routes
        .into_router()
        .merge(console::console())
        .with_state(state.clone())
        .merge(extra.layer(from_fn_with_state(state.clone(), middleware::elsewhere)))
        .fallback(unknown_path)
        .method_not_allowed_fallback(move |path, request| method_not_allowed(methods, path, request))
        // The extractor in `http::extract` has its own limit, which it can name.
        .layer(DefaultBodyLimit::disable())
        // The last layer is the outermost: it sees every answer, also those of paths that do not exist.
        .layer(from_fn_with_state(state, middleware::pass))
}

/// The one table of routes, in four parts. A row has two lines where it must, not the seven that rustfmt would make of it.
fn routes(state: &GatewayState) -> Routes {
    let routes = change_routes(admin_routes(point_routes(node_routes(Routes::new(state)))));
    routes.add_document("/openapi.json")
}

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const DELETE: Method = Method::DELETE;

/// What one process tells of itself, and what tests ask of it.
#[rustfmt::skip]
fn node_routes(routes: Routes) -> Routes {
    use Class::Status;
    const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
    routes
        .add(GET, "/", Status, front_page::show, answers::<FrontPage>("Title, version and links."))
        .add(GET, "/reference", Status, front_page::reference,
             answers_as::<String>("The reference of the HTTP API.", "text/markdown"))
        .add(GET, "/health", Status, reports::health,
             answers::<Health>("How this process is; 200 while it serves.").or::<Health>(UNAVAILABLE))
        .add(GET, "/stats", Status, reports::stats, answers::<Stats>("Load, rates, latencies and sizes."))
        .add(GET, "/shards", Status, reports::shards, answers::<Shards>("The replicas of this process."))
        .add(GET, "/metrics", Status, reports::metrics,
             answers_as::<String>("Figures in Prometheus' text form.", "text/plain"))
        .add(GET, "/quiver/v1/events", Status, events::stream,
             answers_as::<NodeEvent>("What the replicas do, as server-sent events.", "text/event-stream"))
        .add(GET, "/quiver/v1/groups/{group}/log", Status, groups::log,
             answers::<ReplicaLog>("The end of a replica's log."))
        .add(POST, "/quiver/v1/groups/{group}/campaign", Status, groups::campaign,
             answers::<GroupNudge>("Has this replica stand for election. Only with `--test-faults`."))
        .add(POST, "/quiver/v1/groups/{group}/step-down", Status, groups::step_down,
             answers::<GroupNudge>("Has this leader hand over. Only with `--test-faults`."))
        .add(GET, "/quiver/v1/faults", Status, faults::show,
             answers::<Faults>("The link faults of this node. Only with `--test-faults`."))
        .add(PUT, "/quiver/v1/faults", Status, faults::set,
             answers::<Faults>("Sets exactly these link faults. Only with `--test-faults`."))
        .add(DELETE, "/quiver/v1/faults", Status, faults::heal,
             answers::<Faults>("Heals all links. Only with `--test-faults`."))
}

/// Points: written, read, searched.
#[rustfmt::skip]
fn point_routes(routes: Routes) -> Routes {
    use Class::{Read, Search, Write};
    routes
        .add(POST, "/vectors", Write, writes::upsert,
             answers::<Upserted>("Writes points; each replaces the point of its id as a whole."))
        .add(DELETE, "/vectors", Write, writes::delete,
             answers::<Deleted>("Deletes points by ids or by a filter."))
        .add(GET, "/vectors/{collection}/{id}", Read, reads::get, answers::<Found>("One point."))
        .add(DELETE, "/vectors/{collection}/{id}", Write, writes::delete_one,
             answers::<Deleted>("Deletes one point; that there was none is no error."))
        .add(POST, "/search", Search, search::search,
             answers::<Searched>("The nearest points, best first; ties by id."))
        .add(POST, "/quiver/v1/search/batch", Search, search::search_batch,
             answers::<BatchSearched>("Many searches of one collection."))
        .add(POST, "/quiver/v1/scroll", Read, reads::scroll,
             answers::<Scrolled>("Points in the order of their ids, a page at a time."))
        .add(POST, "/quiver/v1/count", Read, reads::count, answers::<Counted>("How many points pass a filter."))
}

/// Collections, and what the cluster is.
#[rustfmt::skip]
fn admin_routes(routes: Routes) -> Routes {
    use Class::{Admin, Status};
    const CREATED: StatusCode = StatusCode::CREATED;
    const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
    routes
        .add(GET, "/collections", Admin, collections::list,
             answers::<Envelope<CollectionRows>>("The collections with their settings and sizes."))
        .add(POST, "/collections", Admin, collections::create,
             answers::<CreatedCollection>("Creates a collection; 200 where the very same one exists.")
                 .or::<CreatedCollection>(CREATED))
        .add(GET, "/collections/{name}", Admin, collections::show,
             answers::<Envelope<CollectionInfo>>("One collection, in Qdrant's form."))
        .add(DELETE, "/collections/{name}", Admin, collections::remove,
             answers::<Envelope<bool>>("Drops a collection and all its points."))
        .add(PUT, "/collections/{name}/index", Admin, payload_indexes::create,
             answers::<Envelope<UpdateResult>>("Indexes a payload field."))
        .add(DELETE, "/collections/{name}/index/{field}", Admin, payload_indexes::remove,
             answers::<Envelope<UpdateResult>>("Drops the index of a payload field."))
        .add(GET, "/cluster/status", Admin, cluster::status,
             answers::<ClusterStatus>("Nodes, shards, collections and points, counted."))
        // It says itself that there is no map yet.
        .add(GET, "/cluster/health", Status, cluster::health,
             answers::<ClusterHealth>("How the cluster is, what is wrong, and what helps.")
                 .or::<ClusterHealth>(UNAVAILABLE))
        .add(GET, "/cluster/sharding", Admin, cluster::sharding,
             answers::<ClusterSharding>("Each shard's range of hashes, leader and replicas."))
        .add(GET, "/cluster/nodes", Admin, nodes::list, answers::<Members>("The nodes."))
        .add(GET, "/cluster/nodes/{node_id}", Admin, nodes::show, answers::<Member>("One node."))
        .add(GET, "/quiver/v1/shards/{shard}", Admin, operations::shard,
             answers::<ShardDetail>("A shard's replicas, with hashes of their state."))
        .add(GET, "/quiver/v1/timings", Admin, timings::show, answers::<Timings>("The timings of consensus."))
        .add(GET, "/quiver/v1/operations", Admin, operations::list,
             answers::<Operations>("The operations under way, and those that ended lately."))
        .add(GET, "/quiver/v1/operations/{operation_id}", Admin, operations::show,
             answers::<OperationRow>("One operation."))
}

/// What changes the cluster.
#[rustfmt::skip]
fn change_routes(routes: Routes) -> Routes {
    use Class::Admin;
    /// Done, or only planned: 200. Under way: 202.
    fn change(summary: &'static str) -> RouteAnswers {
        answers::<Change>(summary).or::<Plan>(StatusCode::OK).or::<Change>(StatusCode::ACCEPTED)
    }
    routes
        .add(POST, "/cluster/nodes", Admin, adoption::add,
             change("Takes a node that was started with `--join` and waits."))
        .add(DELETE, "/cluster/nodes/{node_id}", Admin, nodes::remove, change("Has a node leave."))
        .add(POST, "/quiver/v1/nodes/{node_id}/drain", Admin, nodes::drain, change("Moves a node's replicas away."))
        .add(POST, "/quiver/v1/nodes/{node_id}/undrain", Admin, nodes::undrain,
             change("Lets a node hold replicas again."))
        .add(PUT, "/quiver/v1/nodes/{node_id}/labels", Admin, nodes::label,
             answers::<Change>("Sets a node's labels; an empty text removes one."))
        .add(POST, "/quiver/v1/shards/{shard}/move", Admin, operations::move_replica,
             change("Moves a replica between two nodes."))
        .add(POST, "/quiver/v1/shards/{shard}/leader", Admin, operations::transfer_leader,
             change("Prefers a node as a shard's leader."))
        .add(POST, "/quiver/v1/rebalance", Admin, operations::rebalance, change("Spreads replicas and leaders."))
        .add(PUT, "/quiver/v1/timings", Admin, timings::set,
             answers::<Timings>("Sets the timings of consensus, which nodes take on when they are restarted."))
        .add(DELETE, "/quiver/v1/operations/{operation_id}", Admin, operations::cancel,
             answers::<Change>("Cancels an operation."))
}

async fn unknown_path(request: Request) -> ApiError {
    ApiError::UnknownPath { path: quoted(request.uri().path()) }
}

/// `methods` are those that each path of the table takes; `matched` is the path as the table has it.
async fn method_not_allowed(
    methods: Arc<BTreeMap<&'static str, String>>,
    matched: Option<MatchedPath>,
    request: Request,
) -> ApiError {
    let allowed = matched.and_then(|path| methods.get(path.as_str()).cloned()).unwrap_or_default();
    let (method, path) = (quoted(request.method().as_str()), quoted(request.uri().path()));
    ApiError::MethodNotAllowed { method, path, allowed }
}
