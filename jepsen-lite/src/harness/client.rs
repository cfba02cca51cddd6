//! The store's HTTP interface, and what an answer says about the fate of a write.
//!
//! A failed write is not a write that did not happen. Each answer is therefore one of three: *ok* (acknowledged),
//! *fail* (certainly not applied: the connection was refused before anything was sent, or the error says `committed:
//! "no"`) and *unknown* (everything else: a time-out, a reset, a 5xx that does not say). What the store says in
//! `committed` is believed here and checked by the judge.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

/// What is known of a request after its answer, or after the lack of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerClass {
    /// Done. For a write: acknowledged, or refused in form but declared committed.
    Ok,
    /// Certainly not applied.
    Fail,
    /// May have been applied, may yet be.
    Unknown,
}

/// An answer, with the error body of the contract taken apart.
#[derive(Clone, Debug)]
pub struct ApiAnswer {
    /// The HTTP status; `None` when no answer came.
    pub status: Option<u16>,
    /// The body as JSON; a string when it was not JSON; null when none came.
    pub body: Value,
    /// What is known of the request.
    pub class: AnswerClass,
    /// What went wrong, for people. Empty when nothing did.
    pub problem: String,
}

impl ApiAnswer {
    fn unanswered(error: &reqwest::Error) -> Self {
        // Refused while connecting: not a byte of the request was sent.
        let class = if error.is_connect() && !error.is_timeout() { AnswerClass::Fail } else { AnswerClass::Unknown };
        let mut problem = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            problem = format!("{problem}: {error}");
            cause = error.source();
        }
        Self { status: None, body: Value::Null, class, problem }
    }

    fn answered(status: u16, text: String) -> Self {
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let committed = body["status"]["committed"].as_str();
        let class = match (status, committed) {
            (200..300, _) | (_, Some("yes")) => AnswerClass::Ok,
            (_, Some("no")) => AnswerClass::Fail,
            (_, Some("unknown")) => AnswerClass::Unknown,
            (400..500, _) => AnswerClass::Fail,
            _ => AnswerClass::Unknown,
        };
        let problem = if (200..300).contains(&status) { String::new() } else { format!("{status} {body}") };
        Self { status: Some(status), body, class, problem }
    }

    /// Whether the status is 2xx.
    pub fn success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// The contract's machine-readable error code, or an empty string.
    pub fn code(&self) -> &str {
        self.body["status"]["code"].as_str().unwrap_or_default()
    }

    /// The contract's message for people, or an empty string.
    pub fn message(&self) -> &str {
        self.body["status"]["error"].as_str().unwrap_or_default()
    }

    /// The body of a success; anything else is an error that says what was answered.
    pub fn ok(self) -> Result<Value> {
        if !self.success() {
            bail!("{}", self.problem);
        }
        Ok(self.body)
    }
}

/// A client of one gateway or node.
#[derive(Clone, Debug)]
pub struct ApiClient {
    http: reqwest::Client,
    base: String,
    deadline: Duration,
}

impl ApiClient {
    /// A client of `http://host:port` with a deadline of ten seconds.
    pub fn new(base: &str) -> Self {
        let http = reqwest::Client::builder()
            // Only ever loopback: a proxy of the environment has no business here.
            .no_proxy()
            .pool_idle_timeout(Duration::from_secs(2))
            .build()
            .expect("a client without TLS and without options from outside can always be built");
        Self { http, base: base.trim_end_matches('/').to_owned(), deadline: Duration::from_secs(10) }
    }

    /// The same client with another deadline for each request.
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// Where it sends to.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends one request with a JSON body.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> ApiAnswer {
        let bytes = body.map(|value| value.to_string().into_bytes());
        self.send_raw(method, path, body.map(|_| "application/json"), bytes.unwrap_or_default()).await
    }

    /// Sends one request with a body as it is, for what a proper client would never send.
    pub async fn send_raw(&self, method: Method, path: &str, content_type: Option<&str>, body: Vec<u8>) -> ApiAnswer {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).timeout(self.deadline);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let response = match request.body(body).send().await {
            Ok(response) => response,
            Err(error) => return ApiAnswer::unanswered(&error),
        };
        let status = response.status().as_u16();
        match response.text().await {
            Ok(text) => ApiAnswer::answered(status, text),
            Err(error) => ApiAnswer { class: AnswerClass::Unknown, ..ApiAnswer::unanswered(&error) },
        }
    }

    /// `GET` of any path.
    pub async fn get(&self, path: &str) -> ApiAnswer {
        self.send(Method::GET, path, None).await
    }

    /// `POST` of any path.
    pub async fn post(&self, path: &str, body: &Value) -> ApiAnswer {
        self.send(Method::POST, path, Some(body)).await
    }

    /// `GET /health`.
    pub async fn health(&self) -> ApiAnswer {
        self.get("/health").await
    }

    /// `GET /shards`: this node's replicas.
    pub async fn shards(&self) -> ApiAnswer {
        self.get("/shards").await
    }

    /// `GET /cluster/status`.
    pub async fn cluster_status(&self) -> ApiAnswer {
        self.get("/cluster/status").await
    }

    /// `GET /cluster/sharding`: leaders and replicas of every shard.
    pub async fn sharding(&self) -> ApiAnswer {
        self.get("/cluster/sharding").await
    }

    /// `POST /collections`.
    pub async fn create_collection(&self, name: &str, size: usize, distance: &str) -> ApiAnswer {
        self.post("/collections", &json!({"name": name, "vector_size": size, "distance": distance})).await
    }

    /// `DELETE /collections/{name}`.
    pub async fn drop_collection(&self, name: &str) -> ApiAnswer {
        self.send(Method::DELETE, &format!("/collections/{name}"), None).await
    }

    /// `POST /vectors`; `points` are `{"id", "vector", "payload", "if_version"}`, `more` is merged into the body
    /// (consistency, request_id).
    pub async fn upsert(&self, collection: &str, points: Vec<Value>, more: Value) -> ApiAnswer {
        self.post("/vectors", &merged(json!({"collection": collection, "vectors": points}), more)).await
    }

    /// `DELETE /vectors` by ids, `more` merged into the body.
    pub async fn delete(&self, collection: &str, ids: Vec<Value>, more: Value) -> ApiAnswer {
        let body = merged(json!({"collection": collection, "ids": ids}), more);
        self.send(Method::DELETE, "/vectors", Some(&body)).await
    }

    /// `GET /vectors/{collection}/{id}`; `query` is e.g. `?consistency=all`.
    pub async fn point(&self, collection: &str, id: &str, query: &str) -> ApiAnswer {
        self.get(&format!("/vectors/{collection}/{id}{query}")).await
    }

    /// `POST /search`, `more` merged into the body.
    pub async fn search(&self, collection: &str, vector: &[f32], limit: usize, more: Value) -> ApiAnswer {
        self.post("/search", &merged(json!({"collection": collection, "vector": vector, "limit": limit}), more)).await
    }

    /// `POST /quiver/v1/scroll`, `more` merged into the body.
    pub async fn scroll(&self, collection: &str, limit: usize, more: Value) -> ApiAnswer {
        self.post("/quiver/v1/scroll", &merged(json!({"collection": collection, "limit": limit}), more)).await
    }

    /// `POST /quiver/v1/count`, `more` merged into the body.
    pub async fn count(&self, collection: &str, more: Value) -> ApiAnswer {
        self.post("/quiver/v1/count", &merged(json!({"collection": collection}), more)).await
    }

    /// Whether every group, the map's too, has a leader and all its copies and can lose a node; else what the cluster says
    /// of its health.
    ///
    /// # Errors
    /// That health, or an empty one where nobody answers.
    pub async fn can_lose_one(&self) -> Result<(), Value> {
        let health = self.get("/cluster/health").await.body;
        let groups = &health["groups"];
        let all_led = groups["total"].is_u64() && groups["total"] == groups["with_leader"];
        let can = health["can_lose_nodes"].as_u64() >= Some(1) && groups["under_replicated"] == 0 && all_led;
        if can { Ok(()) } else { Err(health) }
    }

    /// Cuts this node's peer traffic with the named nodes, in both directions at this node.
    pub async fn cut(&self, nodes: &[String]) -> ApiAnswer {
        self.send(Method::PUT, "/quiver/v1/faults", Some(&json!({"cut": nodes}))).await
    }

    /// Sets this node's link faults: what it loses `cut`, `cut_to` and `cut_from` whom, and `delay_ms`.
    pub async fn fault_links(&self, faults: &Value) -> ApiAnswer {
        self.send(Method::PUT, "/quiver/v1/faults", Some(faults)).await
    }

    /// Heals what [`ApiClient::cut`] cut and [`ApiClient::fault_links`] set.
    pub async fn heal(&self) -> ApiAnswer {
        self.send(Method::DELETE, "/quiver/v1/faults", None).await
    }
}

fn merged(mut body: Value, more: Value) -> Value {
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    body
}

/// Waits until an operation of the cluster is done. Whoever is asked may be in the middle of an election.
///
/// # Errors
/// An operation that failed, or does not end within `patience`.
pub async fn operation_done(by: &[ApiClient], operation: &str, patience: Duration) -> Result<()> {
    let start = Instant::now();
    let mut last = String::new();
    while start.elapsed() < patience {
        for client in by {
            let answer = client.get(&format!("/quiver/v1/operations/{operation}")).await;
            // Whoever knows nothing of it now may know it later.
            match answer.body["state"].as_str() {
                Some("done") => return Ok(()),
                Some("running") | None => last = format!("{} {}", answer.body, answer.problem),
                Some(_) => bail!("{operation}: {}", answer.body),
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    bail!("{operation} does not end: {last}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn a_failed_write_is_judged_by_what_the_store_says_of_it() {
        let answered = |status, committed: &str| {
            ApiAnswer::answered(
                status,
                json!({"status": {"error": "e", "code": "c", "committed": committed}}).to_string(),
            )
            .class
        };
        assert_eq!(answered(503, "no"), AnswerClass::Fail);
        assert_eq!(answered(503, "yes"), AnswerClass::Ok);
        assert_eq!(answered(503, "unknown"), AnswerClass::Unknown);
        assert_eq!(answered(408, "unknown"), AnswerClass::Unknown);
        assert_eq!(ApiAnswer::answered(500, "oops".into()).class, AnswerClass::Unknown);
        assert_eq!(ApiAnswer::answered(404, "{}".into()).class, AnswerClass::Fail);
        assert_eq!(ApiAnswer::answered(201, "{}".into()).class, AnswerClass::Ok);
    }

    #[tokio::test]
    async fn a_refused_connection_is_a_failure_and_a_lost_answer_is_unknown() {
        let lease = crate::harness::ports::PortLease::take().unwrap();
        let url = format!("http://127.0.0.1:{}", lease.port());
        // On a busy machine even a refusal takes its time.
        let patient = ApiClient::new(&url).with_deadline(Duration::from_secs(60));
        assert_eq!(patient.health().await.class, AnswerClass::Fail);

        let client = ApiClient::new(&url).with_deadline(Duration::from_millis(500));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", lease.port())).await.unwrap();
        tokio::spawn(async move {
            // First: reads the request and hangs up. Second: never answers.
            let (mut first, _) = listener.accept().await.unwrap();
            let _ = first.read(&mut [0; 1024]).await;
            drop(first);
            let (mut second, _) = listener.accept().await.unwrap();
            let _ = second.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n").await;
            std::future::pending::<()>().await;
        });
        assert_eq!(client.post("/vectors", &json!({})).await.class, AnswerClass::Unknown);
        assert_eq!(client.post("/vectors", &json!({})).await.class, AnswerClass::Unknown);
    }
}
