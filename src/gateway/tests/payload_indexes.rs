//! Indexes on payload fields: Qdrant's requests and answers, and what is refused.

use serde_json::json;

use super::*;

async fn index(router: &Router, query: &str, body: Value) -> Answered {
    call(router, "PUT", &format!("/collections/docs/index{query}"), &body.to_string()).await
}

#[tokio::test(start_paused = true)]
async fn an_index_is_made_shown_and_dropped() {
    let (router, _) = docs().await;
    let points = json!([
        {"id": 1, "vector": [1, 0, 0], "payload": {"lang": "en", "year": 1999}},
        {"id": 2, "vector": [0, 1, 0], "payload": {"lang": "de"}},
        {"id": 3, "vector": [0, 0, 1]}
    ]);
    post(&router, "/vectors", json!({"collection": "docs", "vectors": points})).await.ok();
    let made = index(&router, "?wait=true", json!({"field_name": "lang", "field_schema": "keyword"})).await.ok();
    assert_eq!((&made.body["status"], &made.body["result"]["status"]), (&json!("ok"), &json!("completed")));
    let first = made.body["result"]["operation_id"].as_u64().unwrap();
    let object = json!({"type": "integer", "lookup": true, "range": true, "is_principal": false, "on_disk": null});
    let made = index(&router, "", json!({"field_name": "year", "field_schema": object})).await.ok();
    assert_eq!(made.body["result"]["status"], "acknowledged", "without wait, as in Qdrant");
    assert!(made.body["result"]["operation_id"].as_u64().unwrap() > first);
    // Nobody waits for the shards to be told: it is done a moment later.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;

    let schema = json!({"lang": {"data_type": "keyword", "points": 2}, "year": {"data_type": "integer", "points": 1}});
    let shown = get(&router, "/collections/docs").await.ok();
    assert_eq!(shown.body["result"]["payload_schema"], schema);
    assert_eq!((&shown.body["result"]["status"], &shown.body["result"]["points_count"]), (&json!("green"), &json!(3)));
    let params = json!({"vectors": {"size": 3, "distance": "Cosine"}, "shard_number": 1, "replication_factor": 1,
                        "consistency_level": "quorum"});
    assert_eq!(shown.body["result"]["config"]["params"], params);
    assert_eq!(get(&router, "/collections").await.ok().body["result"]["collections"][0]["payload_schema"], schema);

    let count = json!({"collection": "docs", "filter": {"must": [{"key": "lang", "match": {"value": "de"}}]}});
    assert_eq!(post(&router, "/quiver/v1/count", count.clone()).await.ok().body["count"], 1);
    let dropped = call(&router, "DELETE", "/collections/docs/index/lang?wait=true&ordering=strong", "").await.ok();
    assert_eq!(dropped.body["result"]["status"], "completed");
    let schema = get(&router, "/collections/docs").await.ok().body["result"]["payload_schema"].clone();
    assert_eq!(schema, json!({"year": {"data_type": "integer", "points": 1}}));
    assert_eq!(post(&router, "/quiver/v1/count", count).await.ok().body["count"], 1);
    assert_eq!(
        (&dropped.body["result"]["existed"], dropped.body["result"]["warnings"].as_array()),
        (&json!(true), None)
    );
    let again = call(&router, "DELETE", "/collections/docs/index/lang?wait=true", "").await.ok();
    assert_eq!(again.body["result"]["existed"], false);
    assert!(again.body["result"]["warnings"][0].as_str().unwrap().contains("no index on `lang`"));
    let useless = json!({"field_name": "lang", "field_schema": "Datetime"});
    let made = index(&router, "?wait=true", useless).await.ok();
    assert!(made.body["result"]["warnings"][0].as_str().unwrap().contains("no point of 3 is known"), "{}", made.body);
}

#[tokio::test]
async fn named_vectors_are_shown_by_name() {
    let (router, _) = docs().await;
    post(&router, "/collections", json!({"name": "named", "vectors": {"a": {"size": 2, "distance": "Dot"}}})).await;
    let shown = get(&router, "/collections/named").await.ok();
    assert_eq!(shown.body["result"]["config"]["params"]["vectors"], json!({"a": {"size": 2, "distance": "Dot"}}));
    let index = json!({"type": "hnsw", "m": 16, "ef_construct": 100});
    let whole = json!({"a": {"size": 2, "distance": "dot", "index": index, "quantization": "int8"}});
    assert_eq!(shown.body["result"]["config"]["vectors"], whole);
    let one = json!({"name": "one", "vectors": {"size": 2, "distance": "Dot", "quantization": null}});
    assert_eq!(post(&router, "/collections", one).await.status, StatusCode::CREATED);
    let shown = get(&router, "/collections/one").await.ok();
    assert_eq!(shown.body["result"]["config"]["vectors"][""]["quantization"], json!(null));
    assert_eq!(shown.body["result"]["payload_schema"], json!({}));
    get(&router, "/collections/nothing").await.refused(404, "collection_not_found");
}

#[tokio::test]
async fn what_is_not_supported_is_refused_by_name() {
    let (router, _) = docs().await;
    for (schema, status, field, word) in [
        (json!("geo"), 501, "field_schema", "geo"),
        (json!({"type": "text", "tokenizer": "word"}), 501, "field_schema.type", "text"),
        (json!({"type": "keyword", "on_disk": true}), 501, "field_schema.on_disk", "true"),
        (json!({"type": "keyword", "is_tenant": true}), 501, "field_schema.is_tenant", "true"),
        (json!({"type": "integer", "lookup": false}), 501, "field_schema.lookup", "false"),
        (json!({"type": "datetime", "is_principal": true}), 501, "field_schema.is_principal", "true"),
        (json!({"type": "bool", "lookup": true}), 400, "field_schema.lookup", "bool"),
        (json!({"type": "keyword", "colour": 1}), 400, "field_schema.colour", "no such option"),
        (json!({"type": "keyword", "on_disk": 1}), 400, "field_schema.on_disk", "true or false"),
        (json!("words"), 400, "field_schema", "words"),
        (json!({}), 400, "field_schema.type", "keyword"),
        (json!(null), 400, "field_schema", "missing"),
        (json!(7), 400, "field_schema", "keyword"),
    ] {
        let code = if status == 501 { "not_supported" } else { "invalid_input" };
        let refused = index(&router, "", json!({"field_name": "a", "field_schema": schema})).await;
        let refused = refused.refused(status, code);
        assert_eq!(refused.detail("field"), field, "{schema}");
        assert!(refused.error().contains(word), "{}", refused.error());
    }
    assert_eq!(get(&router, "/collections/docs").await.ok().body["result"]["payload_schema"], json!({}));
}

#[tokio::test]
async fn bad_requests_for_an_index_are_refused() {
    let (router, _) = docs().await;
    let keyword = |field: &str| json!({"field_name": field, "field_schema": "keyword"});
    for bad in ["", "a[", "a..b"] {
        let refused = index(&router, "", keyword(bad)).await.refused(400, "invalid_input");
        assert_eq!(refused.detail("field"), "field_name");
    }
    index(&router, "", json!({"field": "a", "field_schema": "keyword"})).await.refused(400, "unknown_field");
    index(&router, "?wait=perhaps", keyword("a")).await.refused(400, "invalid_input");
    index(&router, "?soon=true", keyword("a")).await.refused(400, "invalid_input");
    call(&router, "PUT", "/collections/nothing/index", &keyword("a").to_string())
        .await
        .refused(404, "collection_not_found");
    call(&router, "DELETE", "/collections/nothing/index/a", "").await.refused(404, "collection_not_found");
    call(&router, "POST", "/collections/docs/index", "{}").await.refused(405, "method_not_allowed");
    for number in 0..64 {
        index(&router, "", keyword(&format!("f{number}"))).await.ok();
    }
    let refused = index(&router, "", keyword("one.more")).await.refused(400, "invalid_input");
    assert!(refused.error().contains("64 indexed fields"), "{}", refused.error());
    index(&router, "", json!({"field_name": "f7", "field_schema": "uuid"})).await.ok();
}
