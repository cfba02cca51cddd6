//! Data with many equals: where a search looks at all of them, what its answer holds is decided by their keys, whether
//! it compares codes or vectors.

use super::*;
use proptest::prelude::*;

/// Vectors of which many are the same, at rows in no order of their keys.
fn crowded(params: SpaceParams, seed: u64, points: u32, kinds: usize) -> Pair {
    let (mut pair, mut numbers) = (Pair::new(params), Numbers(seed));
    let mut rows: Vec<u32> = (0..points).collect();
    for place in (1..rows.len()).rev() {
        rows.swap(place, numbers.below(place + 1));
    }
    for row in rows {
        let mut kind = Numbers(seed ^ numbers.below(kinds) as u64);
        pair.put(row, (0..params.size).map(|_| kind.unit()).collect());
    }
    pair
}

/// Asserts that a search which looks at all vectors answers with those of the lowest keys, of each kind of space.
fn lowest_keys_win(seed: u64, kinds: usize) {
    for size in [4, 40] {
        for params in super::kinds(size) {
            let pair = crowded(params, seed, 3_000, kinds);
            // A target that is one of them, so that its equals are the nearest, but of dot products.
            let target = pair.model[&7].clone();
            let equals: Vec<u32> =
                pair.model.iter().filter(|(_, vector)| **vector == target).map(|(row, _)| *row).collect();
            for limit in [1, 5, 60, 100] {
                let (exact, default) =
                    (nearest(&pair.space, &target, limit, true), nearest(&pair.space, &target, limit, false));
                if params.distance != Distance::Dot {
                    let expected: Vec<u32> = equals.iter().copied().take(limit).collect();
                    assert_eq!(&exact[..expected.len()], &expected[..], "{:?}", params);
                    assert_eq!(&default[..expected.len()], &expected[..], "{:?} {}", params, limit);
                }
                let odd: Vec<u32> = equals.iter().copied().filter(|row| row % 2 == 1).take(limit).collect();
                let options = SearchOptions { filtered: true, ..SearchOptions::default() };
                let (hits, _) = find(&pair.space, &target, limit, &mut All(|row: u32| row.is_multiple_of(2)), &options);
                if params.distance != Distance::Dot {
                    let hits: Vec<u32> = hits.iter().map(|hit| hit.row.0).collect();
                    assert_eq!(&hits[..odd.len()], &odd[..], "filtered {:?} {}", params, limit);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 8, ..ProptestConfig::default() })]

    #[test]
    fn of_equals_those_with_the_lowest_keys_are_the_answer(seed: u64, kinds in prop_oneof![1usize..4, 20usize..200]) {
        lowest_keys_win(seed, kinds);
    }
}

#[test]
fn of_three_kinds_those_with_the_lowest_keys_are_the_answer() {
    lowest_keys_win(329_766_215_241, 3);
}
