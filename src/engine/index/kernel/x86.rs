//! The kernel's sums in AVX2: the same additions in the same order as the portable path, only more at once. AVX-512 was
//! measured too; a scan waits for memory, and it was no faster.
//!
//! Its `unsafe` blocks are of two kinds: a call of a function whose only demand is an instruction set that was just
//! detected, and a load or store of exactly one [`Lane`] behind a reference to it.

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    __m256, _mm256_add_ps, _mm256_andnot_ps, _mm256_load_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_store_ps, _mm256_sub_ps,
};

use super::{Lane, Metric, RUN};

/// Does the work if the processor can; otherwise changes nothing and returns false.
pub(super) fn add_up(metric: Metric, query: &[Lane], rows: &[Lane], partial: &mut [Lane; RUN]) -> bool {
    let able = is_x86_feature_detected!("avx2");
    if able {
        // SAFETY: the processor has AVX2, the function's only demand.
        unsafe { add_up_256(metric, query, rows, partial) };
    }
    able
}

#[target_feature(enable = "avx2")]
fn add_up_256(metric: Metric, query: &[Lane], rows: &[Lane], partial: &mut [Lane; RUN]) {
    match metric {
        Metric::Dot => each_row_256(query, rows, partial, |left, right| _mm256_mul_ps(left, right)),
        Metric::Squares => each_row_256(query, rows, partial, |left, right| {
            let difference = _mm256_sub_ps(left, right);
            _mm256_mul_ps(difference, difference)
        }),
        Metric::Absolutes => each_row_256(query, rows, partial, |left, right| {
            _mm256_andnot_ps(_mm256_set1_ps(-0.0), _mm256_sub_ps(left, right))
        }),
        Metric::Read => each_row_256(query, rows, partial, |_, right| right),
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn each_row_256(query: &[Lane], rows: &[Lane], partial: &mut [Lane; RUN], term: impl Fn(__m256, __m256) -> __m256) {
    for (row, partial) in rows.chunks_exact(query.len().max(1)).zip(partial) {
        let mut sums = [[_mm256_setzero_ps(); 2]; 2];
        let (query_pairs, query_last) = query.as_chunks::<2>();
        let (row_pairs, row_last) = row.as_chunks::<2>();
        let mut add = |place: usize, query: &Lane, row: &Lane| {
            let (query, row) = (load_256(query), load_256(row));
            for half in 0..2 {
                sums[place][half] = _mm256_add_ps(sums[place][half], term(query[half], row[half]));
            }
        };
        for (query, row) in query_pairs.iter().zip(row_pairs) {
            add(0, &query[0], &row[0]);
            add(1, &query[1], &row[1]);
        }
        if let ([query], [row]) = (query_last, row_last) {
            add(0, query, row);
        }
        let [even, odd] = sums;
        let (low, high) = (_mm256_add_ps(even[0], odd[0]), _mm256_add_ps(even[1], odd[1]));
        // SAFETY: a lane is sixteen floats on a boundary of 64 bytes, borrowed mutably; the halves lie 32 bytes apart.
        unsafe {
            _mm256_store_ps(partial.0.as_mut_ptr(), low);
            _mm256_store_ps(partial.0.as_mut_ptr().add(8), high);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_256(lane: &Lane) -> [__m256; 2] {
    let start = lane.0.as_ptr();
    // SAFETY: a lane is sixteen floats on a boundary of 64 bytes, borrowed; both halves lie in it, on 32 bytes.
    unsafe { [_mm256_load_ps(start), _mm256_load_ps(start.add(8))] }
}

/// Every path that this processor can run, each by itself.
#[cfg(test)]
pub(super) fn paths() -> Vec<super::tests::Path> {
    if !is_x86_feature_detected!("avx2") {
        return Vec::new();
    }
    // SAFETY: the processor has AVX2, the function's only demand.
    vec![|metric, query, rows, partial| unsafe { add_up_256(metric, query, rows, partial) }]
}
