//! The endpoint on the peer port: checks that a request is meant for this node, then has the service carry it out.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use raft_groups::network::faults::Faults;
use tokio::time::Instant;

use super::wire;
use crate::routing::rpc::message::{MAX_CALLS, MAX_RPC_BYTES, PATH, RouteResponse};
use crate::routing::serve::service::Service;

/// What the endpoint needs.
#[derive(Clone)]
pub struct RpcServer {
    /// The cluster this node belongs to.
    pub cluster: [u8; 16],
    /// Carries the calls out.
    pub service: Arc<Service>,
    /// What is wrong with the links to other nodes; for fault tests.
    pub faults: Faults,
}

/// The routes of the peer port that answer other nodes' calls.
pub fn peer_router(server: RpcServer) -> Router {
    Router::new().route(PATH, post(serve)).layer(DefaultBodyLimit::max(MAX_RPC_BYTES)).with_state(server)
}

async fn serve(State(server): State<RpcServer>, body: Bytes) -> Response {
    let received = Instant::now();
    let request = match wire::decode(&body) {
        Ok(request) => request,
        Err(error) => return (StatusCode::BAD_REQUEST, error).into_response(),
    };
    // The calls may wait long, and need these bytes no more.
    drop(body);
    if request.calls.len() > MAX_CALLS {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    // An address may belong to another node by now, which must not answer for the one that is meant.
    if request.cluster != server.cluster || request.to != server.service.node {
        let here = RouteResponse::Misdirected { cluster: server.cluster, node: server.service.node };
        return answer(StatusCode::MISDIRECTED_REQUEST, &here);
    }
    // A link that a test has cut loses the request here, and the answer below.
    if request.from.is_some_and(|from| server.faults.loses_from(from)) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    // The time counts from the receipt of the request: the clocks of two machines are not compared.
    let deadline = received + request.timeout();
    let answers = RouteResponse::Answers(server.service.execute(request.calls, deadline).await);
    if let Some(from) = request.from {
        server.faults.delay_to(from).await;
        if server.faults.loses_to(from) {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    }
    answer(StatusCode::OK, &answers)
}

fn answer(status: StatusCode, response: &RouteResponse) -> Response {
    match wire::encode_response(response) {
        Ok(bytes) => (status, bytes).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
