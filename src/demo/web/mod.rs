//! The supervisor's HTTP side: the page, the merged events, and the routes that change the cluster. It listens on
//! loopback only. A request that a browser sends for a page of another site is refused, and so is a request under
//! another host name.

mod json;
pub(super) mod replay;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::demo::lessons::{self, Lessons};
use crate::demo::page;
use crate::demo::supervisor::Supervisor;
use crate::demo::supervisor::demo_client::ClientRequest;
use crate::demo::supervisor::links::LinkChange;
use crate::demo::supervisor::refused::{Refused, answered};
use crate::demo::web::json::Json;
use crate::gateway::http::extract;

/// The answer of a handler.
type Answer = Result<Json<Value>, Refused>;

/// A JSON body, or what is wrong with it.
type Body<T> = Result<Json<T>, Refused>;

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Unknown(_) => StatusCode::NOT_FOUND,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Failed(_) => StatusCode::BAD_GATEWAY,
        };
        extract::answer(status, &json!({"error": self.to_string()}))
    }
}

/// What the routes work on.
#[derive(Clone)]
pub(super) struct Demo {
    /// The nodes.
    pub supervisor: Arc<Supervisor>,
    /// The lessons on them.
    pub lessons: Arc<Lessons>,
}

impl Demo {
    /// What `/api/state` shows.
    fn state(&self) -> Value {
        let mut state = self.supervisor.state();
        state["lesson"] = self.lessons.name().into();
        state
    }
}

impl FromRef<Demo> for Arc<Supervisor> {
    fn from_ref(demo: &Demo) -> Self {
        demo.supervisor.clone()
    }
}

impl FromRef<Demo> for Arc<Lessons> {
    fn from_ref(demo: &Demo) -> Self {
        demo.lessons.clone()
    }
}

/// All routes of the demo, which is served at `address`.
pub(super) fn router(demo: Demo, address: SocketAddr) -> Router {
    let api = Router::new()
        .route("/api/state", get(async |State(demo): State<Demo>| Json(demo.state())))
        .route("/api/events", get(events))
        .route("/api/log", get(log))
        .route("/api/recording", get(recording))
        .route("/api/nodes/{name}/{command}", post(node))
        .route("/api/links", post(links))
        .route("/api/heal", post(heal))
        .route("/api/client", post(client))
        .route("/api/lessons", get(async || Json(lessons::list())))
        .route("/api/lesson", get(async |State(lessons): State<Arc<Lessons>>| Json(lessons.state())))
        .route("/api/lessons/{name}/start", post(start))
        .route("/api/lessons/{name}/answer", post(answer))
        .route("/api/lessons/{name}/next", post(next))
        .route("/api/lessons/stop", post(stop));
    guarded(page::router().merge(api).with_state(demo), address)
}

/// `app`, guarded against pages of other sites.
pub(super) fn guarded(app: Router, address: SocketAddr) -> Router {
    app.layer(middleware::from_fn(move |request: Request, next: Next| async move {
        if is_ours(request.headers(), address.port()) {
            return next.run(request).await;
        }
        let error = "this is the demo's own: open its page under 127.0.0.1 or localhost";
        extract::answer(StatusCode::FORBIDDEN, &json!({"error": error}))
    }))
}

/// Returns `true` if a request is meant for this address, and was not sent by a page of another site.
fn is_ours(headers: &HeaderMap, port: u16) -> bool {
    let hosts = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
    let text = |name| headers.get(name).map(|value: &header::HeaderValue| value.to_str().unwrap_or("?"));
    let host = text(header::HOST).is_none_or(|host| hosts.iter().any(|ours| ours == host));
    let origin = text(header::ORIGIN);
    host && origin.is_none_or(|origin| hosts.iter().any(|ours| origin.strip_prefix("http://") == Some(ours)))
}

/// Streams the merged events as server-sent events, from the place that `last-event-id` names.
async fn events(State(supervisor): State<Arc<Supervisor>>, headers: HeaderMap) -> Response {
    let after = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse::<u64>().ok());
    let last = supervisor.events.last();
    // A new consumer first hears the last status of every replica, and then what happens from now on.
    let known = if after.is_none() { supervisor.view.lock().statuses() } else { Vec::new() };
    let first = known.into_iter().map(move |mut status| {
        status["seq"] = last.into();
        Ok::<_, Infallible>(sse::Event::default().data(status.to_string()))
    });
    // A number from an earlier demo may be beyond this log's end.
    let after = after.map_or(last, |after| after.min(last));
    let batches = stream::unfold((supervisor, after), |(supervisor, after)| async move {
        let lines = supervisor.events.next(after).await;
        let mut messages = Vec::with_capacity(lines.len() + 1);
        // A consumer that was too slow hears how many events it missed.
        if let Some((first, _)) = lines.first().filter(|(first, _)| *first > after + 1) {
            let gap = json!({"missed": first - after - 1}).to_string();
            messages.push(Ok(sse::Event::default().event("gap").data(gap)));
        }
        let last = lines.last().map_or(after, |(seq, _)| *seq);
        messages
            .extend(lines.iter().map(|(seq, line)| Ok(sse::Event::default().id(seq.to_string()).data(line.as_ref()))));
        Some((stream::iter(messages), (supervisor, last)))
    });
    Sse::new(stream::iter(first).chain(batches.flatten())).keep_alive(KeepAlive::default()).into_response()
}

/// Which node's log of which group is asked for.
#[derive(Deserialize)]
struct Log {
    node: String,
    #[serde(default)]
    group: u64,
    last: Option<u64>,
}

async fn log(State(supervisor): State<Arc<Supervisor>>, Query(log): Query<Log>) -> Answer {
    let (node, last) = (supervisor.up(&log.node)?, log.last.unwrap_or(64));
    let url = format!("{}/quiver/v1/groups/{}/log?last={last}", node.url, log.group);
    answered(supervisor.http.get(url).send().await?).await.map(Json)
}

async fn recording(State(demo): State<Demo>) -> Response {
    let (cut, lines) = demo.supervisor.events.recording();
    let mut text = json!({"recording": 1, "state": demo.state(), "cut": cut}).to_string();
    for line in lines {
        text.push('\n');
        text.push_str(&line);
    }
    text.push('\n');
    replay::ndjson(text)
}

/// The body of `campaign` and `step-down`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InGroup {
    group: u64,
}

async fn node(
    State(supervisor): State<Arc<Supervisor>>,
    Path((name, command)): Path<(String, String)>,
    body: axum::body::Bytes,
) -> Answer {
    // Only `campaign` and `step-down` read the body; without one they mean group 1.
    let group = move || -> Result<u64, Refused> {
        let wrong = |error| Refused::Conflict(format!("the body must be {{\"group\": 1}} or the like: {error}"));
        if body.is_empty() {
            Ok(1)
        } else {
            serde_json::from_slice(&body).map(|body: InGroup| body.group).map_err(wrong)
        }
    };
    to_its_end(async move {
        let done = match command.as_str() {
            "kill" => supervisor.kill(&name).await,
            "pause" => supervisor.pause(&name).await,
            "resume" => supervisor.resume(&name).await,
            "restart" => supervisor.restart(&name).await,
            "wipe" => supervisor.wipe(&name).await,
            "isolate" => supervisor.isolate(&name, true).await,
            "rejoin" => supervisor.isolate(&name, false).await,
            "campaign" | "step-down" => supervisor.nudge(&name, group()?, &command).await,
            _ => Err(Refused::Unknown(format!("`{command}` is nothing that can be done to a node"))),
        };
        done.map(|done| json!({"done": done}))
    })
    .await
}

/// Carries the work through even if its client goes away, as a browser does when its network changes. Otherwise a
/// lesson would stop in the middle of a step, or a node between two starts.
async fn to_its_end(work: impl Future<Output = Result<Value, Refused>> + Send + 'static) -> Answer {
    tokio::spawn(work).await.unwrap_or_else(|broken| Err(Refused::Failed(broken.into()))).map(Json)
}

async fn links(State(supervisor): State<Arc<Supervisor>>, body: Body<LinkChange>) -> Answer {
    let Json(change) = body?;
    supervisor.change_link(&change).await.map(|done| Json(json!({"done": done})))
}

async fn heal(State(supervisor): State<Arc<Supervisor>>) -> Answer {
    supervisor.heal().await.map(|done| Json(json!({"done": done})))
}

async fn client(State(supervisor): State<Arc<Supervisor>>, body: Body<ClientRequest>) -> Answer {
    let Json(request) = body?;
    supervisor.request_as_client(&request).await.map(Json)
}

async fn start(State(lessons): State<Arc<Lessons>>, Path(name): Path<String>) -> Answer {
    to_its_end(async move { lessons.start(&name).await }).await
}

/// The reader's answer to a step's question.
#[derive(Deserialize)]
struct Choice {
    choice: usize,
}

async fn answer(State(lessons): State<Arc<Lessons>>, Path(name): Path<String>, body: Body<Choice>) -> Answer {
    let Json(Choice { choice }) = body?;
    lessons.answer(&name, choice).map(Json)
}

async fn next(State(lessons): State<Arc<Lessons>>, Path(name): Path<String>) -> Answer {
    to_its_end(async move { lessons.next(&name).await }).await
}

async fn stop(State(lessons): State<Arc<Lessons>>) -> Answer {
    to_its_end(async move { lessons.stop().await }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_begun_is_done_although_nobody_waits_for_it() {
        let (begun, go_on) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
        let (done, is_done) = tokio::sync::oneshot::channel();
        let (at_work, may_end) = (begun.clone(), go_on.clone());
        let asked = to_its_end(async move {
            at_work.notify_one();
            may_end.notified().await;
            done.send(()).expect("the test waits");
            Ok(Value::Null)
        });
        tokio::select! {
            _ = asked => panic!("it waits for the word to go on"),
            () = begun.notified() => {}
        }
        go_on.notify_one();
        is_done.await.expect("it went on when the request was dropped");
    }

    #[test]
    fn pages_of_other_sites_pull_no_strings() {
        let headers = |host: &str, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().expect("a host"));
            origin.map(|origin| headers.insert(header::ORIGIN, origin.parse().expect("an origin")));
            headers
        };
        assert!(is_ours(&headers("127.0.0.1:80", None), 80));
        assert!(is_ours(&headers("localhost:80", Some("http://localhost:80")), 80));
        assert!(!is_ours(&headers("127.0.0.1:80", Some("http://evil.example")), 80));
        assert!(!is_ours(&headers("127.0.0.1:80", Some("null")), 80));
        assert!(!is_ours(&headers("evil.example:80", None), 80));
    }
}
