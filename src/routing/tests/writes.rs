//! Writes, collections, and what is said of them when something goes wrong.

use std::time::Duration;

use super::{docs, options, point, points, read, soon};
use crate::engine::{PointId, Refusal, Selector};
use crate::model::Consistency;
use crate::placement::tests::vectors;
use crate::placement::{META, ShardId};
use crate::routing::rpc::message::CallError;
use crate::routing::testing::{FakeCluster, Fault};
use crate::routing::{Acknowledge, Committed, Ring, RouteError};
use raft_groups::ReadMode;

const COMMITTED: Acknowledge = Acknowledge::Committed;

#[tokio::test(start_paused = true)]
async fn results_come_in_the_requests_order_with_shard_and_version() {
    let (cluster, docs) = docs().await;
    let outcome = cluster.router(Some(2)).upsert(&docs, points(100), COMMITTED, options()).await.unwrap();
    let ring = Ring::of(&cluster.map()).unwrap();
    for (place, written) in outcome.results.iter().enumerate() {
        assert_eq!(written.id, PointId::Num(place as u64));
        assert_eq!(written.shard, ring.shard(docs.entry.id, written.id));
        assert_eq!(outcome.token.0[&written.shard].index, written.version);
    }
    assert_eq!((outcome.results.len(), cluster.points()), (100, 100));
}

#[tokio::test(start_paused = true)]
async fn a_warm_router_sends_one_request_per_node() {
    let (cluster, docs) = docs().await;
    let router = cluster.router(None);
    router.upsert(&docs, points(100), COMMITTED, options()).await.unwrap();
    let before = cluster.requests();
    router.upsert(&docs, points(100), COMMITTED, options()).await.unwrap();
    assert_eq!(cluster.requests() - before, 3);
}

#[tokio::test(start_paused = true)]
async fn an_election_is_waited_for() {
    let (cluster, docs) = docs().await;
    let router = cluster.router(Some(1));
    cluster.lead_all(None);
    let later = cluster.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        later.lead_all(Some(3));
    });
    router.upsert(&docs, points(50), COMMITTED, options()).await.unwrap();
    assert_eq!(cluster.points(), 50);
}

#[tokio::test(start_paused = true)]
async fn without_a_leader_the_silent_nodes_are_named() {
    let (cluster, docs) = docs().await;
    cluster.0.lock().down.extend([2, 3]);
    cluster.lead_all(None);
    let error = cluster.router(Some(1)).upsert(&docs, vec![point(1)], COMMITTED, options()).await.unwrap_err();
    let RouteError::NoLeader { shard: Some(_), missing } = &error else { panic!("{error:?}") };
    let names: Vec<&str> = missing.iter().map(|name| name.as_str()).collect();
    assert_eq!(names, ["node2", "node3"]);
    assert_eq!(error.committed(), Committed::No);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_for_again_and_applies_once() {
    let (cluster, docs) = docs().await;
    let mut guarded = point(1);
    guarded.if_version = Some(0);
    let shard = Ring::of(&cluster.map()).unwrap().shard(docs.entry.id, guarded.id);
    cluster.lead_all(Some(2));
    let before = cluster.index(shard.group());
    cluster.fault(2, Fault::AnswerLost);
    let outcome = cluster.router(None).upsert(&docs, vec![guarded], COMMITTED, options()).await.unwrap();
    assert_eq!(outcome.results[0].version, before + 1);
    assert_eq!(cluster.points(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_write_in_doubt_stays_in_doubt() {
    let (cluster, docs) = docs().await;
    cluster.lead_all(None);
    let reason = "leadership lost".to_owned();
    cluster.fault(1, Fault::Answers(CallError::Indeterminate { reason }));
    let error = cluster.router(Some(1)).upsert(&docs, vec![point(1)], COMMITTED, options()).await.unwrap_err();
    assert!(matches!(error, RouteError::Unknown { .. }), "{error:?}");
    assert_eq!(error.committed(), Committed::Unknown);
}

#[tokio::test(start_paused = true)]
async fn partial_success_is_told_as_such() {
    let (cluster, docs) = docs().await;
    let dead = ShardId(3);
    cluster.lead(dead.group(), None);
    let error = cluster.router(Some(1)).upsert(&docs, points(100), COMMITTED, options()).await.unwrap_err();
    let RouteError::PartialWrite { done, done_shards, failed } = error else { panic!("{error:?}") };
    assert_eq!((done_shards.len(), failed.len(), failed[0].0), (7, 1, dead));
    assert!(matches!(*failed[0].1, RouteError::NoLeader { .. }));
    assert_eq!(done.len() as u64, cluster.points());
    assert!(done.is_sorted_by_key(|point| point.id) && done.iter().all(|point| point.shard != dead));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_names_the_place_in_the_request() {
    let (cluster, docs) = docs().await;
    let ring = Ring::of(&cluster.map()).unwrap();
    let shard = |id: u64| ring.shard(docs.entry.id, PointId::Num(id));
    // The first point of another shard shifts the places: 1 in the request is 0 in its shard.
    let other = (2..).find(|id| shard(*id) != shard(1)).unwrap();
    let mut guarded = point(1);
    guarded.if_version = Some(5);
    let error = cluster.router(Some(1)).upsert(&docs, vec![point(other), guarded], COMMITTED, options()).await;
    let Err(RouteError::PartialWrite { failed, .. }) = error else { panic!("{error:?}") };
    let RouteError::Refused { refusal: Refusal::VersionMismatch { position, current, .. } } = &*failed[0].1 else {
        panic!("{failed:?}")
    };
    assert_eq!((*position, *current), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn all_names_who_has_not_applied() {
    let (cluster, docs) = docs().await;
    cluster.0.lock().lagging.insert(3);
    let everywhere = Acknowledge::AppliedEverywhere;
    let router = cluster.router(Some(1));
    let indexes = || cluster.map().shards.keys().map(|shard| cluster.index(shard.group())).collect::<Vec<_>>();
    let before = indexes();
    let error = router.upsert(&docs, points(9), everywhere, options()).await.unwrap_err();
    assert!(indexes().iter().zip(before).all(|(now, before)| *now <= before + 1), "written once is enough");
    let RouteError::NotEverywhere { missing } = &error else { panic!("{error:?}") };
    assert_eq!((missing[0].as_str(), error.committed()), ("node3", Committed::Yes));
    let later = cluster.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(700)).await;
        later.0.lock().lagging.clear();
    });
    router.upsert(&docs, points(9), everywhere, options()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn deletions_count_over_all_shards() {
    let (cluster, docs) = docs().await;
    let router = cluster.router(Some(1));
    router.upsert(&docs, points(30), COMMITTED, options()).await.unwrap();
    let mut again = options();
    again.request_id.0 = uuid::Uuid::from_u128(78);
    let ids = Selector::Ids((20..40).map(PointId::Num).collect());
    assert_eq!(router.delete(&docs, ids, COMMITTED, again).await.unwrap().deleted, 10);
    again.request_id.0 = uuid::Uuid::from_u128(79);
    let all = Selector::Filter(crate::engine::Filter::default());
    assert_eq!(router.delete(&docs, all, COMMITTED, again).await.unwrap().deleted, 20);
}

#[tokio::test(start_paused = true)]
async fn a_collection_is_known_everywhere_once_it_is_made() {
    let cluster = FakeCluster::new(3, 8);
    let old = cluster.router(Some(3));
    assert!(matches!(old.collection("docs", soon()).await, Err(RouteError::CollectionNotFound { .. })));
    let router = cluster.router(Some(1));
    let made = router.create_collection("docs", vectors(2), Consistency::Quorum, soon()).await.unwrap();
    assert!(!made.existed && made.pending.is_empty());
    assert_eq!(old.collection("docs", soon()).await.unwrap(), made.collection);
    let again = router.create_collection("docs", vectors(2), Consistency::Quorum, soon()).await.unwrap();
    assert!(again.existed);
    let other = router.create_collection("docs", vectors(3), Consistency::Quorum, soon()).await;
    assert!(matches!(other, Err(RouteError::CollectionExists { .. })));
    let bad = router.create_collection(".x", vectors(3), Consistency::Quorum, soon()).await;
    assert!(matches!(bad, Err(RouteError::BadName(_))));
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_missed_the_creation_learns_of_it_with_the_first_request() {
    let cluster = FakeCluster::new(3, 8);
    let router = cluster.router(Some(1));
    cluster.lead(ShardId(5).group(), None);
    let made = router.create_collection("docs", vectors(2), Consistency::Quorum, soon()).await.unwrap();
    assert_eq!(made.pending, [ShardId(5)]);
    cluster.lead(ShardId(5).group(), Some(2));
    router.upsert(&made.collection, points(100), COMMITTED, options()).await.unwrap();
    assert_eq!(cluster.points(), 100);
}

#[tokio::test(start_paused = true)]
async fn what_other_shards_did_is_told_where_a_stranger_cannot_be_cured() {
    let cluster = FakeCluster::new(3, 8);
    let router = cluster.router(Some(1));
    cluster.lead(ShardId(5).group(), None);
    let docs = router.create_collection("docs", vectors(2), Consistency::Quorum, soon()).await.unwrap().collection;
    cluster.lead(ShardId(5).group(), Some(2));
    cluster.lead(META, None);
    let error = router.upsert(&docs, points(100), COMMITTED, options()).await.unwrap_err();
    let RouteError::PartialWrite { done_shards, failed, .. } = error else { panic!("{error:?}") };
    assert_eq!((done_shards.len(), failed.len(), failed[0].0), (7, 1, ShardId(5)));
    assert!(matches!(*failed[0].1, RouteError::NoLeader { shard: None, .. }), "{failed:?}");
    let query = || crate::engine::CountQuery { collection: docs.entry.id, filter: None };
    let partial = crate::routing::ReadOptions { allow_partial: true, ..read(ReadMode::Lease) };
    let answer = router.count(&docs, query(), partial).await.unwrap();
    assert_eq!((answer.value, answer.missing.len()), (cluster.points(), 1));
    assert!(router.count(&docs, query(), read(ReadMode::Lease)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_collection_is_gone_for_routers_with_an_old_map_too() {
    let (cluster, docs) = docs().await;
    let old = cluster.router(Some(3));
    assert!(cluster.router(Some(1)).drop_collection("docs", soon()).await.unwrap());
    assert!(!cluster.router(Some(1)).drop_collection("docs", soon()).await.unwrap());
    assert_eq!(old.collection("docs", soon()).await.unwrap(), docs);
    let error = old.upsert(&docs, points(10), COMMITTED, options()).await.unwrap_err();
    assert!(matches!(error, RouteError::CollectionNotFound { .. }), "{error:?}");
    assert_eq!(cluster.points(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_old_map_does_not_hide_the_successor_of_a_collection() {
    let (cluster, docs) = docs().await;
    let old = cluster.router(Some(3));
    let router = cluster.router(Some(1));
    router.drop_collection("docs", soon()).await.unwrap();
    router.create_collection("docs", vectors(2), Consistency::Quorum, soon()).await.unwrap();
    old.upsert(&docs, points(10), COMMITTED, options()).await.unwrap();
    let now = router.collection("docs", soon()).await.unwrap();
    let query = crate::engine::CountQuery { collection: now.entry.id, filter: None };
    assert_eq!(router.count(&now, query, read(ReadMode::Lease)).await.unwrap().value, 10);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_of_the_map_does_not_make_a_second_collection() {
    let cluster = FakeCluster::new(3, 8);
    cluster.fault(1, Fault::AnswerLost);
    let router = cluster.router(Some(1));
    router.create_collection("docs", vectors(2), Consistency::Quorum, soon()).await.unwrap();
    assert_eq!(cluster.map().next_collection, 2);
    cluster.lead(META, None);
    let error = router.create_collection("more", vectors(2), Consistency::Quorum, soon()).await.unwrap_err();
    assert!(matches!(error, RouteError::NoLeader { shard: None, .. }), "{error:?}");
}
