//! The routes, called as a client would, over a cluster of one shard in memory.

mod bulk;
mod door;
pub(super) mod fake;
mod generator;
mod members;
mod old_map;
mod openapi;
mod overview;
mod pages;
mod payload_indexes;
mod points;
mod props;
mod reading;
mod reference;
mod schema;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use fake::FakeNode;

/// An answer, read whole.
struct Answered {
    status: StatusCode,
    request_id: String,
    body: Value,
}

impl Answered {
    fn code(&self) -> &str {
        self.body["status"]["code"].as_str().unwrap_or("")
    }

    fn error(&self) -> &str {
        self.body["status"]["error"].as_str().unwrap_or("")
    }

    fn detail(&self, member: &str) -> &Value {
        &self.body["status"]["details"][member]
    }

    /// Asserts status and code, and that the body has every member an error must have.
    fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status.as_u16(), self.code()), (status, code), "{}", self.body);
        let said = &self.body["status"];
        assert!(said["retryable"].is_boolean() && said["details"].is_object(), "{}", self.body);
        assert!(["no", "yes", "unknown"].contains(&said["committed"].as_str().unwrap()), "{}", self.body);
        assert_eq!(said["request_id"], self.request_id);
        assert!(self.body["time"].is_number());
        self
    }

    fn ok(self) -> Self {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        self
    }
}

/// Sends a request, under a name of ours where it has none. The answer is one that the document of the API tells of.
async fn send(router: &Router, mut request: Request<Body>) -> Answered {
    request.headers_mut().entry("host").or_insert(HeaderValue::from_static("localhost"));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
    openapi::check_answer(method.as_str(), &path, status, &body);
    Answered { status, request_id, body }
}

async fn call(router: &Router, method: &str, path: &str, body: &str) -> Answered {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let answered = send(router, request.body(Body::from(body.to_owned())).unwrap()).await;
    if answered.status.is_success() {
        openapi::check_taken(method, path, body);
    }
    answered
}

async fn post(router: &Router, path: &str, body: Value) -> Answered {
    call(router, "POST", path, &body.to_string()).await
}

async fn get(router: &Router, path: &str) -> Answered {
    call(router, "GET", path, "").await
}

/// A router over a fresh cluster with a collection `docs` of three cosine components.
async fn docs() -> (Router, std::sync::Arc<FakeNode>) {
    let (router, node) = fake::start();
    let made = post(&router, "/collections", json!({"name": "docs", "vector_size": 3, "distance": "cosine"})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    (router, node)
}
