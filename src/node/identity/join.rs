//! Joining over HTTP: the endpoint of a node that forms a cluster or belongs to one, and the joiner's side.
//!
//! Comes in: requests of joiners, and the URLs that a joiner was given. Goes out: the answers of [`Formation`], and a
//! place in a cluster. Must not decide who is taken: the formation and the map do.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::formation::{Formation, JoinAnswer, JoinRequest};
use crate::client::unanswered;
use crate::gateway::http::extract;
use crate::gateway::{ApiError, Introduction};
use crate::node::NodeError;
use crate::placement::NodeName;
use crate::routing::MapCell;

/// Path of the endpoint on the HTTP port.
const PATH: &str = "/quiver/v1/join";

/// Path at which a node says who it is.
const INTRODUCTION_PATH: &str = "/quiver/v1/introduction";

/// Pause between two questions of a joiner.
const PAUSE: Duration = Duration::from_millis(200);

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The log complains once in so many questions.
const QUESTIONS_PER_COMPLAINT: u32 = 25;

/// Largest body of a question.
const MAX_BODY: usize = 16 << 10;

/// What the endpoint needs.
#[derive(Clone)]
pub(in crate::node) struct JoinState {
    pub formation: Arc<Formation>,
    pub me: JoinRequest,
    pub map: MapCell,
    /// The cluster that the data directory belonged to when the process started, if any.
    pub belongs: Option<Uuid>,
}

/// A node's answer to the question who it is.
#[derive(Debug, Serialize, Deserialize)]
struct IntroductionAnswer {
    node: JoinRequest,
    /// The cluster it belongs to, if any.
    cluster: Option<Uuid>,
    /// `true` if it forms a cluster, or belongs to one.
    taken: bool,
}

/// The routes on which joiners ask, and on which a node introduces itself.
pub(in crate::node) fn router(state: JoinState) -> Router {
    Router::new()
        .route(PATH, post(answer_joiner))
        .route(INTRODUCTION_PATH, get(introduce_self))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(state)
}

/// Says who this node is, and to which cluster it belongs.
async fn introduce_self(State(state): State<JoinState>) -> Response {
    let map = state.map.get();
    // Before there is a map, the data directory says which cluster it is.
    let cluster = (map.cluster != [0; 16]).then(|| Uuid::from_bytes(map.cluster)).or(state.belongs);
    let taken = cluster.is_some() || !state.formation.is_idle();
    extract::answer(StatusCode::OK, &IntroductionAnswer { node: state.me, cluster, taken })
}

/// Asks the process at `host:port` who it is.
///
/// # Errors
/// Why there is no answer that makes sense.
pub(in crate::node) async fn ask_introduction(host: &str, port: u16) -> Result<Introduction, String> {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().map_err(|error| error.to_string())?;
    // An IPv6 address needs brackets in a URL.
    let bracketed = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    let answer = client.get(format!("http://{bracketed}:{port}{INTRODUCTION_PATH}")).send().await;
    let answer = answer.map_err(|error| unanswered(&error))?;
    let status = answer.status();
    let who: IntroductionAnswer =
        answer.json().await.map_err(|_| format!("what answers there ({status}) is no node of Quiver"))?;
    Ok(Introduction { entry: who.node.entry(), cluster: who.cluster.map(|id| *id.as_bytes()), taken: who.taken })
}

/// The cluster that the process at `url` belongs to, and its peer port as `host:port`.
///
/// # Errors
/// Why there is no answer that makes sense.
pub(super) async fn ask_peer_port(url: &str) -> Result<(Option<Uuid>, String), String> {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().map_err(|error| error.to_string())?;
    let answer = client.get(format!("{url}{INTRODUCTION_PATH}")).send().await;
    let answer = answer.and_then(reqwest::Response::error_for_status).map_err(|error| error.to_string())?;
    let who: IntroductionAnswer = answer.json().await.map_err(|error| error.to_string())?;
    Ok((who.cluster, who.node.peer_addr))
}

/// Answers one question of a joiner: 200 with its place, 202 to ask again, 409 where the name is taken, 503 where this
/// node forms nothing.
async fn answer_joiner(
    State(state): State<JoinState>,
    question: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let question = question.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::BodyTooLarge { limit: MAX_BODY },
        _ => ApiError::broken_body(&rejection),
    })?;
    // The status says whether to ask again; the body says the rest.
    let request = extract::parse::<JoinRequest>(&question)?;
    let answer = state.formation.answer_joiner(request, &state.me.name, &state.map.get());
    let status = match answer {
        JoinAnswer::Member { .. } => StatusCode::OK,
        JoinAnswer::Waiting | JoinAnswer::Unadopted => StatusCode::ACCEPTED,
        JoinAnswer::NameTaken => StatusCode::CONFLICT,
        JoinAnswer::NotForming => StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok(extract::answer(status, &answer))
}

/// Asks the nodes at `urls`, one after the other, until one takes or refuses this node. A node that is not up yet, or
/// waits for others, is asked again without end: nodes may start in any order.
///
/// # Errors
/// [`NodeError::Refused`] by a node, or where the nodes at `urls` belong to two clusters.
pub(super) async fn ask_to_join(urls: &[String], request: &JoinRequest) -> Result<JoinAnswer, NodeError> {
    let client = reqwest::Client::builder().no_proxy().build().map_err(|e| NodeError::setup("an HTTP client", e))?;
    for question in 0u32.. {
        // One node is asked at a time. Now and then the log says why this takes so long.
        let url = &urls[question as usize % urls.len()];
        let refused = |reason: String| NodeError::Refused { url: url.clone(), reason };
        let complain = question % QUESTIONS_PER_COMPLAINT == QUESTIONS_PER_COMPLAINT - 1;
        match ask_once(&client, url, request).await {
            Ok(JoinAnswer::Member { node, map }) => {
                require_one_cluster(urls, Uuid::from_bytes(map.cluster), url).await?;
                return Ok(JoinAnswer::Member { node, map });
            }
            // A taken name ends the start, because waiting does not free it. Everything below may pass, and is waited
            // for.
            Ok(JoinAnswer::NameTaken) => return Err(refused(describe_name_taken(&request.name))),
            Ok(JoinAnswer::Waiting) if complain => tracing::info!(url, "waiting for the other nodes to join"),
            Ok(JoinAnswer::Unadopted) if complain => {
                let (node, host, port) = (request.name.as_str(), &request.host, request.port);
                tracing::info!(url, "waiting to be adopted: `quiver node join {node} {host}:{port} --url {url}`");
            }
            Ok(JoinAnswer::NotForming) if complain => {
                tracing::warn!(
                    url,
                    "that node belongs to no cluster yet and forms none: it waits for one, as this one does. One node \
                     must be started with --bootstrap; give its URL, or wait until that node has joined"
                );
            }
            Err(error) if complain => tracing::warn!(url, %error, "cannot reach the node to join; trying on"),
            Ok(JoinAnswer::Waiting | JoinAnswer::Unadopted | JoinAnswer::NotForming) | Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
    // It asks for decades before it comes here.
    Err(NodeError::Refused { url: urls.join(", "), reason: "it was asked too often".to_owned() })
}

/// Makes sure that no node at `urls` belongs to another cluster than the node at `by`. Silent nodes are passed over.
async fn require_one_cluster(urls: &[String], cluster: Uuid, by: &str) -> Result<(), NodeError> {
    for url in urls {
        // A node without a cluster contradicts nothing.
        if let Ok((Some(other), _)) = ask_peer_port(url).await
            && other != cluster
        {
            let reason = format!("it belongs to cluster {other}, and {by} to {cluster}: name nodes of one of them");
            return Err(NodeError::Refused { url: url.clone(), reason });
        }
    }
    Ok(())
}

/// Says that a name is taken, and names the ways out.
fn describe_name_taken(name: &NodeName) -> String {
    format!(
        "it knows another node, or an earlier life of this one, as `{name}`: choose another --node-id, start with the \
         data directory that this node had, or, if that is gone, remove the earlier one first (`quiver node leave \
         {name}`) and start this one again"
    )
}

/// Asks the node at `url` once. An error says why there is no answer that makes sense.
async fn ask_once(client: &reqwest::Client, url: &str, request: &JoinRequest) -> Result<JoinAnswer, String> {
    let answer = client.post(format!("{url}{PATH}")).timeout(PATIENCE).json(request).send().await;
    let answer = answer.map_err(|error| unanswered(&error))?;
    let status = answer.status();
    answer.json().await.map_err(|_| {
        format!(
            "what answers there ({status}) takes no nodes in: give the URL of a node, not of a gateway or anything else"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_no_node_is_named_as_such_and_who_is_silent_by_the_cause() {
        let (incarnation, host, port) = (Uuid::new_v4(), "127.0.0.1".to_owned(), 1);
        let name = NodeName::new("node2").unwrap();
        let request = JoinRequest { name, incarnation, host, port, peer_addr: "127.0.0.1:2".to_owned() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new()).await });
        let client = reqwest::Client::new();
        let gateway = ask_once(&client, &url, &request).await.unwrap_err();
        assert!(gateway.contains("not of a gateway"), "{gateway}");
        let silent = ask_once(&client, "http://127.0.0.1:1", &request).await.unwrap_err();
        assert!(silent.to_lowercase().contains("refused"), "{silent}");
    }
}
