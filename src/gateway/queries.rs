//! Which requests take a query string. Any other refuses one: what is asked for there would be ignored, a level of
//! consistency among it.

use axum::extract::{MatchedPath, Request};
use axum::http::Method;

use super::error::ApiError;

/// The routes whose handlers read [`Params`](super::body::Params). One that is missing here is refused its query.
const TAKES_QUERY: [(Method, &str); 12] = [
    (Method::GET, "/quiver/v1/events"),
    (Method::GET, "/quiver/v1/groups/{group}/log"),
    (Method::GET, "/vectors/{collection}/{id}"),
    (Method::DELETE, "/vectors/{collection}/{id}"),
    (Method::PUT, "/collections/{name}/index"),
    (Method::DELETE, "/collections/{name}/index/{field}"),
    (Method::POST, "/cluster/nodes"),
    (Method::DELETE, "/cluster/nodes/{node_id}"),
    (Method::POST, "/quiver/v1/nodes/{node_id}/drain"),
    (Method::POST, "/quiver/v1/shards/{shard}/move"),
    (Method::POST, "/quiver/v1/rebalance"),
    (Method::POST, "/quiver/v1/nodes/{node_id}/undrain"),
];

/// Returns an error where the request has a query string that nobody would read.
pub fn check(request: &Request) -> Result<(), ApiError> {
    let query = request.uri().query().unwrap_or_default();
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
    let is_read = || TAKES_QUERY.iter().any(|(method, path)| request.method() == method && *path == route);
    if query.is_empty() || is_read() {
        return Ok(());
    }
    let reason = "this request takes none; what it asks for goes into its body, as the reference says";
    Err(ApiError::invalid("query string", reason))
}
