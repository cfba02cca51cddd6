//! What the door does for every route: too many requests, panics, routes of others, headers.

use axum::response::IntoResponse;
use axum::routing::get;
use raft_groups::mutants::{Mutant, plant};
use serde_json::json;
use tower::ServiceExt as _;

use super::{Body, Request, Router, call, docs, fake, post, send};
use crate::gateway::{ApiError, Limits, router, router_with};

#[tokio::test]
async fn a_full_house_refuses_data_and_still_shows_its_health() {
    let (state, _) = fake::state(0);
    let router = router(state);
    let refused = post(&router, "/search", json!({"collection": "docs", "vector": [1]})).await;
    assert_eq!(refused.refused(429, "too_many_requests").body["status"]["retryable"], true);
    super::get(&router, "/health").await.ok();
}

#[tokio::test]
async fn a_change_is_told_whatever_it_takes_and_what_is_never_affordable_is_not_to_be_retried() {
    let limits = |arriving_bytes| Limits { arriving_bytes, ..Limits::default() };
    let (state, _) = fake::state_within(limits(128 << 10));
    let router = router(state);
    post(&router, "/collections", json!({"name": "docs", "vector_size": 1})).await;
    let points: Vec<_> = (0..5_000).map(|id| json!({"id": id, "vector": [1]})).collect();
    let body = json!({"collection": "docs", "vectors": points});
    // Neither beside the body, which has come by then, nor by itself is there memory for this answer.
    let written = post(&router, "/vectors", body).await.ok();
    assert!(written.body.to_string().len() > 128 << 10);
    let scroll = |limit| json!({"collection": "docs", "limit": limit, "with_payload": true});
    let refused = post(&router, "/quiver/v1/scroll", scroll(5_000)).await.refused(400, "answer_too_large");
    assert_eq!(refused.body["status"]["retryable"], false);
    post(&router, "/quiver/v1/scroll", scroll(500)).await.ok();
}

#[tokio::test]
async fn routes_of_the_node_have_the_same_door() {
    async fn broken() -> String {
        panic!("the roof is on fire")
    }
    let extra = Router::new()
        .route("/join", get(|| async { ApiError::invalid("name", "is taken").into_response() }))
        .route("/broken", get(broken));
    let router = router_with(fake::state(1).0, extra);
    super::get(&router, "/join").await.refused(400, "invalid_input");
    let failed = super::get(&router, "/broken").await.refused(500, "internal");
    assert!(failed.error().contains("the roof is on fire"), "{}", failed.error());
    call(&router, "PUT", "/join", "").await.refused(405, "method_not_allowed");
}

#[tokio::test(start_paused = true)]
async fn routes_of_the_node_have_the_limits_of_the_door() {
    let large = || async { "x".repeat(1 << 20) };
    let extra = Router::new()
        .route("/join", axum::routing::post(|body: axum::body::Bytes| async move { body }))
        .route("/large", get(large).post(large));
    let limits = Limits { shown_bytes: 128 << 10, ..Limits::default() };
    let router = router_with(fake::state_within(limits).0, extra);
    let silent = Body::from_stream(futures::stream::pending::<Result<axum::body::Bytes, std::io::Error>>());
    let stalls = Request::builder().method("POST").uri("/join").body(silent).unwrap();
    send(&router, stalls).await.refused(408, "body_incomplete");
    call(&router, "POST", "/join", &"x".repeat(256 << 10)).await.refused(503, "memory_budget");
    call(&router, "POST", "/join", "{}").await.ok();
    super::get(&router, "/large").await.refused(400, "answer_too_large");
    call(&router, "POST", "/large", "").await.ok();
    let _planted = plant(Mutant::LeavesRoutesUnlimited);
    call(&router, "POST", "/join", &"x".repeat(256 << 10)).await.ok();
    super::get(&router, "/large").await.ok();
}

#[tokio::test]
async fn there_are_so_many_collections_and_no_more() {
    let (state, _) = fake::state_within(Limits { collections: 2, ..Limits::default() });
    let router = router(state);
    let create = async |name: &str| post(&router, "/collections", json!({"name": name, "vector_size": 1})).await;
    assert_eq!(create("first").await.status, 201);
    assert_eq!(create("second").await.status, 201);
    let refused = create("third").await.refused(400, "limit_exceeded");
    assert_eq!((refused.detail("limit"), refused.detail("allowed")), (&json!("max_collections"), &json!(2)));
    create("first").await.ok();
    call(&router, "DELETE", "/collections/first", "").await.ok();
    assert_eq!(create("third").await.status, 201);
    let _planted = plant(Mutant::CollectsWithoutEnd);
    assert_eq!(create("fourth").await.status, 201, "the bug is not planted");
}

#[tokio::test]
async fn headers_beside_an_error_stay() {
    let (router, _) = docs().await;
    let request = |method| {
        Request::builder().method(method).uri("/search").header("host", "localhost").body(Body::empty()).unwrap()
    };
    let response = router.clone().oneshot(request("PATCH")).await.unwrap();
    assert_eq!(response.headers()["allow"], "POST");
    assert_eq!(response.headers()["content-type"], "application/json");
    send(&router, request("PATCH")).await.refused(405, "method_not_allowed");
}

#[tokio::test]
async fn a_huge_body_is_answered_over_a_real_connection() {
    let (router, _) = docs().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/vectors", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let body = format!(r#"{{"collection":"docs","vectors":[],"x":"{}"}}"#, "a".repeat(3 << 19));
    let sent =
        reqwest::Client::new().post(url).header("content-type", "application/json").body(body).send().await.unwrap();
    assert_eq!(sent.status().as_u16(), 413);
    assert!(sent.headers().contains_key("x-request-id"));
    assert!(sent.text().await.unwrap().contains("body_too_large"));
    server.abort();
}

/// A request of each kind that reads no query string.
#[tokio::test]
async fn what_no_handler_would_read_is_refused() {
    let (router, _) = docs().await;
    let requests = [
        ("POST", "/search"),
        ("POST", "/vectors"),
        ("DELETE", "/vectors"),
        ("POST", "/quiver/v1/search/batch"),
        ("POST", "/quiver/v1/scroll"),
        ("POST", "/quiver/v1/count"),
        ("GET", "/collections"),
        ("POST", "/collections"),
        ("GET", "/collections/docs"),
        ("DELETE", "/collections/docs"),
        ("GET", "/health"),
        ("GET", "/stats"),
        ("GET", "/cluster/status"),
        ("GET", "/cluster/nodes"),
        ("GET", "/quiver/v1/shards/0"),
        ("PUT", "/quiver/v1/timings"),
        ("GET", "/quiver/v1/operations"),
    ];
    for (method, path) in requests {
        let asked = format!("{path}?consistency=all");
        let refused = call(&router, method, &asked, "").await;
        assert!(refused.refused(400, "invalid_input").error().contains("query string"), "{method} {path}");
    }
    super::get(&router, "/collections/docs?").await.ok();
    super::get(&router, "/vectors/docs/1?consistency=all").await.refused(404, "point_not_found");
    super::get(&router, "/vectors/docs/1?bogus=1").await.refused(400, "invalid_input");
}

#[tokio::test]
async fn a_point_is_shown_and_deleted_by_its_id_also_by_a_uuid_without_letters() {
    let (router, _) = docs().await;
    for id in ["00000000000000000000000000000001", "12345678123456781234567812345678"] {
        let point = json!({"id": id, "vector": [1, 0, 0]});
        post(&router, "/vectors", json!({"collection": "docs", "vectors": [point]})).await.ok();
        let found = super::get(&router, &format!("/vectors/docs/{id}")).await.ok();
        assert_eq!(found.body["id"].as_str().unwrap().replace('-', ""), id);
        let path = format!("/vectors/docs/{id}");
        let unknown = format!("{path}?bogus=1");
        call(&router, "DELETE", &unknown, "").await.refused(400, "invalid_input");
        for (query, deleted) in [("?consistency=all", 1), ("", 0)] {
            let gone = call(&router, "DELETE", &format!("{path}{query}"), "").await.ok();
            assert_eq!(gone.body["deleted"], deleted);
        }
        super::get(&router, &path).await.refused(404, "point_not_found");
    }
    super::get(&router, "/vectors/docs/1").await.refused(404, "point_not_found");
    call(&router, "DELETE", "/vectors/docs/one", "").await.refused(400, "invalid_input");
}

/// However long a thing is that a client sends, and wherever it stands, it does not come back.
#[tokio::test]
async fn who_sends_much_does_not_get_it_back() {
    let (router, _) = docs().await;
    // Of two bytes each, so that a cut in the middle of one shows; and not for where only ASCII may stand.
    let (long, letters) = ("é".repeat(30_000), "y".repeat(60_000));
    let json = |members: serde_json::Value| ("POST", "/search".to_owned(), vec![], members.to_string());
    let mut requests = vec![
        json(json!({"collection": long, "vector": [1, 0, 0]})),
        json(json!({"collection": "docs", "vector": [1, 0, 0], &long: 1})),
        json(json!({"collection": "docs", "vector": long})),
        json(json!({"collection": "docs", "vector": [1, 0, 0], "consistency": long})),
        json(json!({"collection": "docs", "vector": [1, 0, 0], "filter": {"must": [{"key": "a", &long: 1}]}})),
        ("POST", "/collections".to_owned(), vec![], json!({"name": long, "vector_size": 2}).to_string()),
    ];
    for path in [
        "/{}",
        "/collections/{}",
        "/vectors/{}/1",
        "/vectors/docs/{}",
        "/vectors/docs/1?consistency={}",
        "/cluster/nodes/{}",
        "/quiver/v1/operations/{}",
        "/quiver/v1/shards/{}",
        "/vectors/docs/1?{}=1",
        "/health?{}",
    ] {
        let path = path.replace("{}", &letters);
        requests.extend(["GET", "PUT", "DELETE"].map(|method| (method, path.clone(), vec![], String::new())));
    }
    for header in ["host", "origin", "content-type", "content-encoding", "transfer-encoding", "sec-fetch-site"] {
        requests.push(("POST", "/search".to_owned(), vec![(header, letters.clone())], "{}".to_owned()));
    }
    for (method, path, headers, body) in requests {
        let mut request = Request::builder().method(method).uri(&path);
        for (name, value) in &headers {
            request = request.header(*name, value);
        }
        let told = send(&router, request.body(Body::from(body)).unwrap()).await;
        let (status, length) = (told.status, told.body.to_string().len());
        let shown: String = path.chars().take(40).collect();
        assert!(
            status.is_client_error() && length < 8_000,
            "{method} {shown} {headers:.40?}: {status}, {length} bytes"
        );
    }
    let unknown = super::get(&router, &format!("/{letters}")).await.refused(404, "path_not_found");
    assert_eq!(unknown.detail("path").as_str().unwrap().chars().count(), 201, "200, and a sign that there was more");
    let method = "Y".repeat(60_000);
    assert!(call(&router, &method, "/health", "").await.refused(405, "method_not_allowed").error().len() < 1_000);
}
