//! The kernel's sums in AVX2: the same additions in the same order as the portable path, only more at once. AVX-512 was
//! measured too; a scan waits for memory, and it was no faster.
//!
//! Its `unsafe` blocks are of two kinds: a call of a function whose only demand is an instruction set that was just
//! detected, and a load or store of exactly one unit of the kernel behind a reference to it.

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    __m256, __m256i, _mm_load_si128, _mm256_abs_epi8, _mm256_add_epi32, _mm256_add_ps, _mm256_andnot_ps,
    _mm256_cvtph_ps, _mm256_load_ps, _mm256_load_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_mul_ps,
    _mm256_set1_epi16, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_sign_epi8, _mm256_store_ps,
    _mm256_store_si256, _mm256_sub_ps,
};

use super::codes::differing_bits_portable;
use super::{Block, FloatLane, HalfLane, Metric, RUN, VectorRows};

/// Does the work if the processor can; otherwise changes nothing and returns false.
pub(super) fn add_up(
    metric: Metric,
    query: &[FloatLane],
    rows: VectorRows<'_>,
    partial: &mut [FloatLane; RUN],
) -> bool {
    let able = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c");
    if able {
        // SAFETY: the processor has AVX2 and F16C, the function's only demands.
        unsafe { add_up_256(metric, query, rows, partial) };
    }
    able
}

/// The dot product, if the processor has AVX2.
#[inline]
pub(super) fn dot(left: &[Block], right: &[Block]) -> Option<i32> {
    // SAFETY: the processor has AVX2, the function's only demand.
    is_x86_feature_detected!("avx2").then(|| unsafe { dot_256(left, right) })
}

/// The count, if the processor can count.
#[inline]
pub(super) fn differing_bits(left: &[u64], right: &[u64]) -> Option<u32> {
    // SAFETY: the processor has the instruction, the function's only demand.
    is_x86_feature_detected!("popcnt").then(|| unsafe { differing_bits_popcnt(left, right) })
}

#[target_feature(enable = "popcnt")]
fn differing_bits_popcnt(left: &[u64], right: &[u64]) -> u32 {
    differing_bits_portable(left, right)
}

/// Products of a magnitude and a sign-adjusted byte: 2 × 127² fits the 16 bits of a pair.
#[target_feature(enable = "avx2")]
fn dot_256(left: &[Block], right: &[Block]) -> i32 {
    let ones = _mm256_set1_epi16(1);
    // Two sums, so that an addition does not wait for the one before it.
    let mut sums = [_mm256_setzero_si256(); 2];
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (load_block(left), load_block(right));
        for half in 0..2 {
            // The instruction takes one side without a sign, so that sign moves to the other side.
            let magnitudes = _mm256_abs_epi8(left[half]);
            let signed = _mm256_sign_epi8(right[half], left[half]);
            let pairs = _mm256_madd_epi16(_mm256_maddubs_epi16(magnitudes, signed), ones);
            sums[half] = _mm256_add_epi32(sums[half], pairs);
        }
    }
    let mut eight = Eight([0; 8]);
    // SAFETY: eight integers on a boundary of 32 bytes, borrowed mutably.
    unsafe { _mm256_store_si256(eight.0.as_mut_ptr().cast(), _mm256_add_epi32(sums[0], sums[1])) };
    eight.0.iter().sum()
}

#[repr(C, align(32))]
struct Eight([i32; 8]);

#[inline]
#[target_feature(enable = "avx2")]
fn load_block(block: &Block) -> [__m256i; 2] {
    let start = block.0.as_ptr().cast::<__m256i>();
    // SAFETY: a block is 64 bytes on a boundary of 64, borrowed; both halves lie in it, on 32 bytes.
    unsafe { [_mm256_load_si256(start), _mm256_load_si256(start.add(1))] }
}

#[target_feature(enable = "avx2,f16c")]
fn add_up_256(metric: Metric, query: &[FloatLane], rows: VectorRows<'_>, partial: &mut [FloatLane; RUN]) {
    match rows {
        VectorRows::Whole(rows) => by_metric_256(metric, query, rows, |lane| load_256(lane), partial),
        VectorRows::Half(rows) => by_metric_256(metric, query, rows, |lane| load_half_256(lane), partial),
    }
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn by_metric_256<T>(
    metric: Metric,
    query: &[FloatLane],
    rows: &[T],
    load: impl Fn(&T) -> [__m256; 2],
    partial: &mut [FloatLane; RUN],
) {
    match metric {
        Metric::Dot => each_row_256(query, rows, partial, load, |left, right| _mm256_mul_ps(left, right)),
        Metric::Squares => each_row_256(query, rows, partial, load, |left, right| {
            let difference = _mm256_sub_ps(left, right);
            _mm256_mul_ps(difference, difference)
        }),
        Metric::Absolutes => each_row_256(query, rows, partial, load, |left, right| {
            _mm256_andnot_ps(_mm256_set1_ps(-0.0), _mm256_sub_ps(left, right))
        }),
        Metric::Read => each_row_256(query, rows, partial, load, |_, right| right),
    }
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn each_row_256<T>(
    query: &[FloatLane],
    rows: &[T],
    partial: &mut [FloatLane; RUN],
    load: impl Fn(&T) -> [__m256; 2],
    term: impl Fn(__m256, __m256) -> __m256,
) {
    for (row, partial) in rows.chunks_exact(query.len()).zip(partial) {
        // Even and odd lanes by themselves, as the portable code adds them: both give the same bits.
        let mut sums = [[_mm256_setzero_ps(); 2]; 2];
        let (query_pairs, query_last) = query.as_chunks::<2>();
        let (row_pairs, row_last) = row.as_chunks::<2>();
        let mut add = |place: usize, query: &FloatLane, row: &T| {
            let (query, row) = (load_256(query), load(row));
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
fn load_256(lane: &FloatLane) -> [__m256; 2] {
    let start = lane.0.as_ptr();
    // SAFETY: a lane is sixteen floats on a boundary of 64 bytes, borrowed; both halves lie in it, on 32 bytes.
    unsafe { [_mm256_load_ps(start), _mm256_load_ps(start.add(8))] }
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn load_half_256(lane: &HalfLane) -> [__m256; 2] {
    let start = lane.0.as_ptr();
    // SAFETY: a half lane is sixteen 16-bit floats on a boundary of 32 bytes, borrowed; both halves lie in it, on 16.
    let halves = unsafe { [_mm_load_si128(start.cast()), _mm_load_si128(start.add(8).cast())] };
    halves.map(|half| _mm256_cvtph_ps(half))
}

/// Every path that this processor can run, each by itself.
#[cfg(test)]
pub(super) fn paths() -> Vec<super::tests::Path> {
    if !is_x86_feature_detected!("avx2") || !is_x86_feature_detected!("f16c") {
        return Vec::new();
    }
    // SAFETY: the processor has AVX2 and F16C, the function's only demands.
    vec![|metric, query, rows, partial| unsafe { add_up_256(metric, query, rows, partial) }]
}
