//! Distances between one vector and many, as fast as memory delivers them.
//!
//! The only room in the engine with `unsafe`. One portable path, and the same sums in AVX2 in `x86`, chosen at run time where
//! the processor has it. Both add in the same order and without fused multiply-add, so every machine gets the same bits,
//! hence the same neighbours. (`simsimd` and `pulp` were weighed: a scan waits for memory, so neither would be faster, and
//! their order of addition depends on the machine. Left to itself, the compiler makes slow gathers of these loops.)

mod pages;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use pages::prefer_large;

/// Sixteen components: one cache line, two AVX2 registers. Vectors are padded with zeros to whole lanes,
/// which changes no distance and leaves the loop without a tail.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Lane(pub(super) [f32; Lane::WIDTH]);

impl Lane {
    pub(super) const WIDTH: usize = 16;
    pub(super) const ZERO: Self = Self([0.0; Self::WIDTH]);

    /// How many lanes hold `size` components.
    pub(super) fn count(size: usize) -> usize {
        size.div_ceil(Self::WIDTH)
    }

    /// Copies `vector` into `lanes`, zeros after its end.
    pub(super) fn fill(lanes: &mut [Self], vector: &[f32]) {
        lanes.fill(Self::ZERO);
        for (lane, part) in lanes.iter_mut().zip(vector.chunks(Self::WIDTH)) {
            lane.0[..part.len()].copy_from_slice(part);
        }
    }
}

/// Rows that are best compared at once: their sums stay in the first-level cache.
pub(super) const RUN: usize = 64;

/// What is summed over the components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    /// Products.
    Dot,
    /// Squares of the differences.
    Squares,
    /// Absolute differences.
    Absolutes,
    /// The rows' own components, whatever the query: a plain read, to hold the others against.
    Read,
}

/// Compares `query` with each of the rows, which follow one another in `rows`; `out` has one place for each row.
pub(super) fn compare(metric: Metric, query: &[Lane], rows: &[Lane], out: &mut [f32]) {
    debug_assert_eq!(rows.len(), query.len() * out.len());
    let mut partial = [Lane::ZERO; RUN];
    for (rows, out) in rows.chunks(query.len().max(1) * RUN).zip(out.chunks_mut(RUN)) {
        add_up(metric, query, rows, &mut partial);
        for (partial, out) in partial.iter().zip(out) {
            *out = fold(partial);
        }
    }
}

/// Adds each of at most [`RUN`] rows up to a lane of `partial`.
fn add_up(metric: Metric, query: &[Lane], rows: &[Lane], partial: &mut [Lane; RUN]) {
    #[cfg(target_arch = "x86_64")]
    if x86::add_up(metric, query, rows, partial) {
        return;
    }
    add_up_portable(metric, query, rows, partial);
}

fn add_up_portable(metric: Metric, query: &[Lane], rows: &[Lane], partial: &mut [Lane; RUN]) {
    match metric {
        Metric::Dot => each_row(query, rows, partial, |left, right| left * right),
        Metric::Squares => each_row(query, rows, partial, |left, right| (left - right) * (left - right)),
        Metric::Absolutes => each_row(query, rows, partial, |left, right| (left - right).abs()),
        Metric::Read => each_row(query, rows, partial, |_, right| right),
    }
}

fn each_row(query: &[Lane], rows: &[Lane], partial: &mut [Lane; RUN], term: impl Fn(f32, f32) -> f32 + Copy) {
    for (row, partial) in rows.chunks_exact(query.len().max(1)).zip(partial) {
        *partial = sum(query, row, term);
    }
}

/// Two lanes of sums run beside one another, so that an addition need not wait for the one before it.
fn sum(query: &[Lane], row: &[Lane], term: impl Fn(f32, f32) -> f32 + Copy) -> Lane {
    let (mut even, mut odd) = (Lane::ZERO, Lane::ZERO);
    let (query_pairs, query_last) = query.as_chunks::<2>();
    let (row_pairs, row_last) = row.as_chunks::<2>();
    for (query, row) in query_pairs.iter().zip(row_pairs) {
        add(&mut even, &query[0], &row[0], term);
        add(&mut odd, &query[1], &row[1], term);
    }
    if let ([query], [row]) = (query_last, row_last) {
        add(&mut even, query, row, term);
    }
    for (even, odd) in even.0.iter_mut().zip(odd.0) {
        *even += odd;
    }
    even
}

#[inline]
fn add(sum: &mut Lane, query: &Lane, row: &Lane, term: impl Fn(f32, f32) -> f32) {
    for place in 0..Lane::WIDTH {
        sum.0[place] += term(query.0[place], row.0[place]);
    }
}

/// The sum of a lane, by halves.
fn fold(lane: &Lane) -> f32 {
    let mut sums = lane.0;
    let mut width = Lane::WIDTH;
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

    fn lanes(vector: &[f32]) -> Vec<Lane> {
        let mut lanes = vec![Lane::ZERO; Lane::count(vector.len())];
        Lane::fill(&mut lanes, vector);
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

    pub(super) type Path = fn(Metric, &[Lane], &[Lane], &mut [Lane; RUN]);

    fn paths() -> Vec<Path> {
        let mut paths: Vec<Path> = vec![add_up_portable, add_up];
        #[cfg(target_arch = "x86_64")]
        paths.extend(x86::paths());
        paths
    }

    proptest! {
        #[test]
        fn every_path_gives_the_same_bits_and_the_right_sum(pairs in pair(), count in 1..=RUN) {
            let (left, right): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            for metric in [Metric::Dot, Metric::Squares, Metric::Absolutes, Metric::Read] {
                let rows = lanes(&right).repeat(count);
                let mut expected = [Lane::ZERO; RUN];
                add_up_portable(metric, &lanes(&left), &rows, &mut expected);
                for path in paths() {
                    let mut partial = [Lane::ZERO; RUN];
                    path(metric, &lanes(&left), &rows, &mut partial);
                    prop_assert_eq!(partial.map(|lane| lane.0.map(f32::to_bits)), expected.map(|lane| lane.0.map(f32::to_bits)));
                }
                let mut out = vec![0.0; 3 * count];
                compare(metric, &lanes(&left), &rows.repeat(3), &mut out);
                let expected = naive(metric, &left, &right);
                prop_assert!(out.iter().all(|sum| (f64::from(*sum) - expected).abs() < 1e-2), "{:?} {}", out, expected);
            }
        }
    }
}
