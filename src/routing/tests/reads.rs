//! Reads: who is asked at which freshness, and what is said when nobody is fresh enough.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raft_groups::{ReadMode, Role};

use super::{docs, options, points, read, soon};
use crate::engine::{
    CountQuery, GetQuery, PayloadSelector, PointId, Refusal, ScrollQuery, SearchQuery, Target, VectorSelector,
};
use crate::model::SearchParams;
use crate::placement::{ClusterMap, ShardId};
use crate::routing::rpc::message::CallError;
use crate::routing::testing::{FakeCluster, Fault};
use crate::routing::{Acknowledge, Collection, LogPoint, PageSearch, ReadOptions, RouteError, Router, SessionToken};

async fn filled() -> (FakeCluster, Collection) {
    let (cluster, docs) = docs().await;
    cluster.router(Some(1)).upsert(&docs, points(100), Acknowledge::Committed, options()).await.unwrap();
    (cluster, docs)
}

async fn count(router: &Router, docs: &Collection, options: ReadOptions) -> Result<u64, RouteError> {
    let query = CountQuery { collection: docs.entry.id, filter: None };
    router.count(docs, query, options).await.map(|answer| answer.value)
}

fn search(docs: &Collection) -> SearchQuery {
    SearchQuery {
        collection: docs.entry.id,
        vector_name: String::new(),
        target: Target::Vector(vec![0.0, 1.0]),
        limit: 0,
        filter: None,
        score_threshold: None,
        with_payload: PayloadSelector::None,
        with_vector: VectorSelector::None,
        params: SearchParams::default(),
    }
}

#[tokio::test(start_paused = true)]
async fn pages_of_a_search_fit_together_whatever_the_shards() {
    let (cluster, docs) = filled().await;
    let router = cluster.router(Some(2));
    let page = async |offset, limit| {
        let search = PageSearch { query: search(&docs), offset, limit, left_out: None };
        let answer = router.search(&docs, vec![search], read(ReadMode::Lease)).await.unwrap();
        assert_eq!(answer.shards.len(), 8);
        answer.value.into_iter().flat_map(|found| found.hits).map(|(_, hit)| hit.id).collect::<Vec<_>>()
    };
    let whole = page(0, 30).await;
    assert_eq!(whole, (70..100).rev().map(PointId::Num).collect::<Vec<_>>());
    assert_eq!([page(0, 10).await, page(10, 20).await].concat(), whole);
}

fn first_ten(query: SearchQuery) -> PageSearch {
    PageSearch { query, offset: 0, limit: 10, left_out: None }
}

#[tokio::test(start_paused = true)]
async fn many_searches_cost_one_request_a_node_and_answer_as_each_would_alone() {
    let (cluster, docs) = filled().await;
    let router = cluster.router(None);
    let searches: Vec<PageSearch> = (0..50)
        .map(|number| {
            let target = Target::Vector(vec![1.0, number as f32]);
            let score_threshold = (number % 2 == 0).then_some(0.9);
            PageSearch {
                query: SearchQuery { target, score_threshold, ..search(&docs) },
                offset: number % 3,
                limit: 1 + number % 7,
                left_out: None,
            }
        })
        .collect();
    count(&router, &docs, read(ReadMode::Lease)).await.unwrap();
    let before = cluster.requests();
    let together = router.search(&docs, searches.clone(), read(ReadMode::Lease)).await.unwrap();
    assert_eq!(cluster.requests() - before, 3);
    assert_eq!((together.value.len(), together.shards.len()), (50, 8));
    for (search, hits) in searches.into_iter().zip(together.value) {
        let alone = router.search(&docs, vec![search], read(ReadMode::Lease)).await.unwrap();
        assert_eq!(alone.value, [hits]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_behind_the_router_names_the_search() {
    let (cluster, docs) = filled().await;
    let router = cluster.router(Some(1));
    let bad = first_ten(SearchQuery { target: Target::Vector(vec![1.0]), ..search(&docs) });
    let error = router.search(&docs, vec![first_ten(search(&docs)), bad], read(ReadMode::Lease)).await;
    let Err(RouteError::Refused { refusal: Refusal::Invalid { position, .. } }) = error else { panic!("{error:?}") };
    assert_eq!(position, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_scroll_meets_every_point_once_in_order() {
    let (cluster, docs) = filled().await;
    let router = cluster.router(None);
    let (mut seen, mut offset) = (Vec::new(), None);
    loop {
        let (with_payload, with_vector) = (PayloadSelector::None, VectorSelector::None);
        let collection = docs.entry.id;
        let query = ScrollQuery { collection, offset, limit: 7, filter: None, with_payload, with_vector };
        let page = router.scroll(&docs, query, read(ReadMode::Linearizable)).await.unwrap().value;
        assert!(page.records.len() <= 7);
        seen.extend(page.records.into_iter().map(|(_, record)| record.id));
        offset = page.next;
        if offset.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..100).map(PointId::Num).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn get_answers_in_the_order_asked_without_what_is_absent() {
    let (cluster, docs) = filled().await;
    let ids = [5, 500, 3, 99].map(PointId::Num).to_vec();
    let (with_payload, with_vector) = (PayloadSelector::None, VectorSelector::None);
    let query = GetQuery { collection: docs.entry.id, ids, with_payload, with_vector };
    let answer = cluster.router(Some(1)).get(&docs, query, read(ReadMode::Lease)).await.unwrap();
    let found: Vec<_> = answer.value.iter().map(|(_, record)| record.id).collect();
    assert_eq!(found, [5, 3, 99].map(PointId::Num));
}

#[tokio::test(start_paused = true)]
async fn the_nearest_serves_what_it_may() {
    let (cluster, docs) = filled().await;
    let router = cluster.router(Some(2));
    let served_by = async |mode| {
        let query = CountQuery { collection: docs.entry.id, filter: None };
        router.count(&docs, query, read(mode)).await.unwrap().shards
    };
    for mode in [ReadMode::Follower, ReadMode::Linearizable] {
        assert!(served_by(mode).await.iter().all(|shard| shard.served_by.as_str() == "node2"), "{mode:?}");
    }
    for shard in served_by(ReadMode::Lease).await {
        let preferred = cluster.map().shards[&shard.shard].preferred;
        assert_eq!((shard.served_by.to_string(), shard.role), (cluster.map().name_of(preferred), Role::Leader));
        assert_eq!(shard.staleness_ms, Some(0));
    }
}

#[tokio::test(start_paused = true)]
async fn who_left_the_map_after_answering_is_no_error() {
    let (cluster, docs) = filled().await;
    let without = ClusterMap { nodes: BTreeMap::new(), ..ClusterMap::clone(&cluster.map()) };
    let router = cluster.router_over(Some(2), Arc::new(without));
    let query = CountQuery { collection: docs.entry.id, filter: None };
    let answer = router.count(&docs, query, read(ReadMode::Lease)).await.unwrap();
    assert!(answer.shards.iter().all(|shard| shard.served_by.as_str().starts_with("departed-")), "{:?}", answer.shards);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_has_linearizable_reads_confirmed_where_the_leader_is() {
    let (cluster, docs) = filled().await;
    let router = cluster.router(None);
    count(&router, &docs, read(ReadMode::Lease)).await.unwrap();
    let query = CountQuery { collection: docs.entry.id, filter: None };
    let answer = router.count(&docs, query, read(ReadMode::Linearizable)).await.unwrap();
    assert!(answer.shards.iter().all(|shard| shard.role == Role::Leader));
}

#[tokio::test(start_paused = true)]
async fn a_dead_neighbour_is_passed_over() {
    let (cluster, docs) = filled().await;
    cluster.0.lock().down.insert(1);
    for mode in [ReadMode::Follower, ReadMode::Linearizable] {
        assert_eq!(count(&cluster.router(None), &docs, read(mode)).await, Ok(100), "{mode:?}");
    }
    cluster.lead_all(Some(3));
    assert_eq!(count(&cluster.router(Some(2)), &docs, read(ReadMode::Lease)).await, Ok(100));
}

#[tokio::test(start_paused = true)]
async fn a_stale_neighbour_is_passed_over_and_nobody_fresh_is_said_at_once() {
    let (cluster, docs) = filled().await;
    cluster.0.lock().staleness.extend([(1, Duration::from_secs(9)), (2, Duration::from_secs(7))]);
    let router = cluster.router(Some(1));
    let bounded = || ReadOptions { max_staleness: Some(Duration::from_secs(1)), ..read(ReadMode::Follower) };
    assert_eq!(count(&router, &docs, bounded()).await, Ok(100));
    cluster.0.lock().down.insert(3);
    let (began, error) = (tokio::time::Instant::now(), count(&router, &docs, bounded()).await.unwrap_err());
    assert_eq!(error, RouteError::Stale { shard: ShardId(0), staleness_ms: Some(7000), bound_ms: 1000 });
    assert!(began.elapsed() < Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_token_from_the_future_is_waited_for_until_the_deadline() {
    let (cluster, docs) = filled().await;
    let after = Some(SessionToken([(ShardId(2), LogPoint { recovered: 0, index: 1_000 })].into()));
    let error = count(&cluster.router(Some(1)), &docs, ReadOptions { after, ..read(ReadMode::Follower) }).await;
    assert!(matches!(error, Err(RouteError::Deadline { .. })), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn partial_answers_only_where_they_are_allowed() {
    let (cluster, docs) = filled().await;
    cluster.lead(ShardId(6).group(), None);
    let router = cluster.router(Some(1));
    let error = count(&router, &docs, read(ReadMode::Lease)).await;
    assert!(matches!(error, Err(RouteError::NoLeader { shard: Some(ShardId(6)), .. })), "{error:?}");
    let query = CountQuery { collection: docs.entry.id, filter: None };
    let partial = ReadOptions { allow_partial: true, ..read(ReadMode::Lease) };
    let answer = router.count(&docs, query, partial).await.unwrap();
    assert_eq!((answer.shards.len(), answer.missing.len(), answer.missing[0].0), (7, 1, ShardId(6)));
    assert!(answer.value < 100);
}

#[tokio::test(start_paused = true)]
async fn a_leader_without_a_quorum_is_told_apart_from_no_leader() {
    let (cluster, docs) = filled().await;
    cluster.lead_all(Some(1));
    cluster.0.lock().down.extend([2, 3]);
    for _ in 0..1000 {
        cluster.fault(1, Fault::Answers(CallError::NoQuorum { reason: "no majority answered".to_owned() }));
    }
    let router = cluster.router(Some(1));
    let error = count(&router, &docs, ReadOptions { deadline: soon(), ..read(ReadMode::Linearizable) }).await;
    match error {
        Err(RouteError::NoQuorum { missing, .. }) => assert_eq!(missing.len(), 2),
        Err(RouteError::NoLeader { missing, .. }) => assert_eq!(missing.len(), 2),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_vector_name_is_refused() {
    let (cluster, docs) = filled().await;
    let query = SearchQuery { vector_name: "image".to_owned(), ..search(&docs) };
    let error = cluster.router(Some(1)).search(&docs, vec![first_ten(query.clone())], read(ReadMode::Lease)).await;
    let Err(RouteError::Refused { refusal: Refusal::Invalid { position, .. } }) = error else { panic!("{error:?}") };
    assert_eq!(position, None);
    let searches = vec![first_ten(search(&docs)), first_ten(query)];
    let error = cluster.router(Some(1)).search(&docs, searches, read(ReadMode::Lease)).await;
    let Err(RouteError::Refused { refusal: Refusal::Invalid { position, .. } }) = error else { panic!("{error:?}") };
    assert_eq!(position, Some(1));
}
