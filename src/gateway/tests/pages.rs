//! The pages on collections, nodes and the cluster, and the switch for faults.

use serde_json::json;

use super::*;

#[tokio::test]
async fn collections_come_in_an_envelope() {
    let (router, _) = docs().await;
    post(&router, "/collections", json!({"name": "named", "vectors": {"a": {"size": 2, "distance": "Dot"}}})).await;
    let listed = get(&router, "/collections").await.ok();
    assert_eq!(listed.body["status"], "ok");
    let rows = &listed.body["result"]["collections"];
    let index = json!({"type": "hnsw", "m": 16, "ef_construct": 100});
    let docs = json!({"name": "docs", "vector_size": 3, "distance": "cosine", "index": index, "quantization": "int8", "points": 0});
    let named = json!({"a": {"size": 2, "distance": "dot", "index": index, "quantization": "int8"}});
    assert_eq!(rows[0], docs);
    assert_eq!(rows[1], json!({"name": "named", "vectors": named, "points": 0}));
    let dropped = call(&router, "DELETE", "/collections/docs", "").await.ok();
    assert_eq!((&dropped.body["result"], &dropped.body["status"]), (&json!(true), &json!("ok")));
    assert_eq!(call(&router, "DELETE", "/collections/docs", "").await.ok().body["result"], false);
}

#[tokio::test]
async fn a_cluster_without_spare_replicas_warns() {
    let (router, _) = fake::start();
    let made = post(&router, "/collections", json!({"name": "docs"})).await;
    assert_eq!((made.status, &made.body["shards"]), (StatusCode::CREATED, &json!(1)));
    assert!(made.body["warnings"][0].as_str().unwrap().contains("one replica"));
}

#[tokio::test]
async fn the_node_shows_itself() {
    let (router, _) = docs().await;
    post(&router, "/vectors", json!({"collection": "docs", "vectors": [{"id": 1, "vector": [1, 0, 0]}]})).await.ok();
    let health = get(&router, "/health").await.ok();
    assert_eq!(
        (&health.body["status"], &health.body["node_id"], &health.body["load"]),
        (&json!("healthy"), &json!("node1"), &json!(0.25))
    );
    let stats = get(&router, "/stats").await.ok();
    assert_eq!((&stats.body["vector_count"], &stats.body["collections"]), (&json!(1), &json!(["docs"])));
    assert!(stats.body["request_rate"]["write"].as_f64().unwrap() > 0.0, "{}", stats.body);
    let shards = get(&router, "/shards").await.ok();
    let row = &shards.body["shards"][0];
    assert_eq!(
        (&row["shard"], &row["group"], &row["role"], &row["state"]),
        (&json!(0), &json!(1), &json!("leader"), &json!("active"))
    );
    assert_eq!((&row["replicas"], &row["state_index"]), (&json!(["node1"]), &json!(2)));
    assert_eq!(row["state_hash"].as_str().unwrap().len(), 16);
}

#[tokio::test]
async fn the_cluster_shows_itself() {
    let (router, _) = docs().await;
    let status = get(&router, "/cluster/status").await.ok();
    let expected = json!({
        "total_nodes": 1, "healthy_nodes": 1, "total_shards": 1, "total_collections": 1, "total_vectors": 0,
        "replication_factor": 1, "consistency_level": "quorum", "meta_leader": "node1",
        "nodes": [{"id": "node1", "host": "localhost", "port": 8001, "status": "healthy", "load": 0.25, "vector_count": 0, "collections": ["docs"]}]
    });
    assert_eq!(status.body, expected);
    let health = get(&router, "/cluster/health").await.ok();
    assert_eq!((&health.body["status"], &health.body["can_lose_nodes"]), (&json!("healthy"), &json!(0)));
    assert_eq!(health.body["groups"], json!({"total": 2, "with_leader": 2, "under_replicated": 0}));
    let sharding = get(&router, "/cluster/sharding").await.ok();
    let row = json!({
        "shard": 0, "range": ["0x0000000000000000", "0xffffffffffffffff"], "leader": "node1",
        "replicas": [{"node": "node1", "state": "voter", "lag": 0}], "vectors": 0
    });
    assert_eq!((&sharding.body["shards"][0], &sharding.body["shard_count"]), (&row, &json!(1)));
}

#[tokio::test]
async fn metrics_name_routes_and_groups() {
    let (router, _) = docs().await;
    get(&router, "/nowhere").await;
    let page = get(&router, "/metrics").await.ok();
    let text = page.body.as_str().unwrap();
    for line in [
        r#"quiver_http_requests_total{method="POST",route="/collections",status="201"}"#,
        r#"quiver_http_requests_total{method="GET",route="unmatched",status="404"}"#,
        r#"quiver_http_request_seconds_bucket{"#,
        r#"quiver_group_role{group="1",role="leader"} 1"#,
        r#"quiver_group_applied{group="0"} 2"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn links_are_cut_only_where_faults_are_allowed() {
    let (router, node) = docs().await;
    let cut = call(&router, "PUT", "/quiver/v1/faults", r#"{"cut":["node1"]}"#).await.ok();
    assert_eq!(cut.body, json!({"cut": ["node1"]}));
    assert_eq!(get(&router, "/quiver/v1/faults").await.ok().body, json!({"cut": ["node1"]}));
    let refused = call(&router, "PUT", "/quiver/v1/faults", r#"{"cut":["node9"]}"#).await.refused(400, "invalid_input");
    assert_eq!(refused.detail("field"), "cut[0]");
    let one_way = r#"{"cut_to":["node1"],"delay_ms":{"node1":40}}"#;
    let shown = json!({"cut": [], "cut_to": ["node1"], "delay_ms": {"node1": 40}});
    assert_eq!(call(&router, "PUT", "/quiver/v1/faults", one_way).await.ok().body, shown);
    let both_ways = r#"{"cut_to":["node1"],"cut_from":["node1"]}"#;
    assert_eq!(call(&router, "PUT", "/quiver/v1/faults", both_ways).await.ok().body, json!({"cut": ["node1"]}));
    let hours = r#"{"delay_ms":{"node1":3600000}}"#;
    let refused = call(&router, "PUT", "/quiver/v1/faults", hours).await.refused(400, "invalid_input");
    assert_eq!(refused.detail("field"), "delay_ms.node1");
    assert_eq!(call(&router, "DELETE", "/quiver/v1/faults", "").await.ok().body, json!({"cut": []}));
    *node.faults_off.lock() = true;
    for method in ["GET", "PUT", "DELETE"] {
        let refused = call(&router, method, "/quiver/v1/faults", "{}").await.refused(404, "faults_off");
        assert!(refused.error().contains("--test-faults"));
    }
}
