//! Random changes, with the background's work in between.

use super::*;
use proptest::prelude::*;

/// Enough for a graph, and for walks to be cheaper than scans.
const MANY: usize = 3_000;

/// Puts, replaces, removes; now and then a step of the background.
fn churn(pair: &mut Pair, numbers: &mut Numbers, rows: usize, changes: usize) {
    for _ in 0..changes {
        let row = numbers.below(rows) as u32;
        match numbers.below(10) {
            0..8 => pair.put(row, numbers.vector(pair.space.params().size)),
            _ => pair.remove(row),
        }
        if numbers.below(40) == 0 {
            pair.space.prepare();
            let step = pair.space.step(30);
            pair.space.settle(step);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]

    #[test]
    fn any_history_leaves_what_the_model_has(seed in any::<u64>()) {
        for params in kinds(if seed % 2 == 0 { 20 } else { 40 }) {
            let (mut pair, mut numbers) = (Pair::new(params), Numbers(seed));
            for round in 0..3 {
                churn(&mut pair, &mut numbers, MANY, MANY);
                if round == 1 {
                    work_through(&mut pair.space);
                }
                prop_assert_eq!(pair.space.len(), pair.model.len());
                let target = numbers.vector(params.size);
                for limit in [1, 10, 300] {
                    let options = SearchOptions { exact: true, ..SearchOptions::default() };
                    let (exact, report) = find(&pair.space, &target, limit, &mut accept_all(), &options);
                    prop_assert_eq!(report.way, Way::Exact);
                    pair.check(&target, &exact);
                    prop_assert_eq!(exact.len(), limit.min(pair.model.len()));
                    let worst = score(params.distance, &target, &pair.model[&exact.last().unwrap().row.0]);
                    let better = pair.model.values().filter(|vector| {
                        let score = score(params.distance, &target, vector);
                        if params.distance.more_is_nearer() { score > worst + 1e-4 } else { score < worst - 1e-4 }
                    });
                    prop_assert!(better.count() < limit);
                    let (hits, _) = find(&pair.space, &target, limit, &mut accept_all(), &SearchOptions::default());
                    pair.check(&target, &hits);
                    prop_assert_eq!(hits.len(), exact.len());
                }
                let gone = (0..MANY as u32).filter(|row| !pair.model.contains_key(row));
                prop_assert!(gone.into_iter().all(|row| pair.space.get(Row(row)).is_none()));
                prop_assert!(pair.model.iter().all(|(row, vector)| pair.space.get(Row(*row)).as_ref() == Some(vector)));
            }
        }
    }

    #[test]
    fn filters_are_kept_and_get_all_there_is(seed in any::<u64>(), one_in in prop_oneof![1u32..4, 10u32..400], certain in any::<bool>()) {
        let params = params(Distance::Cosine, Quantization::Int8, 40);
        let (mut pair, mut numbers) = (Pair::new(params), Numbers(seed));
        churn(&mut pair, &mut numbers, 6_000, 12_000);
        work_through(&mut pair.space);
        let matches = |row: u32| row.is_multiple_of(one_in);
        let expected = pair.model.keys().filter(|row| matches(**row)).count();
        let rows = bitmap(pair.model.keys().copied().filter(|row| matches(*row) || !certain && row % 7 == 0));
        for among in [None, Some(Among { rows: &rows, certain })] {
            let target = numbers.vector(params.size);
            let options = SearchOptions { among, filtered: true, ..SearchOptions::default() };
            let (hits, report) = find(&pair.space, &target, 20, &mut All(|row| !matches(row)), &options);
            pair.check(&target, &hits);
            prop_assert!(hits.iter().all(|hit| matches(hit.row.0)));
            prop_assert_eq!(hits.len(), expected.min(20), "{:?}", report);
        }
    }
}

#[test]
fn every_point_is_found_by_its_own_vector() {
    for params in [kinds(24), kinds(40)].concat().into_iter().filter(|params| params.distance != Distance::Dot) {
        let (mut pair, mut numbers) = (Pair::new(params), Numbers(7));
        churn(&mut pair, &mut numbers, MANY, 2 * MANY);
        work_through(&mut pair.space);
        let progress = pair.space.progress();
        assert_eq!((progress.linked as usize, progress.tail), (pair.model.len(), 0));
        // Two hundred around one centre, all nearer to it than to one another, are as hard as it gets.
        let options = SearchOptions { ef: Some(128), ..SearchOptions::default() };
        for (row, vector) in &pair.model {
            let own = score(params.distance, vector, vector);
            let (hits, _) = find(&pair.space, vector, 10, &mut accept_all(), &options);
            // Of twins, some of the others will do: they are all as near.
            let as_near = hits.iter().all(|hit| (f64::from(hit.score) - own).abs() < 1e-5);
            assert!(as_near || hits.iter().any(|hit| hit.row.0 == *row), "{params:?} {row} {hits:?}");
        }
    }
}

#[test]
fn a_walk_finds_nearly_what_a_scan_finds() {
    for params in [kinds(24), kinds(40)].concat() {
        let (mut pair, mut numbers) = (Pair::new(params), Numbers(11));
        for row in 0..6_000 {
            pair.put(row, numbers.vector(params.size));
        }
        work_through(&mut pair.space);
        let target = numbers.vector(params.size);
        let (_, report) = find(&pair.space, &target, 10, &mut accept_all(), &SearchOptions::default());
        // Groups in more dimensions lie so far apart that a walk may not be worth its while.
        let walked = matches!(report.way, Way::Graph | Way::GraphOfVectors) && report.compared < 4_000;
        assert!(walked || params.size > 24, "{params:?} {report:?}");
        // Signs of 24 components say little, and inner products have no neighbourhoods.
        let floor =
            if params.quantization == Quantization::Binary || params.distance == Distance::Dot { 0.75 } else { 0.95 };
        let recall = pair.recall(&mut numbers, 10);
        assert!(recall >= floor, "{params:?} {recall}");
    }
}

#[test]
fn what_is_put_is_found_before_it_is_linked() {
    let (mut pair, mut numbers) = (Pair::new(params(Distance::Euclid, Quantization::Int8, 40)), Numbers(3));
    for row in 0..5_000 {
        pair.put(row, numbers.vector(40));
    }
    work_through(&mut pair.space);
    for row in 0..300 {
        let vector = numbers.vector(40);
        pair.put(row, vector.clone());
        let (hits, report) = find(&pair.space, &vector, 1, &mut accept_all(), &SearchOptions::default());
        assert!(hits[0].score == 0.0 && report.way != Way::Exact, "{report:?}");
    }
    assert_eq!(pair.space.progress().tail, 300);
}

#[test]
fn a_payload_that_changes_leaves_the_vector_in_its_place() {
    let (mut pair, mut numbers) = (Pair::new(params(Distance::Dot, Quantization::Int8, 8)), Numbers(3));
    for row in 0..2_500 {
        pair.put(row, numbers.vector(8));
    }
    work_through(&mut pair.space);
    for (row, vector) in pair.model.clone() {
        pair.put(row, vector);
    }
    assert_eq!(pair.space.progress(), IndexingProgress { linked: 2_500, tail: 0, dead: 0 });
}

#[test]
fn a_graph_outlives_the_removal_of_everything() {
    let (mut pair, mut numbers) = (Pair::new(params(Distance::Cosine, Quantization::Int8, 8)), Numbers(5));
    for _ in 0..2 {
        for row in 0..2_500 {
            pair.put(row, numbers.vector(8));
        }
        work_through(&mut pair.space);
        assert!(pair.recall(&mut numbers, 10) > 0.9);
        for row in 0..2_500 {
            pair.remove(row);
        }
        work_through(&mut pair.space);
        assert_eq!(pair.space.progress(), IndexingProgress::default());
        assert_eq!(nearest(&pair.space, &[1.0; 8], 10, false), [0_u32; 0]);
    }
}

#[test]
fn everything_is_found_while_everything_is_replaced() {
    let (mut pair, mut numbers) = (Pair::new(params(Distance::Cosine, Quantization::Int8, 8)), Numbers(5));
    for row in 0..3_000 {
        pair.put(row, numbers.vector(8));
    }
    work_through(&mut pair.space);
    // All at once, before the background has done anything: not one that is linked is left.
    for row in 0..3_000 {
        pair.put(row, numbers.vector(8));
    }
    while pair.space.has_work(true) {
        pair.space.prepare();
        let step = pair.space.step(8);
        pair.space.settle(step);
        let target = numbers.vector(8);
        let (found, exact) = (nearest(&pair.space, &target, 10, false), nearest(&pair.space, &target, 10, true));
        let recalled = found.iter().filter(|row| exact.contains(row)).count();
        assert!(found.len() == 10 && recalled >= 5, "{recalled} {:?}", pair.space.progress());
    }
    assert!(pair.recall(&mut numbers, 10) > 0.95);
}

#[test]
fn vectors_of_any_length_are_found() {
    // Not of dot products, all of which are the greatest there is.
    for distance in [Distance::Euclid, Distance::Cosine] {
        let (mut pair, mut numbers) = (Pair::new(params(distance, Quantization::Int8, 40)), Numbers(5));
        for row in 0..2_500 {
            pair.put(row, numbers.vector(40));
        }
        pair.put(2_500, vec![3e38; 40]);
        pair.put(2_501, vec![-1e30; 40]);
        work_through(&mut pair.space);
        assert_eq!(nearest(&pair.space, &[3e38; 40], 1, false), [2_500], "{distance}");
        // One vector far off changes nothing for the others, and leaves no trace.
        let target = numbers.vector(40);
        let way = |space: &Space| find(space, &target, 10, &mut accept_all(), &SearchOptions::default()).1.way;
        assert_ne!(way(&pair.space), Way::Exact, "{distance}");
        pair.remove(2_500);
        pair.remove(2_501);
        work_through(&mut pair.space);
        assert!(way(&pair.space) != Way::Exact && pair.space.progress().tail == 0, "{distance}");
    }
}

#[test]
fn without_a_graph_every_vector_is_compared() {
    let kind = SpaceParams { graph: None, ..params(Distance::Cosine, Quantization::None, 8) };
    let (mut pair, mut numbers) = (Pair::new(kind), Numbers(5));
    for row in 0..5_000 {
        pair.put(row, numbers.vector(8));
    }
    assert!(!pair.space.has_work(true));
    let (hits, report) = find(&pair.space, &[1.0; 8], 10, &mut accept_all(), &SearchOptions::default());
    pair.check(&[1.0; 8], &hits);
    assert_eq!((report.way, report.compared), (Way::Exact, 5_000));
}
