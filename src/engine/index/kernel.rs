//! Distances between one vector and many, as fast as memory delivers them.
//!
//! The only room in the engine with `unsafe`. There are no intrinsics: one loop over [`Lane`]s is compiled twice, for the
//! baseline and for AVX2, and the better one is chosen at run time. Both add in the same order and without fused
//! multiply-add, so every machine gets the same bits, hence the same neighbours. (`pulp` and `simsimd` were weighed: the
//! loop is bound by memory, at a third of what it computes, so neither would add speed; both would take away that.)

/// Sixteen components: one cache line, one AVX-512 or two AVX2 registers. Vectors are padded with zeros to whole lanes,
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
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: `compare_avx2` is safe code whose only demand is a processor with AVX2, and this one was just seen to
        // have it.
        unsafe { compare_avx2(metric, query, rows, out) };
        return;
    }
    compare_with(metric, query, rows, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn compare_avx2(metric: Metric, query: &[Lane], rows: &[Lane], out: &mut [f32]) {
    compare_with(metric, query, rows, out);
}

/// The portable path, inlined into each of the compiled ones.
#[inline(always)]
fn compare_with(metric: Metric, query: &[Lane], rows: &[Lane], out: &mut [f32]) {
    match metric {
        Metric::Dot => each_row(query, rows, out, |left, right| left * right),
        Metric::Squares => each_row(query, rows, out, |left, right| (left - right) * (left - right)),
        Metric::Absolutes => each_row(query, rows, out, |left, right| (left - right).abs()),
        Metric::Read => each_row(query, rows, out, |_, right| right),
    }
}

/// Adds up [`RUN`] rows to a lane each, then each lane to a number. Two loops, since the compiler, shown both steps at once,
/// arranges the first for the convenience of the second and halves its speed.
#[inline(always)]
fn each_row(query: &[Lane], rows: &[Lane], out: &mut [f32], term: impl Fn(f32, f32) -> f32 + Copy) {
    let stride = query.len().max(1);
    let mut partial = [Lane::ZERO; RUN];
    for (rows, out) in rows.chunks(stride * RUN).zip(out.chunks_mut(RUN)) {
        for (row, partial) in rows.chunks_exact(stride).zip(&mut partial) {
            *partial = sum(query, row, term);
        }
        for (partial, out) in partial.iter().zip(out) {
            *out = fold(partial);
        }
    }
}

/// Two lanes of sums run beside one another, so that an addition need not wait for the one before it.
#[inline(always)]
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

#[inline(always)]
fn add(sum: &mut Lane, query: &Lane, row: &Lane, term: impl Fn(f32, f32) -> f32) {
    for place in 0..Lane::WIDTH {
        sum.0[place] += term(query.0[place], row.0[place]);
    }
}

/// The sum of a lane, by halves.
#[inline(always)]
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

    proptest! {
        #[test]
        fn every_compiled_path_gives_the_same_bits_and_the_right_sum(pairs in pair()) {
            let (left, right): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            for metric in [Metric::Dot, Metric::Squares, Metric::Absolutes, Metric::Read] {
                let rows = [lanes(&right), lanes(&left)].concat().repeat(RUN);
                let (mut fast, mut portable) = ([0.0; 2 * RUN], [0.0; 2 * RUN]);
                compare(metric, &lanes(&left), &rows, &mut fast);
                compare_with(metric, &lanes(&left), &rows, &mut portable);
                prop_assert_eq!(fast.map(f32::to_bits), portable.map(f32::to_bits));
                let expected = naive(metric, &left, &right);
                prop_assert!((f64::from(fast[0]) - expected).abs() < 1e-2, "{} {}", fast[0], expected);
                prop_assert!(fast.iter().step_by(2).all(|sum| sum.to_bits() == fast[0].to_bits()));
            }
        }
    }
}
