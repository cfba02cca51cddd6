//! The vectors of a space and their codes, by slot.

use crate::codes::Codes;
use crate::kernel::{Rows, prefetch};
use crate::matrix::Matrix;
use crate::probe::{Probe, inverse_norm};
use crate::{Distance, SpaceParams};

/// Components greater than this make sums that codes cannot estimate in 32 bits.
const WILD: f32 = 1e15;

#[derive(Debug)]
pub(crate) struct Store {
    params: SpaceParams,
    vectors: Matrix,
    /// One over each vector's length, by slot; empty unless the distance is cosine. The vectors themselves stay as they
    /// were written, since they are given back bit for bit.
    inverse_norms: Vec<f32>,
    codes: Option<Codes>,
    wild: bool,
}

impl Store {
    pub(crate) fn new(params: SpaceParams) -> Self {
        let (vectors, codes) = (Matrix::new(params.size), Codes::new(params));
        Self { params, vectors, inverse_norms: Vec::new(), codes, wild: false }
    }

    /// Sets the vector of `slot`, which is an old one or the next.
    pub(crate) fn put(&mut self, slot: u32, vector: &[f32]) {
        let slot = slot as usize;
        self.vectors.put(slot, vector);
        if self.params.distance == Distance::Cosine {
            self.inverse_norms.resize(self.vectors.len(), 0.0);
            self.inverse_norms[slot] = inverse_norm(vector);
        }
        if let Some(codes) = &mut self.codes {
            codes.put(slot, vector);
        }
        self.wild |= Self::is_wild_vector(self.params.distance, vector);
    }

    /// Whether codes cannot stand for a vector: its sums leave what 32 bits hold, or its direction is lost in the least.
    pub(crate) fn is_wild_vector(distance: Distance, vector: &[f32]) -> bool {
        let largest = vector.iter().fold(0.0_f32, |most, part| most.max(part.abs()));
        largest > WILD || distance == Distance::Cosine && largest < f32::MIN_POSITIVE
    }

    /// Makes room for `slots` vectors, of none yet, that are still to be put.
    pub(crate) fn reserve(&mut self, slots: usize) {
        self.vectors.reserve(slots);
        if self.params.distance == Distance::Cosine {
            self.inverse_norms.resize(slots, 0.0);
        }
        if let Some(codes) = &mut self.codes {
            codes.reserve(slots);
        }
    }

    pub(crate) fn get(&self, slot: u32) -> Vec<f32> {
        self.vectors.get(slot as usize)
    }

    pub(crate) fn distance(&self) -> Distance {
        self.params.distance
    }

    #[inline]
    pub(crate) fn row(&self, slot: u32) -> Rows<'_> {
        self.vectors.row(slot as usize)
    }

    /// Asks for the vector of `slot` to be brought near.
    #[inline]
    pub(crate) fn prefetch(&self, slot: u32) {
        match self.row(slot) {
            Rows::Whole(lanes) => prefetch(lanes),
            Rows::Half(lanes) => prefetch(lanes),
        }
    }

    /// What others are compared with to be near the vector of `slot`.
    pub(crate) fn probe_of(&self, slot: u32) -> Probe {
        Probe::new(self.params.distance, &self.get(slot))
    }

    /// The score of one vector.
    #[inline]
    pub(crate) fn score(&self, probe: &Probe, slot: u32) -> f32 {
        let mut score = [0.0];
        self.scores(probe, slot as usize, self.row(slot), &mut score);
        score[0]
    }

    /// The scores of the vectors from slot `first` on, which `rows` are.
    pub(crate) fn scores(&self, probe: &Probe, first: usize, rows: Rows<'_>, scores: &mut [f32]) {
        let inverse_norms = self.inverse_norms.get(first..first + scores.len()).unwrap_or_default();
        probe.score(rows, inverse_norms, scores);
    }

    pub(crate) fn vectors(&self) -> &Matrix {
        &self.vectors
    }

    /// The codes, where the space has any.
    pub(crate) fn codes(&self) -> Option<&Codes> {
        self.codes.as_ref()
    }

    /// Whether some vector was so long that estimates may mean nothing: then every vector is compared.
    pub(crate) fn is_wild(&self) -> bool {
        self.wild
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let codes = self.codes.as_ref().map_or(0, Codes::memory_bytes);
        self.vectors.memory_bytes() + self.inverse_norms.capacity() * size_of::<f32>() + codes
    }
}
