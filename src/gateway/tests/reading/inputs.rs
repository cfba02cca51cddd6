//! Bad input: each is refused with a 4xx that names the item and the field, and nothing is written.

use serde_json::json;

use crate::gateway::tests::*;

/// Sends one bad write among good points and checks that none of them was written.
async fn bad_write(body: &str, status: u16, code: &str) -> Answered {
    let (router, _) = docs().await;
    let refused = call(&router, "POST", "/vectors", body).await.refused(status, code);
    let counted = post(&router, "/quiver/v1/count", json!({"collection": "docs"})).await.ok();
    assert_eq!(counted.body["count"], 0, "something of {body} was written");
    assert_eq!(refused.body["status"]["committed"], "no");
    refused
}

fn batch(second: &str) -> String {
    format!(r#"{{"collection":"docs","vectors":[{{"id":1,"vector":[1,0,0]}},{second}]}}"#)
}

#[tokio::test]
async fn bad_points_are_named_by_position_and_field() {
    let cases = [
        (r#"{"id":2,"vector":[1,0]}"#, "vector", "2 components"),
        (r#"{"id":2,"vector":[1,0,1e39]}"#, "vectors[1].vector[2]", "out of range"),
        (r#"{"id":2,"vector":[0,0,0]}"#, "vector", "zero"),
        (r#"{"id":2,"vector":{"title":[1,0,0]}}"#, "vector.title", "title"),
        (r#"{"id":1,"vector":[1,0,0]}"#, "id", "twice"),
        (r#"{"id":"zz","vector":[1,0,0]}"#, "vectors[1].id", "UUID"),
        (r#"{"id":-1,"vector":[1,0,0]}"#, "vectors[1].id", "-1"),
        (r#"{"id":2,"vector":[1,0,"x"]}"#, "vectors[1].vector[2]", "the text \"x\""),
        (r#"{"id":2,"vector":[1,0,null]}"#, "vectors[1].vector[2]", "null"),
        (r#"{"id":2}"#, "vectors[1]", "missing field `vector`"),
        (r#"{"id":2,"vector":[1,0,0],"payload":[]}"#, "vectors[1].payload", "an object is wanted"),
        (r#"{"id":2,"vector":[1,0,0],"if_version":-1}"#, "vectors[1].if_version", "-1"),
    ];
    for (point, field, word) in cases {
        let refused = bad_write(&batch(point), 400, "invalid_input").await;
        let named = refused.detail("field").as_str().unwrap();
        assert!(named.starts_with(field), "{point}: {}", refused.body);
        assert_eq!(refused.detail("position"), 1, "{point}: {}", refused.body);
        assert!(refused.error().contains(word), "{point}: {}", refused.error());
    }
}

#[tokio::test]
async fn unknown_members_are_named() {
    let refused = bad_write(&batch(r#"{"id":2,"vector":[1,0,0],"metadata":{}}"#), 400, "unknown_field").await;
    assert!(refused.error().contains("`metadata`"), "{}", refused.error());
    assert_eq!(refused.detail("position"), 1);
    let refused = bad_write(r#"{"collection":"docs","points":[]}"#, 400, "unknown_field").await;
    assert!(refused.error().contains("`points`"), "{}", refused.error());
}

#[tokio::test]
async fn malformed_json_is_located() {
    let refused =
        bad_write("{\"collection\":\"docs\",\n\"vectors\":[{\"id\":1,\"vector\":[1,NaN]}]}", 400, "malformed_json")
            .await;
    assert_eq!(refused.detail("line"), 2);
    assert!(refused.error().contains("line 2 column"), "{}", refused.error());
    assert!(refused.detail("field").as_str().unwrap().starts_with("vectors[0].vector"), "{}", refused.body);
    bad_write("[\"docs\",[{\"id\":1,\"vector\":[1,0,0]}]]", 400, "invalid_input").await;
    for body in ["", "{", "{\"collection\"", "\u{1F600}", "{\"collection\":\"docs\",\"vectors\":[]}{}"] {
        bad_write(body, 400, "malformed_json").await;
    }
}

#[tokio::test]
async fn deep_json_is_refused() {
    let deep = format!(r#"{{"id":2,"vector":[1,0,0],"payload":{{"a":{}1{}}}}}"#, "[".repeat(200), "]".repeat(200));
    let refused = bad_write(&batch(&deep), 400, "invalid_input").await;
    assert!(refused.error().contains("127 deep") && refused.error().len() < 300, "{}", refused.error());
    let deep = format!(r#"{{"id":2,"vector":[1,0,0],"payload":{{"a":{}1{}}}}}"#, "[".repeat(80), "]".repeat(80));
    bad_write(&batch(&deep), 400, "invalid_input").await;
}

#[tokio::test]
async fn empty_and_oversized_batches_are_refused() {
    bad_write(r#"{"collection":"docs","vectors":[]}"#, 400, "invalid_input").await;
    let many: Vec<Value> = (0..101).map(|id| json!({"id": id, "vector": [1, 0, 0]})).collect();
    let refused = bad_write(&json!({"collection": "docs", "vectors": many}).to_string(), 400, "limit_exceeded").await;
    assert_eq!(
        (refused.detail("limit"), refused.detail("allowed"), refused.detail("value")),
        (&json!("max_batch"), &json!(100), &json!(101))
    );
    let huge = format!(r#"{{"collection":"docs","vectors":[],"x":"{}"}}"#, "a".repeat(1 << 20));
    let refused = bad_write(&huge, 413, "body_too_large").await;
    assert_eq!(refused.detail("allowed"), 1 << 20);
}

#[tokio::test]
async fn bad_names_and_ids_of_requests_are_refused() {
    let body =
        json!({"collection": "docs", "vectors": [{"id": 1, "vector": [1, 0, 0]}], "request_id": "seven"}).to_string();
    let refused = bad_write(&body, 400, "invalid_input").await;
    assert_eq!(refused.detail("field"), "request_id");
    let (router, _) = docs().await;
    get(&router, "/vectors/docs/seven").await.refused(400, "invalid_input");
    get(&router, "/vectors/docs/1?consistency=most").await.refused(400, "invalid_input");
    get(&router, "/vectors/docs/1?colour=red").await.refused(400, "invalid_input");
    get(&router, "/vectors/docs/%ff").await.refused(400, "invalid_input");
    get(&router, "/vectors/nowhere/1").await.refused(404, "collection_not_found");
}

#[tokio::test]
async fn bad_searches_are_refused() {
    let (router, _) = docs().await;
    let filter = |depth: usize| (0..depth).fold(json!({"must": []}), |inner, _| json!({"must": [inner]}));
    let cases = [
        (json!({"vector": [1, 0, 0], "limit": 0}), 400, "invalid_input", "limit"),
        (json!({"vector": [1, 0, 0], "limit": 1001}), 400, "limit_exceeded", "limit"),
        (json!({"vector": [1, 0, 0], "limit": 900, "offset": 101}), 400, "limit_exceeded", "offset + limit"),
        (json!({"vector": [1, 0, 0], "offset": u64::MAX}), 400, "limit_exceeded", "offset + limit"),
        (json!({"vector": [1, 0]}), 400, "invalid_input", "vector"),
        (json!({"vector": [0, 0, 0]}), 400, "invalid_input", "vector"),
        (json!({"vector": [1, 0, 0], "id": 1}), 400, "invalid_input", "id"),
        (json!({}), 400, "invalid_input", "vector"),
        (json!({"vector": [1, 0, 0], "using": "title"}), 400, "invalid_input", "using"),
        (json!({"vector": [1, 0, 0], "filter": filter(40)}), 400, "invalid_input", "filter"),
        (
            json!({"vector": [1, 0, 0], "filter": {"must": [{"key": "a", "colour": 1}]}}),
            400,
            "invalid_input",
            "filter.must[0]",
        ),
        (json!({"vector": [1, 0, 0], "params": {"ef": 0}}), 400, "invalid_input", "params.ef"),
        (json!({"vector": [1, 0, 0], "params": {"quantization": {}}}), 400, "unknown_field", "params"),
        (json!({"vector": [1, 0, 0], "consistency": 0}), 400, "invalid_input", "consistency"),
        (json!({"vector": [1, 0, 0], "timeout_ms": 0}), 400, "invalid_input", "timeout_ms"),
        (json!({"vector": [1, 0, 0], "timeout_ms": 9_999_999}), 400, "limit_exceeded", "timeout_ms"),
        (json!({"vector": [1, 0, 0], "with_payload": 7}), 400, "invalid_input", "with_payload"),
    ];
    for (mut body, status, code, field) in cases {
        body["collection"] = json!("docs");
        let refused = post(&router, "/search", body.clone()).await.refused(status, code);
        assert!(refused.detail("field").as_str().unwrap().starts_with(field), "{body}: {}", refused.body);
    }
    post(&router, "/search", json!({"collection": "nowhere", "vector": [1]}))
        .await
        .refused(404, "collection_not_found");
}

#[tokio::test]
async fn bad_deletions_are_refused() {
    let (router, _) = docs().await;
    for body in [
        r#"{"collection":"docs"}"#,
        r#"{"collection":"docs","ids":[1],"filter":{}}"#,
        r#"{"collection":"docs","ids":[]}"#,
    ] {
        call(&router, "DELETE", "/vectors", body).await.refused(400, "invalid_input");
    }
    post(&router, "/vectors", json!({"collection": "docs", "vectors": [{"id": 1, "vector": [1, 0, 0]}]})).await.ok();
    for everything in [json!({}), json!({"should": [], "must": null}), json!({"must": [{}]})] {
        let body = json!({"collection": "docs", "filter": everything});
        let refused = call(&router, "DELETE", "/vectors", &body.to_string()).await.refused(400, "invalid_input");
        assert!(refused.error().contains("\"all\": true"), "{}", refused.error());
    }
    let meant = r#"{"collection":"docs","filter":{},"all":true}"#;
    assert_eq!(call(&router, "DELETE", "/vectors", meant).await.ok().body["deleted"], 1);
    call(&router, "DELETE", "/vectors", r#"{"collection":"docs","ids":[1],"all":true}"#)
        .await
        .refused(400, "invalid_input");
    let refused = call(&router, "DELETE", "/vectors", r#"{"collection":"docs","ids":[1,"x"]}"#)
        .await
        .refused(400, "invalid_input");
    assert_eq!((refused.detail("field"), refused.detail("position")), (&json!("ids[1]"), &json!(1)));
}

#[tokio::test]
async fn bad_collections_are_refused() {
    let (router, _) = docs().await;
    let cases = [
        (json!({"name": ""}), 400, "invalid_input"),
        (json!({"name": "a b"}), 400, "invalid_input"),
        (json!({"name": "x", "vector_size": 0}), 400, "invalid_input"),
        (json!({"name": "x", "vector_size": 65_536}), 400, "invalid_input"),
        (json!({"name": "x", "distance": "hamming"}), 400, "invalid_input"),
        (json!({"name": "x", "vectors": {}}), 400, "invalid_input"),
        (json!({"name": "x", "shards": 3}), 400, "unknown_field"),
        (json!({"name": "x", "quantization": {"scalar": {}}}), 400, "invalid_input"),
        (json!({"name": "x", "quantization": "int8", "distance": "manhattan"}), 400, "invalid_input"),
        (json!({"name": "x", "index": {"type": "ivf"}}), 400, "invalid_input"),
        (json!({"name": "x", "index": {"m": 3}}), 400, "invalid_input"),
        (json!({"name": "x", "index": {"m": 32, "ef_construct": 31}}), 400, "invalid_input"),
        (json!({"name": "docs", "vector_size": 3, "index": "exact"}), 409, "collection_exists"),
        (json!({"name": "docs", "vector_size": 3, "quantization": null}), 409, "collection_exists"),
        (json!({"name": "docs", "vector_size": 4}), 409, "collection_exists"),
    ];
    for (body, status, code) in cases {
        post(&router, "/collections", body).await.refused(status, code);
    }
    let again = post(
        &router,
        "/collections",
        json!({"name": "docs", "vector_size": 3, "quantization": "int8", "index": "hnsw"}),
    )
    .await
    .ok();
    assert_eq!(again.body["created"], false);
}

#[tokio::test]
async fn wrong_types_paths_and_methods_have_our_body() {
    let (router, _) = docs().await;
    let request = |kind| Request::builder().method("POST").uri("/search").header("content-type", kind);
    let refused = send(&router, request("application/x-www-form-urlencoded").body(Body::from("{}")).unwrap()).await;
    refused.refused(415, "unsupported_media_type");
    let zipped =
        request("application/json; charset=utf-8").header("content-encoding", "gzip").body(Body::from("{}")).unwrap();
    send(&router, zipped).await.refused(415, "unsupported_media_type");
    get(&router, "/nowhere").await.refused(404, "path_not_found");
    let refused = get(&router, "/search").await.refused(405, "method_not_allowed");
    assert!(refused.error().ends_with("does not take GET, only POST"), "{}", refused.error());
    call(&router, "PUT", "/vectors", "{}").await.refused(405, "method_not_allowed");
    call(&router, "DELETE", "/cluster/nodes/node4", "{}").await.refused(404, "node_not_found");
    call(&router, "POST", "/cluster/nodes", "{}").await.refused(400, "invalid_input");
}

#[tokio::test]
async fn a_request_id_is_kept_if_it_can_be_and_else_replaced() {
    let (router, _) = docs().await;
    let with = |id: &str| Request::builder().uri("/health").header("x-request-id", id).body(Body::empty()).unwrap();
    assert_eq!(send(&router, with("trace-7")).await.request_id, "trace-7");
    for bad in ["", "a b", &"x".repeat(129)] {
        let made = send(&router, with(bad)).await.request_id;
        assert!(made.parse::<uuid::Uuid>().is_ok(), "{bad:?} became {made}");
    }
}

#[tokio::test]
async fn names_that_no_collection_can_have_stay_at_the_door() {
    let (router, _) = docs().await;
    let long = "x".repeat(100_000);
    for bad in ["a b", ".hidden", long.as_str()] {
        let refused = post(&router, "/collections", json!({"name": bad, "vector_size": 3})).await;
        assert!(refused.refused(400, "invalid_input").body.to_string().len() < 600);
        let body = json!({"collection": bad, "vector": [1, 0, 0]});
        let refused = post(&router, "/search", body).await.refused(404, "collection_not_found");
        assert!(refused.body.to_string().len() < 600, "{bad:.9}: {}", refused.body);
    }
    call(&router, "DELETE", "/collections/a%20b", "").await.refused(400, "invalid_input");
}
