//! How much memory the bodies of all requests on the peer port may take together.
//!
//! Comes in: a request of another node. Goes out: the same request with its body whole, or a refusal before anything of
//! it was looked at. A small body is never refused, so a heartbeat or a vote gets through however many large requests
//! come. Consensus has its own budget, so that client calls cannot starve it.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use raft_groups::network::http::{CROWDED, FREE_BODY_BYTES};

use crate::gateway::http::request_body::{Budget, mostly_paid};
use crate::gateway::{ApiError, Limits};

/// The budget of all bodies, and the largest size of one.
#[derive(Clone)]
struct BodyBudget {
    budget: Budget,
    limits: Limits,
}

/// Wraps `app`: one body has at most `largest` bytes, and all bodies together hold about `memory` bytes. The first
/// [`FREE_BODY_BYTES`] of each body do not count.
pub(in crate::node::process) fn limit_body_memory(app: axum::Router, largest: usize, memory: usize) -> axum::Router {
    let limits = Limits { body_bytes: largest, drain_bytes: largest, ..Limits::default() };
    let bodies = BodyBudget { budget: Budget::new(memory), limits };
    app.layer(middleware::from_fn_with_state(bodies, admit))
}

async fn admit(State(bodies): State<BodyBudget>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match mostly_paid(body, &bodies.limits, &bodies.budget, FREE_BODY_BYTES).await {
        // The memory is given back when the request has been carried out.
        Ok((body, _taken)) => next.run(Request::from_parts(head, Body::from(body))).await,
        Err(error) => refuse(&error),
    }
}

/// Answers with a status that says that nothing of the request was looked at.
fn refuse(error: &ApiError) -> Response {
    let status = match error {
        ApiError::MemoryBudget => CROWDED,
        ApiError::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        ApiError::BodyCut { .. } => StatusCode::REQUEST_TIMEOUT,
        _ => StatusCode::BAD_REQUEST,
    };
    (status, format!("nothing of the request was looked at: {error}")).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Bytes;
    use axum::routing::post;
    use tokio::sync::Semaphore;
    use tower::ServiceExt as _;

    use super::*;

    const LARGE: usize = 8 * FREE_BODY_BYTES;

    async fn send(app: &axum::Router, bytes: usize) -> StatusCode {
        let request = Request::post("/").body(Body::from(vec![0; bytes])).unwrap();
        app.clone().oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn many_large_requests_at_once_are_refused_and_a_heartbeat_is_not() {
        let (leave, began) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (waits, begins) = (leave.clone(), began.clone());
        let works = move |body: Bytes| async move {
            if body.len() > FREE_BODY_BYTES {
                begins.add_permits(1);
                let _leave = waits.acquire().await;
            }
        };
        let app = limit_body_memory(axum::Router::new().route("/", post(works)), 4 * LARGE, 2 * LARGE);
        let sends = || {
            let app = app.clone();
            tokio::spawn(async move { send(&app, LARGE).await })
        };
        let served = [sends(), sends()];
        let _both = began.acquire_many(2).await.unwrap();
        for _ in 0..10 {
            assert_eq!(send(&app, LARGE).await, CROWDED, "there is memory for two");
            assert_eq!(send(&app, FREE_BODY_BYTES).await, StatusCode::OK);
        }
        leave.add_permits(100);
        for served in served {
            assert_eq!(served.await.unwrap(), StatusCode::OK);
        }
        assert_eq!(send(&app, LARGE).await, StatusCode::OK, "it is given back");
        assert_eq!(send(&app, 4 * LARGE).await, StatusCode::OK, "it is alone");
        assert_eq!(send(&app, 4 * LARGE + 1).await, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
