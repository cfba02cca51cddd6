//! The units that kernels work on: each is one cache line or half of one, so rows begin on boundaries and have no tails.

use half::f16;
use half::slice::HalfFloatSliceExt as _;

/// Sixteen components: one cache line, two AVX2 registers. Vectors are padded with zeros to whole lanes,
/// which changes no distance and leaves the loop without a tail.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct FloatLane(pub(crate) [f32; FloatLane::WIDTH]);

impl FloatLane {
    pub(crate) const WIDTH: usize = 16;
    pub(crate) const ZERO: Self = Self([0.0; Self::WIDTH]);

    /// How many lanes hold `size` components.
    pub(crate) fn count(size: usize) -> usize {
        size.div_ceil(Self::WIDTH).max(1)
    }

    /// Copies `vector` into `lanes`, zeros after its end.
    pub(crate) fn fill(lanes: &mut [Self], vector: &[f32]) {
        lanes.fill(Self::ZERO);
        for (lane, part) in lanes.iter_mut().zip(vector.chunks(Self::WIDTH)) {
            lane.0[..part.len()].copy_from_slice(part);
        }
    }
}

/// A lane whose components 16 bits hold without loss.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(32))]
pub(crate) struct HalfLane(pub(crate) [f16; FloatLane::WIDTH]);

impl HalfLane {
    pub(crate) const ZERO: Self = Self([f16::ZERO; FloatLane::WIDTH]);

    /// The lane in half its size, if nothing is lost.
    pub(crate) fn exactly(lane: &FloatLane) -> Option<Self> {
        let mut half = Self::ZERO;
        half.0.convert_from_f32_slice(&lane.0);
        let back = half.widen();
        let same = lane.0.iter().zip(&back.0).all(|(left, right)| left.to_bits() == right.to_bits());
        same.then_some(half)
    }

    /// The same components in 32 bits.
    pub(crate) fn widen(&self) -> FloatLane {
        let mut lane = FloatLane::ZERO;
        self.0.convert_to_f32_slice(&mut lane.0);
        lane
    }
}

/// Sixty-four small integers, one cache line; codes are padded with zeros to whole blocks. No code is -128, so that
/// each has its negative.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Block(pub(crate) [i8; Block::WIDTH]);

impl Block {
    pub(crate) const WIDTH: usize = 64;
    pub(crate) const ZERO: Self = Self([0; Self::WIDTH]);

    /// How many blocks hold `size` codes.
    pub(crate) fn count(size: usize) -> usize {
        size.div_ceil(Self::WIDTH).max(1)
    }
}
