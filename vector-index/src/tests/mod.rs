//! The space as a whole, against a model that compares everything.

mod changes;
mod images;
mod recall;
mod retaken;
mod sample;
mod ties;

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use crate::*;

const DISTANCES: [Distance; 4] = [Distance::Cosine, Distance::Dot, Distance::Euclid, Distance::Manhattan];

/// A generator that needs no crate and gives the same numbers everywhere (SplitMix64, Steele et al. 2014).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Uniform in [-1, 1).
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// Around one of a few centres, as real data is, and now and then a vector that was there before.
    fn vector(&mut self, size: usize) -> Vec<f32> {
        let mut centre = Self(self.next() % 20);
        let twin = self.below(50) == 0;
        (0..size).map(|_| centre.unit() + if twin { 0.0 } else { 0.4 * self.unit() }).collect()
    }
}

/// Every point is accepted but those whose row `refuses`.
struct All<F>(F);

impl<F: Fn(u32) -> bool> PointLookup for All<F> {
    fn key(&self, row: Row) -> Key {
        key(row)
    }

    fn accepts(&mut self, row: Row) -> bool {
        !self.0(row.0)
    }
}

fn key(row: Row) -> Key {
    Key(0, u128::from(row.0))
}

fn accept_all() -> All<impl Fn(u32) -> bool> {
    All(|_| false)
}

fn params(distance: Distance, quantization: Quantization, size: usize) -> SpaceParams {
    SpaceParams { quantization, ..SpaceParams::new(size, distance) }
}

/// All the combinations there are.
fn kinds(size: usize) -> Vec<SpaceParams> {
    let codes = [Quantization::None, Quantization::Int8, Quantization::Binary];
    let pairs = DISTANCES.into_iter().flat_map(|distance| codes.map(|codes| (distance, codes)));
    let there = pairs.filter(|(distance, codes)| *distance != Distance::Manhattan || *codes == Quantization::None);
    there.map(|(distance, codes)| params(distance, codes, size)).collect()
}

fn work_through(space: &mut Space) {
    while space.has_work(true) {
        space.prepare();
        let step = space.step(50);
        space.settle(step);
    }
}

fn find(
    space: &Space,
    vector: &[f32],
    limit: usize,
    points: &mut dyn PointLookup,
    options: &SearchOptions<'_>,
) -> (Vec<ScoredRow>, SearchReport) {
    let mut top = Top::new(space.params().distance, limit, None);
    let report = space.search(vector, points, &mut top, options);
    (top.into_sorted(), report)
}

fn nearest(space: &Space, vector: &[f32], limit: usize, exact: bool) -> Vec<u32> {
    let options = SearchOptions { exact, ..SearchOptions::default() };
    find(space, vector, limit, &mut accept_all(), &options).0.into_iter().map(|hit| hit.row.0).collect()
}

/// The score, in f64 and the long way.
fn score(distance: Distance, left: &[f32], right: &[f32]) -> f64 {
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

/// A space and what it must hold.
struct Pair {
    space: Space,
    model: BTreeMap<u32, Vec<f32>>,
}

impl Pair {
    fn new(params: SpaceParams) -> Self {
        Self { space: Space::new(params), model: BTreeMap::new() }
    }

    fn put(&mut self, row: u32, vector: Vec<f32>) {
        self.space.put(Row(row), &vector);
        self.model.insert(row, vector);
    }

    fn remove(&mut self, row: u32) {
        self.space.remove(Row(row));
        self.model.remove(&row);
    }

    /// Whether `hits` are points that are there, with their scores, in order, each once.
    fn check(&self, target: &[f32], hits: &[ScoredRow]) {
        let distance = self.space.params().distance;
        for hit in hits {
            let expected = score(distance, target, &self.model[&hit.row.0]);
            assert!((f64::from(hit.score) - expected).abs() < 1e-3 * expected.abs().max(1.0), "{hit:?} {expected}");
        }
        assert!(
            hits.is_sorted_by(|left, right| distance
                .rank(left.score, right.score)
                .then(left.key.cmp(&right.key))
                .is_lt())
        );
    }

    /// What part of the nearest `limit` a search finds, over some targets.
    fn recall(&self, numbers: &mut Numbers, limit: usize) -> f64 {
        let (mut found, mut all) = (0, 0);
        for _ in 0..50 {
            let target = numbers.vector(self.space.params().size);
            let expected = nearest(&self.space, &target, limit, true);
            let got = nearest(&self.space, &target, limit, false);
            all += expected.len();
            found += expected.iter().filter(|row| got.contains(row)).count();
        }
        found as f64 / all.max(1) as f64
    }
}

fn bitmap(rows: impl Iterator<Item = u32>) -> RoaringBitmap {
    rows.collect()
}
