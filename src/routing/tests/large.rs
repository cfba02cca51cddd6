//! Answers whose payloads are too much for one message: what is shown is whole and of one state, whatever was fetched
//! when, and no answer carries more than it may.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use raft_groups::ReadMode;
use raft_groups::mutants::{Mutant, plant};
use tokio::time::Instant;

use super::{docs, docs_in, options, point, read, soon};
use crate::engine::{
    DEFAULT_VECTOR, GetQuery, Hit, Payload, PayloadSelector, PointId, PointWrite, Record, RequestId, ScrollQuery,
    SearchQuery, Target, VectorSelector,
};
use crate::model::SearchParams;
use crate::routing::request::CallOptions;
use crate::routing::testing::FakeCluster;
use crate::routing::{Acknowledge, Collection, PageSearch, ReadOptions, RouteError, Router};

/// A point of generation `generation`, which its vector and its payload tell alike.
pub(super) fn of_size(id: u64, generation: u64, bytes: usize) -> PointWrite {
    let payload = Payload::from_text(format!(r#"{{"generation":{generation},"pad":"{}"}}"#, "x".repeat(bytes)));
    let vectors = [(DEFAULT_VECTOR.to_owned(), vec![1.0 + generation as f32, id as f32])].into();
    PointWrite { vectors, payload, ..point(id) }
}

pub(super) async fn write(router: &Router, docs: &Collection, points: Vec<PointWrite>, number: u128) {
    let options = CallOptions { request_id: RequestId(uuid::Uuid::from_u128(number)), deadline: soon(), ..options() };
    router.upsert(docs, points, Acknowledge::Committed, options).await.unwrap();
}

pub(super) fn nearest(docs: &Collection, limit: usize, left_out: Option<PointId>) -> PageSearch {
    let query = SearchQuery {
        collection: docs.entry.id,
        vector_name: String::new(),
        target: Target::Vector(vec![1.0, 0.5]),
        limit: 0,
        filter: None,
        score_threshold: None,
        with_payload: PayloadSelector::All,
        with_vector: VectorSelector::All,
        params: SearchParams { exact: true, ef: None },
    };
    PageSearch { query, offset: 0, limit, left_out }
}

async fn search(router: &Router, docs: &Collection, search: PageSearch) -> Result<Vec<Hit>, RouteError> {
    let answer = router.search(docs, vec![search], read(ReadMode::Lease)).await?;
    Ok(answer.value.into_iter().flat_map(|page| page.hits).map(|(_, hit)| hit).collect())
}

async fn get(router: &Router, docs: &Collection, ids: Vec<PointId>) -> Result<Vec<Record>, RouteError> {
    let (with_payload, with_vector) = (PayloadSelector::All, VectorSelector::All);
    let query = GetQuery { collection: docs.entry.id, ids, with_payload, with_vector };
    let answer = router.get(docs, query, read(ReadMode::Lease)).await?;
    Ok(answer.value.into_iter().map(|(_, record)| record).collect())
}

/// Every point by pages of `limit`, and the most that one page carried.
async fn scroll(router: &Router, docs: &Collection, limit: usize) -> (Vec<Record>, usize) {
    let (mut all, mut most, mut offset) = (Vec::new(), 0, None);
    loop {
        let (with_payload, with_vector) = (PayloadSelector::All, VectorSelector::All);
        let query = ScrollQuery { collection: docs.entry.id, offset, limit, filter: None, with_payload, with_vector };
        let page = router.scroll(docs, query, read(ReadMode::Lease)).await.unwrap().value;
        assert!(page.records.len() <= limit && (page.next.is_none() || !page.records.is_empty()));
        most = most.max(page.records.iter().map(|(_, record)| record.weight()).sum());
        all.extend(page.records.into_iter().map(|(_, record)| record));
        offset = page.next;
        if offset.is_none() {
            return (all, most);
        }
    }
}

async fn check_sizes(sizes: &[usize], limit: usize, left_out: Option<u64>) {
    let (cluster, docs) = docs().await;
    let router = cluster.router(Some(1));
    let points: Vec<PointWrite> = (0..).zip(sizes).map(|(id, bytes)| of_size(id, 0, *bytes)).collect();
    write(&router, &docs, points.clone(), 1).await;
    let written = |id: PointId| points.iter().find(|point| point.id == id).unwrap();
    let ids: Vec<PointId> = points.iter().map(|point| point.id).collect();
    for record in get(&router, &docs, ids.clone()).await.unwrap() {
        let written = written(record.id);
        assert_eq!(
            (record.payload.as_ref(), record.vectors.as_ref()),
            (Some(&written.payload), Some(&written.vectors))
        );
    }
    let (all, _) = scroll(&router, &docs, limit).await;
    assert_eq!(all.iter().map(|record| record.id).collect::<Vec<_>>(), ids);
    assert!(all.iter().all(|record| record.payload.as_ref() == Some(&written(record.id).payload)));
    let left_out = left_out.map(PointId::Num);
    let hits = search(&router, &docs, nearest(&docs, limit, left_out)).await.unwrap();
    let shown: BTreeSet<PointId> = hits.iter().map(|hit| hit.id).collect();
    let others = ids.iter().filter(|id| Some(**id) != left_out).count();
    assert_eq!((hits.len(), shown.len()), (others.min(limit), others.min(limit)));
    assert!(left_out.is_none_or(|id| !shown.contains(&id)));
    for hit in hits {
        assert_eq!(
            (hit.payload.as_ref(), hit.vectors.as_ref()),
            (Some(&written(hit.id).payload), Some(&written(hit.id).vectors))
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn whatever_their_sizes_all_that_is_shown_is_whole(
        sizes in prop::collection::vec(prop_oneof![0_usize..200, 10_000_usize..300_000], 1..40),
        limit in 1_usize..30,
        left_out in prop::option::of(0_u64..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(check_sizes(&sizes, limit, left_out));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_too_much_for_an_answer_is_refused_or_comes_in_pages() {
    let (cluster, docs) = docs().await;
    let router = cluster.router(None);
    for part in 0..10 {
        write(&router, &docs, (0..10).map(|id| of_size(part * 10 + id, 0, 700_000)).collect(), part.into()).await;
    }
    let ids = |count: u64| (0..count).map(PointId::Num).collect::<Vec<_>>();
    let limit = 64 << 20;
    assert_eq!(get(&router, &docs, ids(100)).await, Err(RouteError::AnswerTooLarge { limit }));
    assert_eq!(search(&router, &docs, nearest(&docs, 100, None)).await, Err(RouteError::AnswerTooLarge { limit }));
    assert_eq!(get(&router, &docs, ids(90)).await.unwrap().len(), 90);
    assert_eq!(search(&router, &docs, nearest(&docs, 90, None)).await.unwrap().len(), 90);
    let (all, most) = scroll(&router, &docs, 100).await;
    assert_eq!(all.len(), 100);
    assert!(most <= 64 << 20, "{most}");
}

#[tokio::test(start_paused = true)]
async fn several_searches_show_the_same_points_whole() {
    let (cluster, docs) = docs().await;
    let router = cluster.router(Some(1));
    let points: Vec<PointWrite> = (0..20).map(|id| of_size(id, 0, 300_000)).collect();
    write(&router, &docs, points.clone(), 1).await;
    // Many want little, and some want nearly all that an answer may carry.
    let limits = (0..100).map(|place| if place % 20 == 0 { 18 } else { 1 });
    let searches: Vec<PageSearch> =
        limits.clone().map(|limit| nearest(&docs, limit, (limit == 1).then_some(PointId::Num(3)))).collect();
    let before = cluster.requests();
    let pages = router.search(&docs, searches, read(ReadMode::Lease)).await.unwrap().value;
    assert!(pages.iter().map(|page| page.hits.len()).eq(limits));
    for (_, hit) in pages.iter().flat_map(|page| &page.hits) {
        let written = points.iter().find(|point| point.id == hit.id).unwrap();
        assert_eq!((hit.payload.as_ref(), hit.vectors.as_ref()), (Some(&written.payload), Some(&written.vectors)));
    }
    let asked = cluster.requests() - before;
    assert!(asked <= 2 * 3, "nothing has changed, and the nodes were asked {asked} times");
}

#[tokio::test(start_paused = true)]
async fn however_many_the_shards_and_large_the_points_all_of_them_come_in_pages() {
    let (cluster, docs) = docs_in(256).await;
    let router = cluster.router(None);
    for part in 0..5 {
        write(&router, &docs, (0..10).map(|id| of_size(part * 10 + id, 0, 500_000)).collect(), part.into()).await;
    }
    let (all, most) = scroll(&router, &docs, 100).await;
    assert_eq!(all.len(), 50);
    assert!(most <= 64 << 20, "{most}");
    assert_eq!(search(&router, &docs, nearest(&docs, 50, None)).await.unwrap().len(), 50);
    assert_eq!(get(&router, &docs, (0..50).map(PointId::Num).collect()).await.unwrap().len(), 50);
}

/// As long as a large answer is here, another waits, of whatever kind, and small ones do not.
#[tokio::test(start_paused = true)]
async fn one_large_answer_is_put_together_at_a_time() {
    let (cluster, docs) = docs().await;
    let router = cluster.router(Some(1));
    write(&router, &docs, (0..60).map(|id| of_size(id, 0, 90_000)).collect(), 1).await;
    let asks = async |kind: &str, count: usize| {
        let (with_payload, with_vector) = (PayloadSelector::All, VectorSelector::All);
        let (collection, options) = (docs.entry.id, read(ReadMode::Lease));
        match kind {
            "get" => {
                let ids = (0..count as u64).map(PointId::Num).collect();
                let query = GetQuery { collection: docs.entry.id, ids, with_payload, with_vector };
                router.get(&docs, query, options).await.map(|answer| answer.held)
            }
            "scroll" => {
                let limit = count;
                let page = ScrollQuery { collection, offset: None, limit, filter: None, with_payload, with_vector };
                router.scroll(&docs, page, options).await.map(|answer| answer.held)
            }
            _ => router.search(&docs, vec![nearest(&docs, count, None)], options).await.map(|answer| answer.held),
        }
    };
    let kinds = ["get", "scroll", "search"];
    for first in kinds {
        let held = asks(first, 60).await.unwrap();
        assert!(held.is_large(), "{first}");
        for second in kinds {
            let refused = asks(second, 60).await;
            assert!(matches!(refused, Err(RouteError::Overloaded { .. })), "{first}, {second}: {refused:?}");
            assert!(!asks(second, 1).await.unwrap().is_large(), "{second}");
        }
    }
}

/// How often nodes are asked by batches of so many searches, each for 10,000 vectors, while another large answer is here.
async fn asked_in_vain(searches: usize) -> u64 {
    let (cluster, docs) = docs().await;
    let router = cluster.router(Some(1));
    write(&router, &docs, (0..60).map(|id| of_size(id, 0, 60_000)).collect(), 1).await;
    let search = async |count, limit| {
        let searches = vec![nearest(&docs, limit, None); count];
        router.search(&docs, searches, read(ReadMode::Lease)).await
    };
    let held = search(1, 60).await.unwrap().held;
    assert!(held.is_large());
    let before = cluster.requests();
    let crowd = (0..20).map(|_| search(searches, 10_000));
    for refused in futures::future::join_all(crowd).await {
        assert!(matches!(refused, Err(RouteError::Overloaded { .. })), "{refused:?}");
    }
    let asked = cluster.requests() - before;
    drop(held);
    assert!(search(searches, 10_000).await.unwrap().held.is_large());
    asked
}

/// 2 components of 4 bytes each, 10,000 times: 14 of them are more than 1 MiB.
#[tokio::test(start_paused = true)]
async fn shards_are_asked_for_much_only_when_there_is_a_place_for_the_answer() {
    assert_eq!(asked_in_vain(14).await, 0);
    assert!(asked_in_vain(13).await > 0, "how large such an answer is only shows when it comes");
    let _planted = plant(Mutant::AsksAllAtOnce);
    assert!(asked_in_vain(14).await > 0, "the bug is not planted");
}

/// How long a large answer waits for a silent shard where its client waits for 10 minutes.
async fn waits_for_a_silent_shard() -> Duration {
    let (cluster, docs) = docs().await;
    let router = cluster.router(None);
    write(&router, &docs, (0..60).map(|id| of_size(id, 0, 90_000)).collect(), 1).await;
    let options = ReadOptions { deadline: Instant::now() + Duration::from_secs(600), ..read(ReadMode::Lease) };
    let began = Instant::now();
    let reads = router.search(&docs, vec![nearest(&docs, 60, None)], options);
    let silenced = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        cluster.lead_all(None);
    };
    // In this order: the hits have come by then, and what is shown of them has not.
    let (refused, ()) = futures::future::join(reads, silenced).await;
    assert!(refused.is_err(), "it came");
    let waited = began.elapsed();
    cluster.lead_all(Some(1));
    assert_eq!(search(&router, &docs, nearest(&docs, 60, None)).await.unwrap().len(), 60);
    waited
}

/// A client that waits for minutes has the place of a large answer no longer than others can wait for it.
#[tokio::test(start_paused = true)]
async fn a_large_answer_does_not_wait_for_a_silent_shard_as_long_as_its_client_does() {
    let waited = waits_for_a_silent_shard().await;
    assert!(waited < Duration::from_secs(40), "{waited:?}");
    let _planted = plant(Mutant::WaitsAsLongAsClients);
    let waited = waits_for_a_silent_shard().await;
    assert!(waited > Duration::from_secs(300), "{waited:?}: the bug is not planted");
}

/// Reads beside a writer: how many answers came, or what one of them showed that never was.
async fn read_beside_a_writer() -> Result<usize, String> {
    let (cluster, docs) = docs().await;
    let router = cluster.router(Some(1));
    let all = |generation| (0..20).map(|id| of_size(id, generation, 90_000)).collect::<Vec<_>>();
    write(&router, &docs, all(0), 1).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(rewrite(cluster.clone(), docs.clone(), Arc::clone(&stop)));
    let (mut answers, mut torn) = (0, None);
    for _ in 0..60 {
        match search(&router, &docs, nearest(&docs, 20, None)).await {
            Ok(hits) => {
                answers += 1;
                assert_eq!(hits.len(), 20);
                torn = torn.or_else(|| hits.into_iter().find_map(what_never_was));
            }
            Err(RouteError::Overloaded { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    torn.map_or(Ok(answers), Err)
}

/// What a hit shows together that was never there together.
fn what_never_was(hit: Hit) -> Option<String> {
    let payload = hit.payload?.members().ok()?;
    let told = hit.vectors?[DEFAULT_VECTOR][0] - 1.0;
    let right = score(told, hit.id);
    let fits = payload["generation"].as_f64() == Some(f64::from(told)) && (hit.score - right).abs() < 1e-5;
    (!fits).then(|| format!("{:?}: score {} beside generation {told}, whose is {right}", hit.id, hit.score))
}

#[tokio::test(start_paused = true)]
async fn what_changes_meanwhile_is_never_shown_beside_what_it_was() {
    let answers = read_beside_a_writer().await;
    assert!(answers.as_ref().is_ok_and(|answers| *answers > 0), "{answers:?}");
    let _planted = plant(Mutant::MixesStates);
    read_beside_a_writer().await.expect_err("the planted bug is not seen");
}

/// Writes all points again and again, now and then fast enough to come between two reads of one answer.
async fn rewrite(cluster: FakeCluster, docs: Collection, stop: Arc<AtomicBool>) {
    let router = cluster.router(Some(2));
    for generation in 1.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        for id in 0..20 {
            write(&router, &docs, vec![of_size(id, generation, 90_000)], u128::from(generation * 100 + id)).await;
        }
        tokio::time::sleep(Duration::from_millis(generation % 7 * 5)).await;
    }
}

/// The cosine of the search's vector with that of a point.
fn score(generation: f32, id: PointId) -> f32 {
    let PointId::Num(id) = id else { panic!("all are numbers") };
    let (x, y) = (f64::from(1.0 + generation), id as f64);
    ((x + 0.5 * y) / (1.25_f64.sqrt() * (x * x + y * y).sqrt())) as f32
}
