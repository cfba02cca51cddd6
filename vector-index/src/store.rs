//! The vectors of a space and their codes, by slot.
//!
//! Codes begin once there are enough vectors to see from where they are best taken. They are left aside for good where
//! they turn out to tell too little.

use roaring::RoaringBitmap;

use crate::codes::Codes;
use crate::frame::Frame;
use crate::kernel::{Rows, prefetch};
use crate::matrix::Matrix;
use crate::probe::{Probe, inverse_norm};
use crate::{Distance, SpaceParams};

/// Codes begin at so many slots, or at fewer where the vectors are so long that coding all of them takes long: it is
/// done at once, by the one who puts the last of them.
const CODES_FROM: usize = 2_000;
const CODES_FROM_COMPONENTS: usize = 4 << 20;
/// Vectors that codes cannot stand for are compared one by one, so there may be no more of them.
const WILD: u64 = 256;

#[derive(Debug)]
pub(crate) struct Store {
    params: SpaceParams,
    vectors: Matrix,
    /// One over each vector's length, by slot; empty unless the distance is cosine. The vectors themselves stay as they
    /// were written, since they are given back bit for bit.
    inverse_norms: Vec<f32>,
    coding: Coding,
    /// Slots whose last vector codes cannot stand for.
    wild: RoaringBitmap,
}

#[derive(Debug)]
enum Coding {
    /// Not of vectors like these, or left aside since they told too little.
    Never,
    /// Not yet: there are too few vectors to see from where to take them.
    Later,
    Now(Codes),
}

impl Store {
    pub(crate) fn new(params: SpaceParams) -> Self {
        let coding = if Codes::are_wanted(params) { Coding::Later } else { Coding::Never };
        let vectors = Matrix::new(params.size);
        Self { params, vectors, inverse_norms: Vec::new(), coding, wild: RoaringBitmap::new() }
    }

    /// Sets the vector of `slot`, which is an old one or the next.
    pub(crate) fn put(&mut self, slot: u32, vector: &[f32]) {
        let at = slot as usize;
        self.vectors.put(at, vector);
        if self.params.distance == Distance::Cosine {
            self.inverse_norms.resize(self.vectors.len(), 0.0);
            self.inverse_norms[at] = inverse_norm(vector);
        }
        match &mut self.coding {
            Coding::Never => {}
            Coding::Later => {
                let enough = CODES_FROM.min(CODES_FROM_COMPONENTS / self.params.size);
                if self.vectors.len() >= enough {
                    self.begin_codes();
                }
            }
            Coding::Now(codes) => {
                if codes.put(at, vector) {
                    self.wild.remove(slot);
                } else {
                    self.wild.insert(slot);
                }
            }
        }
    }

    /// Takes codes of all vectors there are.
    fn begin_codes(&mut self) {
        let vectors = &self.vectors;
        let mut codes = Codes::new(self.params, Frame::of(self.params, vectors.len(), |slot| vectors.get(slot)));
        for slot in 0..vectors.len() {
            if !codes.put(slot, &vectors.get(slot)) {
                self.wild.insert(slot as u32);
            }
        }
        self.coding = Coding::Now(codes);
    }

    /// Leaves codes aside from now on.
    pub(crate) fn leave_codes(&mut self) {
        self.coding = Coding::Never;
        self.wild = RoaringBitmap::new();
    }

    /// Whether codes cannot stand for the vector of `slot`: then no code is compared, but itself.
    #[inline]
    pub(crate) fn is_wild(&self, slot: u32) -> bool {
        self.wild.contains(slot)
    }

    /// The slots for whose vectors codes cannot stand.
    pub(crate) fn wild(&self) -> &RoaringBitmap {
        &self.wild
    }

    /// Whether codes cannot stand for so many that they are of no use.
    pub(crate) fn is_too_wild(&self) -> bool {
        self.wild.len() > WILD
    }

    /// Makes room for `slots` vectors, of none yet, that are still to be put. Their codes are as `frame` sees them; without
    /// one there are none.
    pub(crate) fn reserve(&mut self, slots: usize, frame: Option<Frame>) {
        self.vectors.reserve(slots);
        if self.params.distance == Distance::Cosine {
            self.inverse_norms.resize(slots, 0.0);
        }
        self.coding = match frame {
            Some(frame) if Codes::are_wanted(self.params) => {
                let mut codes = Codes::new(self.params, frame);
                codes.reserve(slots);
                Coding::Now(codes)
            }
            _ => Coding::Never,
        };
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

    /// The codes, where there are any.
    pub(crate) fn codes(&self) -> Option<&Codes> {
        match &self.coding {
            Coding::Now(codes) => Some(codes),
            Coding::Never | Coding::Later => None,
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let codes = self.codes().map_or(0, Codes::memory_bytes);
        self.vectors.memory_bytes() + self.inverse_norms.capacity() * size_of::<f32>() + codes
    }
}
