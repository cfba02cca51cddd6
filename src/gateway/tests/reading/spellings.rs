//! Words, members and numbers as clients write them: which are taken, and that an error repeats those that were written.

use serde_json::json;

use super::plain_words::{check_words, with};
use crate::gateway::tests::*;

#[tokio::test]
async fn words_are_read_in_any_letter_case_everywhere() {
    let (router, _) = docs().await;
    for (number, distance) in ["COSINE", "Dot", "L2", "Euclidean", "euclid", "MANHATTAN"].into_iter().enumerate() {
        let body = json!({"name": format!("c{number}"), "vector_size": 2, "distance": distance, "index": "Exact"});
        assert_eq!(post(&router, "/collections", body).await.status, StatusCode::CREATED, "{distance}");
    }
    for (number, level) in [json!("ONE"), json!("Majority"), json!("aLL"), json!(1), json!("2")].into_iter().enumerate()
    {
        let body = json!({"name": format!("l{number}"), "vector_size": 3, "consistency_level": level});
        assert_eq!(post(&router, "/collections", body).await.status, StatusCode::CREATED, "{level}");
        let body = json!({"collection": "docs", "consistency": level});
        post(&router, "/quiver/v1/count", body).await.ok();
    }
    let refused = post(&router, "/collections", json!({"name": "x", "distance": "hamming"})).await;
    let refused = refused.refused(400, "invalid_input");
    assert!(refused.error().contains("`cosine`") && refused.error().contains("`manhattan`"), "{}", refused.error());
    assert_eq!(refused.detail("field"), "distance");
}

#[tokio::test]
async fn a_member_is_named_as_the_client_wrote_it() {
    let (router, _) = docs().await;
    for (more, field) in [
        (json!({"vector_size": 0}), "vector_size"),
        (json!({"vector_size": 3, "index": {"m": 1}}), "index.m"),
        (json!({"vectors": {"size": 0}}), "vectors.size"),
        (json!({"vectors": {"title": {"size": 0}}}), "vectors.title.size"),
        (json!({"vectors": {"title": {"size": "many"}}}), "vectors.title.size"),
        (json!({"consistency_level": 0}), "consistency_level"),
    ] {
        let refused = post(&router, "/collections", with(json!({"name": "x"}), more.clone())).await;
        assert_eq!(refused.refused(400, "invalid_input").detail("field"), field, "{more}");
    }
}

#[tokio::test]
async fn limits_count_what_the_client_wrote() {
    let (router, _) = docs().await;
    let points: Vec<_> = (1..100).map(|id| json!({"id": id, "vector": [1, 0, id]})).collect();
    post(&router, "/vectors", json!({"collection": "docs", "vectors": points})).await.ok();
    // The limit is 1,000 here; each search by id gathers its own point too, which nobody wrote.
    let batch = |count: u64, limit: Value| {
        let searches: Vec<_> = (0..count).map(|at| json!({"id": at % 99 + 1, "limit": limit})).collect();
        json!({"collection": "docs", "searches": searches})
    };
    post(&router, "/quiver/v1/search/batch", batch(100, json!(null))).await.ok();
    let refused = post(&router, "/quiver/v1/search/batch", batch(100, json!(11))).await.refused(400, "limit_exceeded");
    assert!(refused.error().contains("of 100 searches` is 1100, more than"), "{}", refused.error());
    let refused = post(&router, "/search", json!({"collection": "docs", "id": 1, "limit": 1_000})).await;
    let refused = refused.refused(400, "limit_exceeded");
    assert_eq!((refused.detail("value"), refused.detail("allowed")), (&json!(1_000), &json!(999)));
}

#[tokio::test]
async fn the_head_of_a_compact_body_is_told_in_plain_words() {
    let (router, _) = docs().await;
    for head in [
        r#"{"collection":"docs","timeout_ms":"soon"}"#,
        r#"{"colour":1}"#,
        r#"{"collection""#,
        "7",
        r#"{"collection":"docs","request_id":7}"#,
    ] {
        let mut body = b"QVPT\x01\0\0\0".to_vec();
        [head.len() as u32, 0, 3].iter().for_each(|number| body.extend(number.to_le_bytes()));
        body.extend(head.as_bytes());
        let request = Request::builder().method("POST").uri("/vectors");
        let request = request.header("content-type", crate::api::POINTS_CONTENT_TYPE).body(Body::from(body)).unwrap();
        let refused = send(&router, request).await.refused(400, "invalid_input");
        assert_eq!(refused.detail("field"), "head");
        check_words(head, &refused);
    }
}
