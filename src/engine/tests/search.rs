//! Exact search against sorting everything.

use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use vector_index::Way;

use super::*;

const DISTANCES: [Distance; 4] = [Distance::Cosine, Distance::Dot, Distance::Euclid, Distance::Manhattan];

/// Scores in f64, the long way.
fn naive_score(distance: Distance, left: &[f32], right: &[f32]) -> f64 {
    let pairs = || left.iter().zip(right).map(|(left, right)| (f64::from(*left), f64::from(*right)));
    let dot = || pairs().map(|(left, right)| left * right).sum::<f64>();
    let norm = |vector: &[f32]| vector.iter().map(|part| f64::from(*part).powi(2)).sum::<f64>().sqrt();
    match distance {
        Distance::Cosine => dot() / norm(left) / norm(right),
        Distance::Dot => dot(),
        Distance::Euclid => pairs().map(|(left, right)| (left - right).powi(2)).sum::<f64>().sqrt(),
        Distance::Manhattan => pairs().map(|(left, right)| (left - right).abs()).sum(),
    }
}

fn shard_of(distance: Distance, vectors: &[Vec<f32>]) -> Shard {
    let mut shard = Shard::with_docs(vectors[0].len(), distance);
    let parity = |id: usize| payload(json!({"odd": id % 2 == 1}));
    let points = vectors.iter().enumerate();
    let points = points.map(|(id, vector)| PointWrite { payload: parity(id), ..point(id as u64, vector) });
    assert!(matches!(shard.upsert(points.collect()), Reply::Upserted(_)));
    shard
}

/// Small whole numbers, so that ties are many and sums are exact.
fn whole_vectors() -> impl Strategy<Value = Vec<Vec<f32>>> {
    (1usize..40).prop_flat_map(|size| {
        let vector = prop::collection::vec((-3i8..4).prop_map(f32::from), size);
        prop::collection::vec(vector.prop_filter("not zero", |vector| vector.iter().any(|part| *part != 0.0)), 2..120)
    })
}

proptest! {
    #[test]
    fn finds_what_sorting_finds(vectors in whole_vectors(), limit in 1usize..20, odd in any::<bool>(), threshold in prop::option::of(-2.0f32..5.0)) {
        let (target, vectors) = vectors.split_first().unwrap();
        // Cosine rounds, so its ties are not exact: it has the test below.
        for distance in [Distance::Dot, Distance::Euclid, Distance::Manhattan] {
            let shard = shard_of(distance, vectors);
            let filter = odd.then(|| filter(json!({"must": {"key": "odd", "match": {"value": true}}})));
            let found = shard.engine.search(&SearchQuery { filter, score_threshold: threshold, ..nearest(target, limit) }).unwrap();
            let mut expected: Vec<(f32, u64)> = vectors.iter().enumerate()
                .filter(|(id, _)| !odd || id % 2 == 1)
                .map(|(id, vector)| (naive_score(distance, target, vector) as f32 + 0.0, id as u64))
                .filter(|(score, _)| threshold.is_none_or(|bound| if distance == Distance::Dot { *score >= bound } else { *score <= bound }))
                .collect();
            expected.sort_by(|left, right| {
                let order = left.0.total_cmp(&right.0);
                (if distance == Distance::Dot { order.reverse() } else { order }).then(left.1.cmp(&right.1))
            });
            expected.truncate(limit);
            let found: Vec<(f32, u64)> = found.iter().map(|hit| (hit.score, match hit.id { PointId::Num(id) => id, PointId::Uuid(_) => 0 })).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn scores_are_right_and_in_order(vectors in prop::collection::vec(prop::collection::vec(-1.0f32..1.0, 33), 2..80)) {
        let (target, vectors) = vectors.split_first().unwrap();
        for distance in DISTANCES {
            let shard = shard_of(distance, vectors);
            let found = shard.engine.search(&nearest(target, 10)).unwrap();
            prop_assert_eq!(found.len(), vectors.len().min(10));
            for hit in &found {
                let PointId::Num(id) = hit.id else { unreachable!() };
                let expected = naive_score(distance, target, &vectors[id as usize]);
                prop_assert!((f64::from(hit.score) - expected).abs() < 1e-4, "{} {}", hit.score, expected);
            }
            prop_assert!(found.is_sorted_by(|left, right| distance.rank(left.score, right.score).then(left.id.cmp(&right.id)).is_lt()));
        }
    }

    #[test]
    fn shards_merged_answer_like_one(vectors in whole_vectors(), offset in 0usize..5, limit in 1usize..20) {
        let (target, vectors) = vectors.split_first().unwrap();
        for distance in DISTANCES {
            let whole = shard_of(distance, vectors).engine.search(&nearest(target, offset + limit)).unwrap();
            let mut parts = [Shard::with_docs(target.len(), distance), Shard::with_docs(target.len(), distance)];
            for (id, vector) in vectors.iter().enumerate() {
                parts[id / 3 % 2].upsert(vec![point(id as u64, vector)]);
            }
            let parts = parts.iter().map(|part| part.engine.search(&nearest(target, offset + limit)).unwrap());
            let ids = |hits: Vec<Hit>| hits.into_iter().map(|hit| (hit.id, hit.score.to_bits())).collect::<Vec<_>>();
            let merged = merge_hits(distance, parts.collect(), offset, limit);
            prop_assert_eq!(ids(merged), ids(whole.into_iter().skip(offset).collect()));
        }
    }
}

#[test]
fn the_filter_is_asked_only_where_it_matters() {
    let vectors: Vec<Vec<f32>> = (1..=5_000u32).map(|id| vec![1.0, (id * 7_919 % 5_003) as f32]).collect();
    let shard = shard_of(Distance::Dot, &vectors);
    let odd = filter(json!({"must": {"key": "odd", "match": {"value": true}}}));
    let found = shard.engine.find(&SearchQuery { filter: Some(odd), ..nearest(&[0.0, 1.0], 10) }).unwrap();
    assert_eq!((found.hits.len(), found.explain.way, found.explain.compared), (10, Way::Exact, 5_000));
    assert!(found.explain.filtered < 500, "{:?}", found.explain);
}

#[test]
fn bad_searches_are_refused() {
    let shard = shard_of(Distance::Cosine, &[vec![1.0, 0.0]]);
    let query = || nearest(&[1.0, 0.0], 1);
    let ef = |ef| SearchParams { ef: Some(ef), exact: false };
    for (bad, field) in [
        (nearest(&[1.0, 0.0], 0), "limit"),
        (nearest(&[1.0, 0.0], limits::MAX_LIMIT + 1), "limit"),
        (nearest(&[1.0], 1), "vector"),
        (nearest(&[0.0, 0.0], 1), "vector"),
        (nearest(&[f32::NAN, 0.0], 1), "vector"),
        (SearchQuery { vector_name: "image".to_owned(), ..query() }, "vector_name"),
        (SearchQuery { score_threshold: Some(f32::NAN), ..query() }, "score_threshold"),
        (SearchQuery { params: ef(0), ..query() }, "params.ef"),
        (SearchQuery { params: ef(limits::MAX_EF + 1), ..query() }, "params.ef"),
    ] {
        match shard.engine.search(&bad) {
            Err(Refusal::Invalid { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{field}: {other:?}"),
        }
    }
    assert_eq!(shard.engine.search(&SearchQuery { params: ef(64), ..query() }).unwrap().len(), 1);
}

#[test]
fn a_search_sees_a_batch_whole_or_not_at_all() {
    let mut shard = Shard::with_docs(1, Distance::Euclid);
    let batch = |value: f32| (0..200).map(|id| point(id, &[value])).collect::<Vec<_>>();
    shard.upsert(batch(0.0));
    let (done, Shard { engine, index, .. }) = (AtomicBool::new(false), shard);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for round in 1..300u64 {
                let command = Command::Upsert { collection: DOCS, request: None, points: batch(round as f32) };
                engine
                    .apply(Position { index: index + round, term: 1 }, &command.encode(), &mut Changes::default())
                    .unwrap();
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            let hits = engine.search(&nearest(&[0.0], 200)).unwrap();
            assert!(
                hits.len() == 200
                    && hits.iter().all(|hit| hit.score == hits[0].score && hit.version == hits[0].version)
            );
        }
    });
}
