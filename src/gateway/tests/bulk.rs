//! The bulk ways in: many searches in one request, and points in their compact form.

use axum::http::header;
use serde_json::json;

use super::*;
use crate::api::{POINTS_CONTENT_TYPE, PointId, PointsHead, encode_points};

const BATCH: &str = "/quiver/v1/search/batch";

async fn filled() -> (Router, std::sync::Arc<FakeNode>) {
    let (router, cluster) = docs().await;
    let points: Vec<Value> =
        (1..=9).map(|id| json!({"id": id, "vector": [1, id, 0], "payload": {"odd": id % 2 == 1}})).collect();
    post(&router, "/vectors", json!({"collection": "docs", "vectors": points})).await.ok();
    (router, cluster)
}

#[tokio::test]
async fn a_batch_answers_each_search_as_it_would_be_answered_alone() {
    let (router, _) = filled().await;
    let searches = [
        json!({"vector": [1, 0, 0], "limit": 3}),
        json!({"vector": [0, 1, 0], "limit": 2, "offset": 1, "with_payload": false}),
        json!({"id": 5, "limit": 4, "with_vector": true}),
        json!({"vector": [0, 1, 0], "filter": {"must": {"key": "odd", "match": {"value": true}}}}),
        json!({"id": 5, "offset": 2, "limit": 1}),
        json!({"vector": [1, 0, 0], "score_threshold": 0.6}),
        json!({"vector": [1, 0, 0], "limit": 3}),
    ];
    let batch =
        post(&router, BATCH, json!({"collection": "docs", "searches": searches, "consistency": "all"})).await.ok();
    assert_eq!((&batch.body["consistency"], &batch.body["shards"][0]["served_by"]), (&json!("all"), &json!("node1")));
    assert_eq!(batch.body["searches"].as_array().unwrap().len(), searches.len());
    for (place, mut search) in searches.into_iter().enumerate() {
        search["collection"] = json!("docs");
        let alone = post(&router, "/search", search).await.ok();
        assert_eq!(batch.body["searches"][place]["results"], alone.body["results"], "search {place}");
    }
}

#[tokio::test]
async fn a_batch_says_which_search_is_wrong() {
    let (router, _) = filled().await;
    let good = json!({"vector": [1, 0, 0]});
    for (bad, status, code) in [
        (json!({"vector": [1, 0]}), 400, "invalid_input"),
        (json!({"vector": [0, 0, 0]}), 400, "invalid_input"),
        (json!({}), 400, "invalid_input"),
        (json!({"vector": [1, 0, 0], "id": 1}), 400, "invalid_input"),
        (json!({"vector": [1, 0, 0], "using": "title"}), 400, "invalid_input"),
        (json!({"vector": [1, 0, 0], "filter": {"must": 7}}), 400, "invalid_input"),
        (json!({"vector": [1, 0, 0], "limit": 0}), 400, "invalid_input"),
        (json!({"vector": [1, 0, 0], "colour": 1}), 400, "unknown_field"),
    ] {
        let body = json!({"collection": "docs", "searches": [good, good, bad]});
        let refused = post(&router, BATCH, body).await.refused(status, code);
        assert_eq!(refused.detail("position"), &json!(2), "{}", refused.body);
    }
    let long = json!({"collection": "docs", "searches": [good, {"vector": [1, 0, 0], "limit": 10_001}]});
    let refused = post(&router, BATCH, long).await.refused(400, "limit_exceeded");
    assert_eq!(refused.detail("field"), "searches[1].limit");
    let absent = json!({"collection": "docs", "searches": [good, {"id": 77}]});
    let refused = post(&router, BATCH, absent).await.refused(404, "point_not_found");
    assert_eq!((refused.detail("id"), refused.detail("position")), (&json!(77), &json!(1)));
}

#[tokio::test]
async fn a_batch_has_limits_of_its_own() {
    let (router, _) = filled().await;
    let searches = |count: usize, limit: usize| {
        let searches: Vec<Value> = (0..count).map(|_| json!({"vector": [1, 0, 0], "limit": limit})).collect();
        json!({"collection": "docs", "searches": searches})
    };
    post(&router, BATCH, searches(0, 1)).await.refused(400, "invalid_input");
    post(&router, BATCH, searches(1_000, 1)).await.ok();
    post(&router, BATCH, searches(100, 10)).await.ok();
    let many = post(&router, BATCH, searches(1_001, 1)).await.refused(400, "limit_exceeded");
    assert_eq!((many.detail("limit"), many.detail("allowed")), (&json!("max_searches"), &json!(1_000)));
    let much = post(&router, BATCH, searches(3, 400)).await.refused(400, "limit_exceeded");
    assert_eq!((much.detail("limit"), much.detail("value")), (&json!("max_limit"), &json!(1_200)));
}

async fn write(router: &Router, body: Vec<u8>) -> Answered {
    let request = Request::builder().method("POST").uri("/vectors").header(header::CONTENT_TYPE, POINTS_CONTENT_TYPE);
    send(router, request.body(Body::from(body)).unwrap()).await
}

fn head(request_id: Option<u128>) -> PointsHead {
    let request_id = request_id.map(uuid::Uuid::from_u128);
    PointsHead { collection: "docs".to_owned(), using: None, consistency: None, request_id, timeout_ms: None }
}

fn body(head: &PointsHead, points: &[(u64, [f32; 3], &str)]) -> Vec<u8> {
    encode_points(head, points.iter().map(|(id, vector, text)| (PointId::Num(*id), vector.as_slice(), *text))).unwrap()
}

#[tokio::test]
async fn compact_points_are_written_as_json_points_are() {
    let (router, _) = docs().await;
    let sent = body(&head(Some(7)), &[(1, [1.0, 0.5, 0.0], r#"{"lang":"ä"}"#), (2, [0.0, 1.0, 0.0], "")]);
    let written = write(&router, sent.clone()).await.ok();
    assert_eq!((&written.body["upserted"], &written.body["status"]), (&json!(2), &json!("completed")));
    let found = get(&router, "/vectors/docs/1").await.ok();
    assert_eq!((&found.body["vector"], &found.body["payload"]), (&json!([1.0, 0.5, 0.0]), &json!({"lang": "ä"})));
    assert_eq!(get(&router, "/vectors/docs/2").await.ok().body["payload"], json!({}));
    let again = write(&router, sent).await.ok();
    assert_eq!(again.body["results"], written.body["results"]);
    let other = body(&head(Some(7)), &[(3, [1.0, 0.0, 0.0], "")]);
    write(&router, other).await.refused(422, "request_id_reused");
}

#[tokio::test]
async fn compact_points_meet_the_same_rules_and_nothing_of_a_bad_body_is_written() {
    let (router, _) = docs().await;
    let good = (1, [1.0, 0.0, 0.0], "");
    for (bad, field) in [
        ((2, [f32::NAN, 0.0, 0.0], ""), "vector"),
        ((2, [0.0, 0.0, 0.0], ""), "vector"),
        ((1, [1.0, 0.0, 0.0], ""), "id"),
        ((2, [1.0, 0.0, 0.0], "[]"), "payload"),
        ((2, [1.0, 0.0, 0.0], r#"{"a":}"#), "payload"),
        ((2, [1.0, 0.0, 0.0], r#"{"a":1e999}"#), "payload"),
    ] {
        let refused = write(&router, body(&head(None), &[good, bad])).await.refused(400, "invalid_input");
        assert_eq!(
            (refused.detail("position"), refused.detail("field")),
            (&json!(1), &json!(field)),
            "{}",
            refused.body
        );
    }
    let whole = body(&head(None), &[good, (2, [1.0, 0.0, 0.0], "{}")]);
    for cut in 0..whole.len() {
        write(&router, whole[..cut].to_vec()).await.refused(400, "invalid_input");
    }
    write(&router, body(&head(None), &[])).await.refused(400, "invalid_input");
    let absent = PointsHead { collection: "none".to_owned(), ..head(None) };
    write(&router, body(&absent, &[good])).await.refused(404, "collection_not_found");
    let named = PointsHead { using: Some("title".to_owned()), ..head(None) };
    write(&router, body(&named, &[good])).await.refused(400, "invalid_input");
    assert_eq!(post(&router, "/quiver/v1/count", json!({"collection": "docs"})).await.ok().body["count"], 0);
}

#[tokio::test]
async fn a_payload_comes_back_as_it_was_sent_whatever_its_keys_are_called() {
    let (router, _) = docs().await;
    for (place, key) in ["$serde_json::private::RawValue", "$serde_json::private::Number"].into_iter().enumerate() {
        for (id, payload) in [
            json!({"a": {key: "x"}}),
            json!({"a": {"y": 2, key: "x"}}),
            json!({"a": {key: "[1,2,3]"}, "b": [{key: {"z": 1}}]}),
            json!({key: "1"}),
        ]
        .into_iter()
        .enumerate()
        {
            let id = (place * 10 + id) as u64;
            // With the key first, as some client may write it: a map of values would sort it there anyway.
            let text =
                format!(r#"{{"collection":"docs","vectors":[{{"id":{id},"vector":[1,0,0],"payload":{payload}}}]}}"#);
            call(&router, "POST", "/vectors", &text).await.ok();
            assert_eq!(get(&router, &format!("/vectors/docs/{id}")).await.ok().body["payload"], payload);
            let compact = body(&head(None), &[(id + 100, [1.0, 0.0, 0.0], &payload.to_string())]);
            write(&router, compact).await.ok();
            assert_eq!(get(&router, &format!("/vectors/docs/{}", id + 100)).await.ok().body["payload"], payload);
        }
    }
    let found = post(&router, "/search", json!({"collection": "docs", "vector": [1, 0, 0], "limit": 100})).await.ok();
    assert_eq!(found.body["results"].as_array().map(Vec::len), Some(16));
}
