//! A door whose map is older than what another door has changed: what it refuses, it refuses by the collection as it is.

use serde_json::json;

use super::*;
use crate::gateway::{GatewayState, Limits};

/// `docs` was made anew with two components by another door; this one still knows that it had three.
async fn replaced(level: &str) -> (Router, crate::routing::Router) {
    let (router, node) = docs().await;
    let before = node.cluster.map();
    call(&router, "DELETE", "/collections/docs", "").await.ok();
    let anew = json!({"name": "docs", "vector_size": 2, "distance": "dot", "consistency_level": level});
    assert_eq!(post(&router, "/collections", anew).await.status, StatusCode::CREATED);
    let old = node.cluster.router_over(Some(1), before);
    (crate::gateway::router(GatewayState::new(old.clone(), node, Limits::default())), old)
}

#[tokio::test]
async fn a_write_that_fits_the_collection_as_it_is_is_taken() {
    let (router, old) = replaced("one").await;
    let body = json!({"collection": "docs", "vectors": [{"id": 1, "vector": [1, 0]}]});
    let epoch = old.map().epoch;
    assert_eq!(post(&router, "/vectors", body.clone()).await.ok().body["upserted"], 1);
    assert!(old.map().epoch > epoch, "what it knew was looked at, and then read afresh");
    let wrong = json!({"collection": "docs", "vectors": [{"id": 1, "vector": [1, 0, 0, 0]}]});
    let refused = post(&router, "/vectors", wrong).await.refused(400, "invalid_input");
    assert!(refused.body.to_string().contains("the collection's vectors have 2"), "{}", refused.body);
}

#[tokio::test]
async fn a_search_is_not_refused_for_good_by_a_collection_that_is_gone() {
    let (router, _) = replaced("one").await;
    let search = json!({"collection": "docs", "vector": [1, 0], "limit": 1});
    let first = post(&router, "/search", search.clone()).await.refused(409, "collection_replaced");
    assert_eq!(first.body["status"]["retryable"], true);
    post(&router, "/search", search).await.ok();
}
