//! Which requests take a query string. Any other refuses one: what is asked for there would be ignored, a level of
//! consistency among it.

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

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

/// The layer that refuses a query string which nobody would read.
pub async fn refuse_unread(request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
    let is_read = TAKES_QUERY.iter().any(|(method, path)| request.method() == method && *path == route);
    if query.is_empty() || is_read {
        return next.run(request).await;
    }
    let reason = "this request takes none; what it asks for goes into its body, as the reference says";
    ApiError::invalid("query string", reason).into_response()
}
