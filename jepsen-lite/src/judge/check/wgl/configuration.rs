//! Where a search for a linearization stands, in a form that is small and hashes fast. Pure.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// A fast hash for keys that no adversary chooses (multiply and fold, as in wyhash).
#[derive(Default)]
pub(super) struct Fold(u64);

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let wide = u128::from(self.0 ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xa076_1d64_78bd_642f;
        self.0 = (wide >> 64) as u64 ^ wide as u64;
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}

pub(super) type FastSet<K> = HashSet<K, BuildHasherDefault<Fold>>;

/// Which operations are placed, and what the object holds then: all ended operations before `low`, those of `bits` and
/// `rest` beyond it, and the pending ones of `pending`.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Configuration {
    pub(super) low: u32,
    pub(super) state: u32,
    pub(super) bits: u64,
    pub(super) rest: Vec<u64>,
    pub(super) pending: Vec<u64>,
}

/// A set of small numbers.
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn new(size: usize) -> Self {
        Self(vec![0; size / 64 + 2])
    }

    pub(super) fn has(&self, bit: usize) -> bool {
        self.0[bit / 64] >> (bit % 64) & 1 == 1
    }

    pub(super) fn flip(&mut self, bit: usize) {
        self.0[bit / 64] ^= 1 << (bit % 64);
    }

    /// The 64 bits from `bit` on.
    pub(super) fn bits_from(&self, bit: usize) -> u64 {
        let (word, shift) = (bit / 64, bit % 64);
        let low = self.0.get(word).copied().unwrap_or(0) >> shift;
        let high = if shift == 0 { 0 } else { self.0.get(word + 1).copied().unwrap_or(0) << (64 - shift) };
        low | high
    }
}
