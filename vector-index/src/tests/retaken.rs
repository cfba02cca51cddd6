//! Spaces whose vectors become others than those that their codes were taken of: what a search at the defaults finds.

use super::*;

/// How vectors are drawn.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// About normal, far from zero.
    Far,
    /// Large.
    Large,
    /// Small.
    Small,
    /// In one of two places that are far apart.
    TwoPlaces,
    /// As the rest of the tests draws them.
    Usual,
    /// All in one place, but for a little.
    Narrow,
    /// One and the same.
    Same,
    /// Only zeros but for one component.
    Sparse,
}

const KINDS: [Kind; 8] =
    [Kind::Far, Kind::Large, Kind::Small, Kind::TwoPlaces, Kind::Usual, Kind::Narrow, Kind::Same, Kind::Sparse];

impl Kind {
    fn draw(self, numbers: &mut Numbers, size: usize) -> Vec<f32> {
        let side = if numbers.below(2) == 0 { 1e6 } else { -1e6 };
        match self {
            Self::Far => (0..size).map(|_| 1e4 + numbers.unit()).collect(),
            Self::Large => (0..size).map(|_| 1e6 * numbers.unit()).collect(),
            Self::Small => (0..size).map(|_| 1e-6 * numbers.unit()).collect(),
            Self::TwoPlaces => (0..size).map(|_| side + numbers.unit()).collect(),
            Self::Usual => numbers.vector(size),
            Self::Narrow => (0..size).map(|place| place as f32 + 1e-3 * numbers.unit()).collect(),
            Self::Same => vec![0.5; size],
            Self::Sparse => {
                let place = numbers.below(size);
                (0..size).map(|at| if at == place { 1.0 + numbers.unit().abs() } else { 0.0 }).collect()
            }
        }
    }
}

/// The share of the nearest ten that is found; of equally far ones any is right.
fn recall(space: &Space, targets: &[Vec<f32>]) -> f64 {
    let found = targets.iter().map(|target| {
        let exact = SearchOptions { exact: true, ..SearchOptions::default() };
        let (truth, _) = find(space, target, 10, &mut accept_all(), &exact);
        let (hits, _) = find(space, target, 10, &mut accept_all(), &SearchOptions::default());
        let distance = space.params().distance;
        let Some(last) = truth.last() else { return 10 };
        hits.iter().filter(|hit| distance.rank(hit.score, last.score).is_le()).count() + 10 - truth.len()
    });
    found.sum::<usize>() as f64 / (10 * targets.len()) as f64
}

/// How the new ones come.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// Each over an old one.
    Overwriting,
    /// A third as many, once nearly all old ones are gone.
    Refilling,
    /// Half as many, beside the old ones.
    Joining,
}

/// Of all cases, one in so many is run.
const ONE_IN: usize = 31;

#[test]
fn codes_of_vectors_that_are_gone_say_nothing_of_those_that_came() {
    let int8 = kinds(48).into_iter().filter(|params| params.quantization == Quantization::Int8);
    let both = int8.flat_map(|params| [params, SpaceParams { graph: None, ..params }]);
    let mut cases = Vec::new();
    for params in both {
        for count in [300, 700, 1_999, 2_600] {
            for change in [Change::Overwriting, Change::Refilling, Change::Joining] {
                let pairs = KINDS.into_iter().flat_map(|old| KINDS.map(|new| (old, new)));
                cases.extend(pairs.map(|(old, new)| (params, count, change, old, new)));
            }
        }
    }
    let poor = cases.into_iter().step_by(ONE_IN).filter_map(|(params, count, change, old, new)| {
        let found = found_after(params, count, change, old, new);
        let (distance, graph) = (params.distance, params.graph.is_some());
        (found < 0.95).then(|| format!("{distance} graph {graph} {count} {old:?} {change:?} {new:?}: {found}"))
    });
    let poor: Vec<String> = poor.collect();
    assert!(poor.is_empty(), "{}\n{}", poor.len(), poor.join("\n"));
}

/// What walks begin at is linked, and what it leads to on the upper levels is dead, with nothing but the dead around it.
#[test]
fn a_climb_that_ends_among_the_dead_keeps_no_slot_out() {
    let params = params(Distance::Cosine, Quantization::Binary, 33);
    let found = found_after(params, 2_001, Change::Overwriting, Kind::Same, Kind::TwoPlaces);
    assert!(found >= 0.95, "{found}");
}

fn found_after(params: SpaceParams, count: usize, change: Change, old: Kind, new: Kind) -> f64 {
    let (mut space, mut numbers) = (Space::new(params), Numbers(5));
    let put = |space: &mut Space, numbers: &mut Numbers, rows: std::ops::Range<usize>, kind: Kind| {
        for row in rows {
            space.put(Row(row as u32), &kind.draw(numbers, params.size));
            if row % 50 == 0 && space.has_work(false) {
                space.prepare();
                let step = space.step(100);
                space.settle(step);
            }
        }
    };
    put(&mut space, &mut numbers, 0..count, old);
    match change {
        Change::Overwriting => put(&mut space, &mut numbers, 0..count, new),
        Change::Joining => put(&mut space, &mut numbers, count..count + count / 2, new),
        Change::Refilling => {
            (5..count).for_each(|row| space.remove(Row(row as u32)));
            put(&mut space, &mut numbers, 5..count / 3 + 5, new);
        }
    }
    work_through(&mut space);
    let targets: Vec<_> = (0..10).map(|_| new.draw(&mut numbers, params.size)).collect();
    recall(&space, &targets)
}
