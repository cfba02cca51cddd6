//! Indexes on payload fields: who is told, and who learns of them later.

use std::time::Duration;

use super::{docs, options, points, soon};
use crate::engine::{FieldType, Refusal};
use crate::model::Consistency;
use crate::placement::ShardId;
use crate::placement::tests::vectors;
use crate::routing::testing::{FakeCluster, Fault};
use crate::routing::{Acknowledge, RouteError};

const KEYWORD: Option<FieldType> = Some(FieldType::Keyword);

#[tokio::test(start_paused = true)]
async fn every_shard_is_told_and_versions_grow() {
    let (cluster, docs) = docs().await;
    let router = cluster.router(Some(1));
    let set = |field: &str, kind| router.set_field_index(&docs, field.to_owned(), kind, true, soon());
    let nothing = set("lang", None).await.unwrap();
    assert_eq!((nothing.version, nothing.everywhere), (0, true), "what is not indexed need not be dropped");
    let first = set("lang", KEYWORD).await.unwrap();
    assert!(first.everywhere && first.version > 0);
    assert_eq!(cluster.schema_versions(docs.entry.id), [Some(first.version); 8]);
    assert_eq!(router.map().collections["docs"].schema_version, first.version, "who asked is shown it at once");
    assert_eq!(set("lang", KEYWORD).await.unwrap(), first, "the same again changes nothing");
    let second = set("lang", None).await.unwrap();
    assert!(second.version > first.version);
    assert_eq!(cluster.schema_versions(docs.entry.id), [Some(second.version); 8]);
    let malformed = set("a[", KEYWORD).await;
    assert!(matches!(malformed, Err(RouteError::Refused { refusal: Refusal::Invalid { .. } })), "{malformed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_cannot_be_told_is_no_failure() {
    let (cluster, docs) = docs().await;
    cluster.lead(ShardId(5).group(), None);
    let router = cluster.router(Some(1));
    let set = router.set_field_index(&docs, "lang".to_owned(), KEYWORD, true, soon()).await.unwrap();
    assert!(!set.everywhere);
    let versions = cluster.schema_versions(docs.entry.id);
    assert_eq!((versions[5], versions[4]), (Some(0), Some(set.version)));
}

#[tokio::test(start_paused = true)]
async fn without_wait_the_shards_are_told_after_the_answer() {
    let (cluster, docs) = docs().await;
    let router = cluster.router(Some(1));
    let set = router.set_field_index(&docs, "lang".to_owned(), KEYWORD, false, soon()).await.unwrap();
    assert!(!set.everywhere);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(cluster.schema_versions(docs.entry.id), [Some(set.version); 8]);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_missed_the_creation_gets_the_schema_with_the_collection() {
    let cluster = FakeCluster::new(3, 8);
    let router = cluster.router(Some(1));
    cluster.lead(ShardId(5).group(), None);
    let made = router.create_collection("docs", vectors(2), Consistency::Quorum, soon()).await.unwrap();
    cluster.lead(ShardId(5).group(), Some(2));
    let docs = made.collection;
    let set = router.set_field_index(&docs, "lang".to_owned(), KEYWORD, true, soon()).await.unwrap();
    assert!(set.everywhere, "a shard without the collection has nothing to index");
    assert_eq!(cluster.schema_versions(docs.entry.id)[5], None);
    // `docs` is how the collection was before it had a schema.
    router.upsert(&docs, points(100), Acknowledge::Committed, options()).await.unwrap();
    assert_eq!(cluster.schema_versions(docs.entry.id), [Some(set.version); 8]);
}

#[tokio::test(start_paused = true)]
async fn the_collection_of_that_name_now_is_meant() {
    let (cluster, docs) = docs().await;
    let old = cluster.router(Some(2));
    let router = cluster.router(Some(1));
    assert!(router.drop_collection("docs", soon()).await.unwrap());
    let gone = old.set_field_index(&docs, "lang".to_owned(), KEYWORD, true, soon()).await;
    assert!(matches!(gone, Err(RouteError::CollectionNotFound { .. })), "{gone:?}");
    let made = router.create_collection("docs", vectors(2), Consistency::Quorum, soon()).await.unwrap();
    let set = old.set_field_index(&docs, "lang".to_owned(), KEYWORD, true, soon()).await.unwrap();
    assert_eq!(cluster.schema_versions(made.collection.entry.id), [Some(set.version); 8]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_of_the_map_is_asked_for_again() {
    let (cluster, docs) = docs().await;
    cluster.fault(1, Fault::AnswerLost);
    let set = cluster.router(Some(1)).set_field_index(&docs, "lang".to_owned(), KEYWORD, true, soon()).await.unwrap();
    assert!(set.everywhere);
    assert_eq!(cluster.map().collections["docs"].payload_schema["lang"], FieldType::Keyword);
}
