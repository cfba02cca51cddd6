//! The pipeline against a scripted server: retries keep their request id, blamed rows are set aside, and an ingest
//! resumes.
//!
//! The server is a script of refusals, so that each failure happens at a request of the test's choice.

use super::*;
use crate::api::{
    BinaryPoint, Committed, ErrorBody, ErrorStatus, POINTS_CONTENT_TYPE, PointId, PointInput, PointsHead, Upsert,
    Upserted, VectorValue, decode_points, read_head,
};
use crate::gateway::http::extract::answer;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What the scripted server has seen and stored.
#[derive(Default)]
struct Seen {
    stored: BTreeMap<PointId, u32>,
    /// The vector of each point that was written last.
    vectors: BTreeMap<PointId, VectorValue>,
    requests: Vec<Uuid>,
}

fn refusal(http: StatusCode, code: &str, retryable: bool, committed: Committed, position: Option<usize>) -> Response {
    let details = position.into_iter().map(|position| ("position".to_owned(), position.into())).collect();
    let (error, code, request_id) = (format!("scripted {code}"), code.to_owned(), "r".to_owned());
    let status = ErrorStatus { error, code, retryable, committed, request_id, details };
    answer(http, &ErrorBody { status, time: 0.0 })
}

/// Either form of the body.
fn understood(headers: &HeaderMap, body: &[u8]) -> Upsert {
    if headers["content-type"] != POINTS_CONTENT_TYPE {
        return serde_json::from_slice(body).unwrap();
    }
    let (head, points) = decode_points(body, read_head).unwrap();
    let PointsHead { collection, consistency, request_id, timeout_ms, .. } = head;
    let point = |point: BinaryPoint<'_>| PointInput {
        id: point.id,
        vector: VectorValue::Single(point.vector),
        payload: (!point.payload.is_empty()).then(|| serde_json::from_str(point.payload).unwrap()),
        if_version: None,
    };
    Upsert { collection, vectors: points.into_iter().map(point).collect(), consistency, request_id, timeout_ms }
}

/// Serves `POST /vectors`; `script` may answer a request, given its number, in place of storing it.
async fn server(
    script: impl Fn(usize, &Upsert) -> Option<Response> + Clone + Send + Sync + 'static,
) -> (String, Arc<Mutex<Seen>>) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let state = seen.clone();
    let handler = async move |headers: HeaderMap, body: Bytes| {
        let upsert = understood(&headers, &body);
        let mut seen = state.lock();
        seen.requests.push(upsert.request_id.unwrap());
        if let Some(answer) = script(seen.requests.len() - 1, &upsert) {
            return answer;
        }
        for point in &upsert.vectors {
            *seen.stored.entry(point.id).or_default() += 1;
            seen.vectors.insert(point.id, point.vector.clone());
        }
        let upserted = upsert.vectors.len() as u64;
        let (status, token) = ("completed".into(), "t".into());
        answer(StatusCode::OK, &Upserted { status, upserted, results: vec![], token, shards: vec![] })
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = axum::Router::new().route("/vectors", axum::routing::post(handler));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, seen)
}

fn input(lines: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..lines).map(|id| format!("{{\"id\":{id},\"vector\":[1,{id}]}}\n")).collect();
    std::fs::write(dir.path().join("in.ndjson"), text).unwrap();
    dir
}

async fn ingest(dir: &tempfile::TempDir, url: &str, flags: &[&str]) -> anyhow::Result<Exit> {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: IngestArgs,
    }
    let path = dir.path().join("in.ndjson");
    let fixed = ["ingest", path.to_str().unwrap(), "--collection", "docs", "--url", url, "--batch", "10"];
    run(<Line as clap::Parser>::parse_from(fixed.iter().chain(flags)).args).await
}

#[tokio::test]
async fn a_retry_keeps_its_request_id() {
    let (url, seen) = server(|number, _| {
        (number == 0).then(|| refusal(StatusCode::SERVICE_UNAVAILABLE, "no_leader", true, Committed::Unknown, None))
    })
    .await;
    assert_eq!(ingest(&input(25), &url, &["--clients", "1"]).await.unwrap(), Exit::Ok);
    let seen = seen.lock();
    assert_eq!(seen.requests[0], seen.requests[1]);
    assert_eq!((seen.requests.len(), seen.stored.len()), (4, 25));
}

#[tokio::test]
async fn the_retries_of_a_batch_that_fails_are_counted() {
    struct Last(crate::client::load::Account);
    impl crate::client::load::Journal for Last {
        fn update(
            &mut self,
            account: &crate::client::load::Account,
            _: &[crate::client::load::Reject],
        ) -> anyhow::Result<()> {
            self.0 = *account;
            Ok(())
        }
    }
    let (url, seen) =
        server(|_, _| Some(refusal(StatusCode::SERVICE_UNAVAILABLE, "no_leader", true, Committed::No, None))).await;
    let client = Arc::new(Client::new(&[url]).unwrap());
    let file = std::fs::read(input(5).path().join("in.ndjson")).unwrap();
    let rows = ndjson(std::io::Cursor::new(file), None, 0).unwrap();
    let patience = Duration::from_secs(1);
    let (collection, consistency) = ("docs".to_owned(), None);
    let plan = LoadPlan { collection, batch: 10, clients: 1, consistency, patience, max_rejects: 0 };
    let mut journal = Last(crate::client::load::Account::default());
    let failure = load(client, plan, rows, &mut journal).await.unwrap_err();
    let requests = seen.lock().requests.len() as u64;
    assert!(requests > 1, "{failure:#}");
    assert_eq!(journal.0.retries, requests - 1, "{failure:#}");
}

#[tokio::test]
async fn blamed_rows_are_set_aside_and_listed() {
    let bad = |upsert: &Upsert, id| upsert.vectors.iter().position(|point| point.id == PointId::Num(id));
    let (url, seen) = server(move |_, upsert| {
        let named = bad(upsert, 7).map(Some).or_else(|| bad(upsert, 13).map(|_| None));
        named.map(|position| refusal(StatusCode::BAD_REQUEST, "bad_input", false, Committed::No, position))
    })
    .await;
    let dir = input(30);
    let rejects = dir.path().join("rejects.ndjson");
    assert_eq!(ingest(&dir, &url, &["--rejects", rejects.to_str().unwrap()]).await.unwrap(), Exit::Failed);
    assert_eq!(seen.lock().stored.len(), 28);
    let listed = std::fs::read_to_string(rejects).unwrap();
    assert!(listed.lines().count() == 2 && listed.contains("\"row\":7") && listed.contains("\"row\":13"), "{listed}");
}

#[tokio::test]
async fn a_failed_ingest_goes_on_where_it_stopped() {
    let fatal = |number: usize, _: &Upsert| {
        (number == 3).then(|| refusal(StatusCode::NOT_FOUND, "collection_not_found", false, Committed::No, None))
    };
    let (url, seen) = server(fatal).await;
    let dir = input(100);
    let error = ingest(&dir, &url, &["--clients", "1"]).await.unwrap_err();
    assert_eq!(crate::cli::exit::code_of(&error), Exit::NotFound);
    assert!(dir.path().join("in.ndjson.docs.resume").exists());
    assert_eq!(ingest(&dir, &url, &[]).await.unwrap(), Exit::Ok);
    let seen = seen.lock();
    assert_eq!(seen.stored.len(), 100);
    assert!(seen.stored.values().all(|times| *times == 1), "{:?}", seen.stored);
    assert!(!dir.path().join("in.ndjson.docs.resume").exists());
}

#[tokio::test]
async fn an_unknown_outcome_has_an_exit_code_of_its_own() {
    let (url, _) =
        server(|_, _| Some(refusal(StatusCode::SERVICE_UNAVAILABLE, "no_quorum", true, Committed::Unknown, None)))
            .await;
    let error = ingest(&input(5), &url, &["--patience", "0"]).await.unwrap_err();
    assert_eq!(crate::cli::exit::code_of(&error), Exit::Unknown);
}

#[tokio::test]
async fn a_silent_endpoint_is_passed_by() {
    let (url, seen) = server(|_, _| None).await;
    assert_eq!(ingest(&input(5), "http://127.0.0.1:1", &["--url", &url]).await.unwrap(), Exit::Ok);
    assert_eq!(seen.lock().stored.len(), 5);
}

/// As the real one does, the server refuses a batch with one id twice; and it is slow with the first request.
#[tokio::test]
async fn of_rows_with_one_id_the_last_counts_however_they_are_sent() {
    let rows: Vec<(u64, u64)> = (0..60).map(|row| (row * row % 23, row)).chain([(5, 60), (5, 61)]).collect();
    let last: BTreeMap<u64, u64> = rows.iter().copied().collect();
    let text: String = rows.iter().map(|(id, row)| format!("{{\"id\":{id},\"vector\":[1,{row}]}}\n")).collect();
    for (batch, clients) in [("1", "8"), ("2", "4"), ("7", "3"), ("100", "1"), ("100", "4")] {
        let (url, seen) = server(|number, upsert| {
            let ids: std::collections::BTreeSet<PointId> = upsert.vectors.iter().map(|point| point.id).collect();
            let twice = ids.len() < upsert.vectors.len();
            let late = number.is_multiple_of(5);
            twice
                .then(|| refusal(StatusCode::BAD_REQUEST, "duplicate", false, Committed::No, Some(0)))
                .or(late.then(|| refusal(StatusCode::SERVICE_UNAVAILABLE, "no_leader", true, Committed::No, None)))
        })
        .await;
        let dir = input(0);
        std::fs::write(dir.path().join("in.ndjson"), &text).unwrap();
        let url = url.as_str();
        let path = dir.path().join("in.ndjson");
        let client = Arc::new(Client::new(&[url.to_owned()]).unwrap());
        let reader = std::io::BufReader::new(File::open(path).unwrap());
        let plan = LoadPlan {
            collection: "docs".to_owned(),
            batch: batch.parse().unwrap(),
            clients: clients.parse().unwrap(),
            consistency: None,
            patience: Duration::from_secs(30),
            max_rejects: 0,
        };
        let mut journal = RunJournal::new(None, None);
        let rows_of_file = ndjson(reader, None, 0).unwrap();
        let account = load(client, plan, rows_of_file, &mut journal).await.unwrap();
        assert_eq!((account.points, account.rejected), (rows.len() as u64, 0), "{batch} {clients}");
        let again = last.keys().filter(|id| rows.iter().filter(|(other, _)| other == *id).count() > 1).count();
        assert_eq!(account.repeated, again as u64);
        let seen = seen.lock();
        for (id, row) in &last {
            let wanted = VectorValue::Single(vec![1.0, *row as f32]);
            assert_eq!(seen.vectors[&PointId::Num(*id)], wanted, "point {id}, {batch} a batch, {clients} clients");
        }
    }
}
