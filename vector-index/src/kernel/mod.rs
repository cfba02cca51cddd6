//! Distances between one vector and many, as fast as memory delivers them.
//!
//! The only room of the crate with `unsafe`. One portable path for each sum, and the same sum in AVX2 in `x86`, chosen
//! at run time where the processor has it. Sums of floats add in the same order on both and without fused
//! multiply-add, sums of integers are exact, so every machine gets the same bits, hence the same neighbours.
//! (`simsimd` and `pulp` were weighed: their order of addition depends on the machine. Left to itself, the compiler
//! makes slow gathers of the float loops.)

mod codes;
mod lane;
mod memory;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use lane::{Block, FloatLane, HalfLane};
pub(crate) use memory::{prefer_large, prefetch};

use self::codes::{differing_bits_portable, dot_portable};

/// Rows that are best compared at once: their sums stay in the first-level cache.
pub(crate) const RUN: usize = 64;

/// What is summed over the components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    /// Products.
    Dot,
    /// Squares of the differences.
    Squares,
    /// Absolute differences.
    Absolutes,
    /// The rows' own components, whatever the query: a plain read, to hold the others against.
    Read,
}

/// Rows that follow one another, in whole lanes or in half ones.
#[derive(Debug, Clone, Copy)]
pub(crate) enum VectorRows<'a> {
    Whole(&'a [FloatLane]),
    Half(&'a [HalfLane]),
}

impl<'a> VectorRows<'a> {
    pub(crate) fn lanes(&self) -> usize {
        match self {
            Self::Whole(lanes) => lanes.len(),
            Self::Half(lanes) => lanes.len(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Whole(lanes) => size_of_val(*lanes),
            Self::Half(lanes) => size_of_val(*lanes),
        }
    }

    pub(crate) fn part(&self, from: usize, to: usize) -> VectorRows<'a> {
        match self {
            Self::Whole(lanes) => Self::Whole(&lanes[from..to]),
            Self::Half(lanes) => Self::Half(&lanes[from..to]),
        }
    }

    /// The components, in 32 bits.
    pub(crate) fn widened(&self) -> Vec<FloatLane> {
        match self {
            Self::Whole(lanes) => lanes.to_vec(),
            Self::Half(lanes) => lanes.iter().map(HalfLane::widen).collect(),
        }
    }
}

/// Compares `query` with each of the rows; `out` has one place for each row.
pub(crate) fn compare(metric: Metric, query: &[FloatLane], rows: VectorRows<'_>, out: &mut [f32]) {
    debug_assert_eq!(rows.lanes(), query.len() * out.len());
    let mut partial = [FloatLane::ZERO; RUN];
    let run = query.len() * RUN;
    for (number, out) in out.chunks_mut(RUN).enumerate() {
        let rows = rows.part(number * run, number * run + out.len() * query.len());
        add_up(metric, query, rows, &mut partial);
        for (partial, out) in partial.iter().zip(out) {
            *out = fold(partial);
        }
    }
}

/// The dot product of two rows of as many blocks.
pub(crate) fn dot(left: &[Block], right: &[Block]) -> i32 {
    debug_assert_eq!(left.len(), right.len());
    #[cfg(target_arch = "x86_64")]
    if let Some(sum) = x86::dot(left, right) {
        return sum;
    }
    dot_portable(left, right)
}

/// How many bits of two rows of as many words differ.
pub(crate) fn differing_bits(left: &[u64], right: &[u64]) -> u32 {
    debug_assert_eq!(left.len(), right.len());
    #[cfg(target_arch = "x86_64")]
    if let Some(count) = x86::differing_bits(left, right) {
        return count;
    }
    differing_bits_portable(left, right)
}

/// Adds each of at most [`RUN`] rows up to a lane of `partial`.
fn add_up(metric: Metric, query: &[FloatLane], rows: VectorRows<'_>, partial: &mut [FloatLane; RUN]) {
    #[cfg(target_arch = "x86_64")]
    if x86::add_up(metric, query, rows, partial) {
        return;
    }
    add_up_portable(metric, query, rows, partial);
}

fn add_up_portable(metric: Metric, query: &[FloatLane], rows: VectorRows<'_>, partial: &mut [FloatLane; RUN]) {
    match rows {
        VectorRows::Whole(rows) => by_metric(metric, query, rows, |lane| *lane, partial),
        VectorRows::Half(rows) => by_metric(metric, query, rows, HalfLane::widen, partial),
    }
}

fn by_metric<T>(
    metric: Metric,
    query: &[FloatLane],
    rows: &[T],
    load: impl Fn(&T) -> FloatLane + Copy,
    partial: &mut [FloatLane; RUN],
) {
    match metric {
        Metric::Dot => each_row(query, rows, partial, load, |left, right| left * right),
        Metric::Squares => each_row(query, rows, partial, load, |left, right| (left - right) * (left - right)),
        Metric::Absolutes => each_row(query, rows, partial, load, |left, right| (left - right).abs()),
        Metric::Read => each_row(query, rows, partial, load, |_, right| right),
    }
}

/// Two lanes of sums run beside one another, so that an addition need not wait for the one before it.
fn each_row<T>(
    query: &[FloatLane],
    rows: &[T],
    partial: &mut [FloatLane; RUN],
    load: impl Fn(&T) -> FloatLane + Copy,
    term: impl Fn(f32, f32) -> f32 + Copy,
) {
    for (row, partial) in rows.chunks_exact(query.len()).zip(partial) {
        // Even and odd lanes by themselves, as on every machine.
        let mut sums = [FloatLane::ZERO; 2];
        for (place, (query, row)) in query.iter().zip(row).enumerate() {
            add(&mut sums[place % 2], query, &load(row), term);
        }
        let [mut even, odd] = sums;
        for (even, odd) in even.0.iter_mut().zip(odd.0) {
            *even += odd;
        }
        *partial = even;
    }
}

#[inline]
fn add(sum: &mut FloatLane, query: &FloatLane, row: &FloatLane, term: impl Fn(f32, f32) -> f32) {
    for place in 0..FloatLane::WIDTH {
        sum.0[place] += term(query.0[place], row.0[place]);
    }
}

/// The sum of a lane, by halves.
fn fold(lane: &FloatLane) -> f32 {
    let mut sums = lane.0;
    let mut width = FloatLane::WIDTH;
    while width > 1 {
        width /= 2;
        for place in 0..width {
            sums[place] += sums[place + width];
        }
    }
    sums[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lanes(vector: &[f32]) -> Vec<FloatLane> {
        let mut lanes = vec![FloatLane::ZERO; FloatLane::count(vector.len())];
        FloatLane::fill(&mut lanes, vector);
        lanes
    }

    fn naive(metric: Metric, left: &[f32], right: &[f32]) -> f64 {
        let pairs = left.iter().zip(right).map(|(left, right)| (f64::from(*left), f64::from(*right)));
        match metric {
            Metric::Dot => pairs.map(|(left, right)| left * right).sum(),
            Metric::Squares => pairs.map(|(left, right)| (left - right).powi(2)).sum(),
            Metric::Absolutes => pairs.map(|(left, right)| (left - right).abs()).sum(),
            Metric::Read => pairs.map(|(_, right)| right).sum(),
        }
    }

    fn pair() -> impl Strategy<Value = Vec<(f32, f32)>> {
        prop::collection::vec((-10.0f32..10.0, -10.0f32..10.0), 1..200)
    }

    pub(super) type Path = fn(Metric, &[FloatLane], VectorRows<'_>, &mut [FloatLane; RUN]);

    fn paths() -> Vec<Path> {
        let mut paths: Vec<Path> = vec![add_up_portable, add_up];
        #[cfg(target_arch = "x86_64")]
        paths.extend(x86::paths());
        paths
    }

    proptest! {
        #[test]
        fn every_path_gives_the_same_bits_and_the_right_sum(pairs in pair(), count in 1..=RUN, halved: bool) {
            let (left, mut right): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            if halved {
                right.iter_mut().for_each(|part| *part = half::f16::from_f32(*part).to_f32());
            }
            let rows = lanes(&right).repeat(count);
            let halves: Vec<HalfLane> = rows.iter().filter_map(HalfLane::exactly).collect();
            prop_assert!(!halved || halves.len() == rows.len());
            let rows = if halved { VectorRows::Half(&halves) } else { VectorRows::Whole(&rows) };
            for metric in [Metric::Dot, Metric::Squares, Metric::Absolutes, Metric::Read] {
                let mut expected = [FloatLane::ZERO; RUN];
                add_up_portable(metric, &lanes(&left), VectorRows::Whole(&rows.widened()), &mut expected);
                for path in paths() {
                    let mut partial = [FloatLane::ZERO; RUN];
                    path(metric, &lanes(&left), rows, &mut partial);
                    prop_assert_eq!(partial.map(|lane| lane.0.map(f32::to_bits)), expected.map(|lane| lane.0.map(f32::to_bits)));
                }
                let mut out = vec![0.0; 3 * count];
                compare(metric, &lanes(&left), VectorRows::Whole(&rows.widened().repeat(3)), &mut out);
                let expected = naive(metric, &left, &right);
                prop_assert!(out.iter().all(|sum| (f64::from(*sum) - expected).abs() < 1e-2), "{:?} {}", out, expected);
            }
        }
    }
}
