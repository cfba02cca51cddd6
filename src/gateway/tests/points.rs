//! Points: written, read, searched, counted and deleted, as a client does.

use serde_json::json;

use super::*;
use crate::placement;
use crate::routing::rpc::Call;
use crate::routing::testing::Fault;

async fn filled() -> (Router, std::sync::Arc<FakeNode>) {
    let (router, node) = docs().await;
    let points = json!([
        {"id": 1, "vector": [1, 0, 0], "payload": {"lang": "en", "n": 1}},
        {"id": 2, "vector": [0.9, 0.1, 0], "payload": {"lang": "de", "n": 2}},
        {"id": "6f9619ff-8b86-d011-b42d-00cf4fc964ff", "vector": [0, 1, 0]},
    ]);
    let written = post(&router, "/vectors", json!({"collection": "docs", "vectors": points})).await.ok();
    assert_eq!(written.body["upserted"], 3);
    assert_eq!(written.body["results"][0], json!({"id": 1, "shard": 0, "version": 2}));
    (router, node)
}

#[tokio::test]
async fn a_point_is_written_found_and_deleted() {
    let (router, _) = filled().await;
    let found = get(&router, "/vectors/docs/1").await.ok();
    assert_eq!(found.body["vector"], json!([1.0, 0.0, 0.0]));
    assert_eq!(found.body["payload"], json!({"lang": "en", "n": 1}));
    assert_eq!(found.body["consistency"], "quorum");
    let row = &found.body["shards"][0];
    assert_eq!((&row["served_by"], &row["role"], &row["index"]), (&json!("node1"), &json!("leader"), &json!(2)));
    let lean = get(&router, "/vectors/docs/1?with_payload=false&with_vector=false").await.ok();
    assert!(lean.body.get("payload").is_none() && lean.body.get("vector").is_none());
    let gone = call(&router, "DELETE", "/vectors", r#"{"collection":"docs","ids":[1,1,77]}"#).await.ok();
    assert_eq!((&gone.body["deleted"], &gone.body["token"]), (&json!(1), &json!("s1.0-3")));
    let absent = get(&router, "/vectors/docs/1").await.refused(404, "point_not_found");
    let row = &absent.detail("shards")[0];
    assert_eq!(
        (&row["served_by"], &row["index"]),
        (&json!("node1"), &json!(3)),
        "nothing is an answer, and is somebody's"
    );
    let rest = call(
        &router,
        "DELETE",
        "/vectors",
        r#"{"collection":"docs","filter":{"must":{"key":"lang","match":{"value":"de"}}}}"#,
    );
    assert_eq!(rest.await.ok().body["deleted"], 1);
}

#[tokio::test]
async fn a_search_tells_how_it_went_where_that_is_asked() {
    let (router, _) = filled().await;
    let body = |explain| json!({"collection": "docs", "vector": [1, 0, 0], "explain": explain});
    let found = post(&router, "/search", body(true)).await.ok();
    let explain = &found.body["explain"][0];
    assert_eq!((&explain["shard"], &explain["way"]), (&json!(0), &json!("exact")));
    assert!(explain["compared"].as_u64() >= Some(1));
    assert!(post(&router, "/search", body(false)).await.ok().body.get("explain").is_none());
}

#[tokio::test]
async fn a_search_finds_the_nearest_at_every_level() {
    let (router, node) = filled().await;
    for (asked, level) in [
        (json!("one"), "one"),
        (json!("quorum"), "quorum"),
        (json!("all"), "all"),
        (json!(1), "one"),
        (json!("majority"), "quorum"),
    ] {
        let found = post(
            &router,
            "/search",
            json!({"collection": "docs", "vector": [1, 0, 0], "limit": 2, "consistency": asked}),
        )
        .await
        .ok();
        assert_eq!(found.body["consistency"], level);
        assert_eq!(found.body["results"][0]["id"], 1);
        assert_eq!(found.body["results"][1]["id"], 2);
        assert_eq!(found.body["shards"][0].get("staleness_ms").is_some(), level == "one", "{}", found.body);
        assert!(found.body["took_ms"].is_number());
        let Some(Call::Read { mode, .. }) = node.last_call() else { panic!("the shard is read") };
        assert_eq!(
            format!("{mode:?}"),
            match level {
                "one" => "Follower",
                "quorum" => "Lease",
                _ => "Linearizable",
            }
        );
    }
}

#[tokio::test]
async fn a_search_by_id_leaves_the_point_out() {
    let (router, _) = filled().await;
    let all = post(&router, "/search", json!({"collection": "docs", "id": 1})).await.ok();
    let ids: Vec<&Value> = all.body["results"].as_array().unwrap().iter().map(|hit| &hit["id"]).collect();
    assert_eq!(ids, [&json!(2), &json!("6f9619ff-8b86-d011-b42d-00cf4fc964ff")]);
    let second = post(&router, "/search", json!({"collection": "docs", "id": 1, "offset": 1, "limit": 1})).await.ok();
    assert_eq!(second.body["results"][0]["id"], "6f9619ff-8b86-d011-b42d-00cf4fc964ff");
    post(&router, "/search", json!({"collection": "docs", "id": 99})).await.refused(404, "point_not_found");
}

#[tokio::test]
async fn a_search_selects_and_cuts_off() {
    let (router, _) = filled().await;
    let base = json!({"collection": "docs", "vector": [1, 0, 0], "score_threshold": 0.5, "with_vector": true});
    for (with, expected) in [
        (json!(true), json!({"lang": "en", "n": 1})),
        (json!(["lang"]), json!({"lang": "en"})),
        (json!({"include": ["n"]}), json!({"n": 1})),
        (json!({"exclude": ["n"]}), json!({"lang": "en"})),
    ] {
        let mut body = base.clone();
        body["with_payload"] = with;
        let found = post(&router, "/search", body).await.ok();
        assert_eq!(found.body["results"].as_array().unwrap().len(), 2);
        assert_eq!(found.body["results"][0]["payload"], expected);
        assert_eq!(found.body["results"][0]["vector"], json!([1.0, 0.0, 0.0]));
    }
    let filtered = json!({"collection": "docs", "vector": [1, 0, 0], "filter": {"must": [{"key": "lang", "match": {"value": "de"}}]}, "offset": 0});
    assert_eq!(post(&router, "/search", filtered).await.ok().body["results"][0]["id"], 2);
}

#[tokio::test(start_paused = true)]
async fn freshness_reaches_routing() {
    // Each of two nodes has a shard, and the second one is lost.
    let nodes = [(1, fake::node("node1", 8001)), (2, fake::node("node2", 8002))];
    let (router, node) = fake::start_over(placement::form([7; 16], nodes.into(), 2, 1).unwrap());
    node.cluster.0.lock().down.clear();
    post(&router, "/collections", json!({"name": "docs", "vector_size": 1})).await;
    let points: Vec<_> = (0..8).map(|id| json!({"id": id, "vector": [1]})).collect();
    let written = post(&router, "/vectors", json!({"collection": "docs", "vectors": points})).await.ok();
    let of_first = written.body["results"].as_array().unwrap().iter().filter(|row| row["shard"] == 0).count();
    node.cluster.0.lock().down.insert(2);
    let body = json!({"collection": "docs", "after": "s1.0-2", "max_staleness_ms": 50, "consistency": "one", "allow_partial": true});
    let counted = post(&router, "/quiver/v1/count", body).await.ok();
    assert_eq!((&counted.body["count"], &counted.body["missing_shards"]), (&json!(of_first), &json!([1])));
    let Some(Call::Read { after, max_staleness_ms, .. }) = node.last_call() else { panic!("the shard is read") };
    assert_eq!(after.map(|after| (after.recovered, after.index)), Some((0, 2)));
    assert_eq!(max_staleness_ms, Some(50));
    post(&router, "/quiver/v1/count", json!({"collection": "docs", "after": "yesterday"}))
        .await
        .refused(400, "invalid_input");
}

#[tokio::test]
async fn a_scroll_pages_in_the_order_of_ids() {
    let (router, _) = filled().await;
    let first = post(&router, "/quiver/v1/scroll", json!({"collection": "docs", "limit": 2})).await.ok();
    assert_eq!((first.body["points"].as_array().unwrap().len(), &first.body["points"][1]["id"]), (2, &json!(2)));
    let next = first.body["next"].clone();
    let last = post(&router, "/quiver/v1/scroll", json!({"collection": "docs", "limit": 2, "offset": next})).await.ok();
    assert_eq!(
        (&last.body["points"][0]["id"], &last.body["next"]),
        (&json!("6f9619ff-8b86-d011-b42d-00cf4fc964ff"), &json!(null))
    );
}

#[tokio::test]
async fn a_guarded_write_tells_the_current_version() {
    let (router, _) = filled().await;
    let body = json!({"collection": "docs", "vectors": [{"id": 2, "vector": [1, 1, 1], "if_version": 7}]});
    let refused = post(&router, "/vectors", body).await.refused(412, "version_mismatch");
    assert_eq!(
        (refused.detail("current"), refused.detail("expected"), refused.detail("position")),
        (&json!(2), &json!(7), &json!(0))
    );
}

#[tokio::test]
async fn writes_have_a_name_and_a_level() {
    let (router, node) = docs().await;
    let id = "00000000-0000-0000-0000-000000000007";
    let body = json!({"collection": "docs", "vectors": [{"id": 1, "vector": [1, 0, 0]}], "request_id": id, "consistency": "all"});
    let first = post(&router, "/vectors", body.clone()).await.ok();
    let again = post(&router, "/vectors", body).await.ok();
    assert_eq!(first.body["results"], again.body["results"]);
    let Some(Call::Write { everywhere, .. }) = node.last_call() else { panic!("the shard is written") };
    assert!(everywhere, "all is when every voter has applied it");
    let other = json!({"collection": "docs", "vectors": [{"id": 2, "vector": [1, 0, 0]}], "request_id": id});
    post(&router, "/vectors", other).await.refused(422, "request_id_reused");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_says_how_to_retry() {
    let (router, node) = docs().await;
    // The answer to the first try is lost, and then nobody leads any more.
    node.cluster.fault(1, Fault::AnswerLost);
    node.cluster.lead_all(None);
    let body = json!({"collection": "docs", "vectors": [{"id": 1, "vector": [1, 0, 0]}]});
    let failed = post(&router, "/vectors", body).await.refused(503, "outcome_unknown");
    assert_eq!(failed.body["status"]["committed"], "unknown");
    assert!(failed.detail("retry_with_request_id").as_str().unwrap().parse::<uuid::Uuid>().is_ok());
}
