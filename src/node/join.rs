//! Joining over HTTP: the endpoint on a node that forms a cluster or belongs to one, and the asking side.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;

use super::NodeError;
use super::formation::{Formation, JoinAnswer, JoinRequest};
use crate::gateway::{ApiError, body};
use crate::placement::NodeName;
use crate::routing::MapCell;

/// Path of the endpoint on the HTTP port.
const PATH: &str = "/quiver/v1/join";

/// Pause between two questions of a joiner.
const PAUSE: Duration = Duration::from_millis(200);

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Questions between two complaints in the log.
const QUESTIONS_PER_COMPLAINT: u32 = 25;

/// Largest body of a question.
const MAX_BODY: usize = 16 << 10;

/// What the endpoint needs.
#[derive(Clone)]
pub(super) struct JoinDoor {
    pub formation: Arc<Formation>,
    pub me: NodeName,
    pub map: MapCell,
}

/// The route that joiners ask.
pub(super) fn router(door: JoinDoor) -> Router {
    Router::new().route(PATH, post(answer)).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(door)
}

async fn answer(State(door): State<JoinDoor>, question: Result<Bytes, BytesRejection>) -> Result<Response, ApiError> {
    let question = question.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::BodyTooLarge { limit: MAX_BODY },
        _ => ApiError::BodyCut { reason: rejection.body_text() },
    })?;
    let request = body::parse::<JoinRequest>(&question)?;
    let answer = door.formation.answer(request, &door.me, &door.map.get());
    let status = match answer {
        JoinAnswer::Member { .. } => StatusCode::OK,
        JoinAnswer::Waiting => StatusCode::ACCEPTED,
        JoinAnswer::NameTaken => StatusCode::CONFLICT,
        JoinAnswer::Closed => StatusCode::NOT_IMPLEMENTED,
        JoinAnswer::NotForming => StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok(body::answer(status, &answer))
}

/// Asks the node at `url` until it takes or refuses this one. What may pass (it is not up yet, it waits for others) is
/// waited for without an end: nodes are started in any order.
pub(super) async fn ask(url: &str, request: &JoinRequest) -> Result<JoinAnswer, NodeError> {
    let client = reqwest::Client::builder().no_proxy().build().map_err(|e| NodeError::setup("an HTTP client", e))?;
    let refused = |reason: String| NodeError::Refused { url: url.to_owned(), reason };
    for question in 0u32.. {
        let complain = question % QUESTIONS_PER_COMPLAINT == QUESTIONS_PER_COMPLAINT - 1;
        match question_once(&client, url, request).await {
            Ok(member @ JoinAnswer::Member { .. }) => return Ok(member),
            Ok(JoinAnswer::NameTaken) => return Err(refused(name_taken(&request.name))),
            Ok(JoinAnswer::Closed) => return Err(refused(CLOSED.to_owned())),
            Ok(JoinAnswer::Waiting) if complain => tracing::info!(url, "waiting for the other nodes to join"),
            Ok(JoinAnswer::NotForming) if complain => {
                tracing::warn!(url, "that node forms no cluster yet: one node must be started with --bootstrap");
            }
            Err(error) if complain => tracing::warn!(url, %error, "cannot reach the node to join; trying on"),
            Ok(JoinAnswer::Waiting | JoinAnswer::NotForming) | Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(refused("it was asked too often".to_owned()))
}

const CLOSED: &str = "the cluster is formed already, and growing it needs the placement driver, which this version \
                      does not have: form the cluster with all its nodes";

fn name_taken(name: &NodeName) -> String {
    format!(
        "it knows another node, or an earlier life of this one, as `{name}`: choose another --node-id, or start with \
         the data directory that this node had"
    )
}

async fn question_once(
    client: &reqwest::Client,
    url: &str,
    request: &JoinRequest,
) -> Result<JoinAnswer, reqwest::Error> {
    client.post(format!("{url}{PATH}")).timeout(PATIENCE).json(request).send().await?.json().await
}
