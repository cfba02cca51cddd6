//! The vectors of a space and their codes, by slot. Must not know when codes are taken: `space::coding` decides that.

use roaring::RoaringBitmap;

use crate::codes::VectorCodes;
use crate::codes::frame::Frame;
use crate::kernel::{RUN, VectorRows, prefetch};
use crate::matrix::VectorMatrix;
use crate::probe::{ProbeVector, inverse_norm};
use crate::{Distance, SpaceParams};

/// Vectors that codes cannot stand for are compared one by one, so there may be no more of them.
const WILD: u64 = 256;

#[derive(Debug)]
pub(crate) struct Store {
    params: SpaceParams,
    vectors: VectorMatrix,
    /// One over each vector's length, by slot; empty unless the distance is cosine. The vectors themselves stay as they
    /// were written, since they are given back bit for bit.
    inverse_norms: Vec<f32>,
    /// None of vectors like these, or not yet, or where they tell too little.
    codes: Option<VectorCodes>,
    /// Whether codes are neither taken nor taken anew: vectors of this kind have none, or they were given up.
    codes_stay: bool,
    /// Slots whose last vector codes cannot stand for.
    wild: RoaringBitmap,
}

impl Store {
    pub(crate) fn new(params: SpaceParams) -> Self {
        let (vectors, inverse_norms, wild) = (VectorMatrix::new(params.size), Vec::new(), RoaringBitmap::new());
        let codes_stay = !VectorCodes::are_wanted(params);
        Self { params, vectors, inverse_norms, codes: None, codes_stay, wild }
    }

    /// Sets the vector of `slot`, which is an old one or the next. Returns `true` if it is the next.
    pub(crate) fn put(&mut self, slot: u32, vector: &[f32]) -> bool {
        let at = slot as usize;
        let is_new = at == self.vectors.len();
        debug_assert!(at <= self.vectors.len(), "slot {slot} leaves a gap after {}", self.vectors.len());
        self.vectors.put(at, vector);
        // The norm is taken once, and not by each comparison.
        if self.params.distance == Distance::Cosine {
            self.inverse_norms.resize(self.vectors.len(), 0.0);
            self.inverse_norms[at] = inverse_norm(vector);
        }
        // What codes cannot stand for is compared itself.
        if let Some(codes) = &mut self.codes {
            if codes.put(at, vector) {
                self.wild.remove(slot);
            } else {
                self.wild.insert(slot);
            }
        }
        is_new
    }

    /// Codes of all vectors, and the slots for whose they cannot stand.
    pub(crate) fn coded(&self, frame: Frame) -> (VectorCodes, RoaringBitmap) {
        let mut codes = VectorCodes::new(self.params, frame);
        let slots = 0..self.vectors.len();
        let wild = slots.filter(|slot| !codes.put(*slot, &self.vectors.get(*slot))).map(|slot| slot as u32).collect();
        (codes, wild)
    }

    /// From now on uses these codes, or none for the time being.
    pub(crate) fn set_codes(&mut self, codes: Option<(VectorCodes, RoaringBitmap)>) {
        (self.codes, self.wild) = codes.map_or_else(Default::default, |(codes, wild)| (Some(codes), wild));
    }

    /// Whether codes are neither taken nor taken anew.
    pub(crate) fn codes_stay(&self) -> bool {
        self.codes_stay
    }

    /// How near the vector of `slot` is to the target; more is nearer.
    #[inline]
    pub(crate) fn nearness(&self, target: &ProbeVector, slot: u32) -> f32 {
        let score = self.score(target, slot);
        if self.params.distance.more_is_nearer() { score } else { -score }
    }

    /// How near the vectors of `others` are to that of `slot`; more is nearer. Where these are most of all, all are compared
    /// in runs, which is faster.
    pub(crate) fn nearness_to(&self, slot: u32, others: &[u32]) -> Vec<f32> {
        let probe = self.probe_of(slot);
        if 2 * others.len() < self.vectors.len() {
            return others.iter().map(|other| self.nearness(&probe, *other)).collect();
        }
        // Scores of distances get smaller as vectors get nearer, so their sign is turned.
        let sign = if self.params.distance.more_is_nearer() { 1.0 } else { -1.0 };
        let mut scores = vec![0.0; self.vectors.len()];
        for (first, rows) in self.vectors.runs(RUN) {
            let count = rows.lanes() / self.vectors.stride();
            self.scores(&probe, first, rows, &mut scores[first..first + count]);
        }
        others.iter().map(|other| sign * scores[*other as usize]).collect()
    }

    /// Leaves codes aside from now on.
    pub(crate) fn leave_codes(&mut self) {
        self.codes_stay = true;
        self.set_codes(None);
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
        self.codes = frame.filter(|_| VectorCodes::are_wanted(self.params)).map(|frame| {
            let mut codes = VectorCodes::new(self.params, frame);
            codes.reserve(slots);
            codes
        });
    }

    pub(crate) fn get(&self, slot: u32) -> Vec<f32> {
        self.vectors.get(slot as usize)
    }

    #[inline]
    pub(crate) fn row(&self, slot: u32) -> VectorRows<'_> {
        self.vectors.row(slot as usize)
    }

    /// Asks for the vector of `slot` to be brought near.
    #[inline]
    pub(crate) fn prefetch(&self, slot: u32) {
        match self.row(slot) {
            VectorRows::Whole(lanes) => prefetch(lanes),
            VectorRows::Half(lanes) => prefetch(lanes),
        }
    }

    /// What others are compared with to be near the vector of `slot`.
    pub(crate) fn probe_of(&self, slot: u32) -> ProbeVector {
        ProbeVector::new(self.params.distance, &self.get(slot))
    }

    /// The score of one vector.
    #[inline]
    pub(crate) fn score(&self, probe: &ProbeVector, slot: u32) -> f32 {
        let mut score = [0.0];
        self.scores(probe, slot as usize, self.row(slot), &mut score);
        score[0]
    }

    /// The scores of the vectors from slot `first` on, which `rows` are.
    pub(crate) fn scores(&self, probe: &ProbeVector, first: usize, rows: VectorRows<'_>, scores: &mut [f32]) {
        let inverse_norms = self.inverse_norms.get(first..first + scores.len()).unwrap_or_default();
        probe.score(rows, inverse_norms, scores);
    }

    pub(crate) fn vectors(&self) -> &VectorMatrix {
        &self.vectors
    }

    /// The codes, where there are any.
    pub(crate) fn codes(&self) -> Option<&VectorCodes> {
        self.codes.as_ref()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let codes = self.codes().map_or(0, VectorCodes::memory_bytes);
        self.vectors.memory_bytes() + self.inverse_norms.capacity() * size_of::<f32>() + codes
    }
}
