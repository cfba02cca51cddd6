//! The vectors of a space and their codes, by slot.
//!
//! Codes begin with a few vectors, and are taken anew, as those seen by then are best seen, each time these have doubled,
//! until a graph may be laid out by them. Each time it is tried how many of the nearest they tell: where these are too
//! few, vectors are compared themselves. Codes are left aside for good where they turn out to tell too little later.

use roaring::RoaringBitmap;

use crate::codes::Codes;
use crate::frame::Frame;
use crate::kernel::{RUN, Rows, prefetch};
use crate::matrix::Matrix;
use crate::plan::{COARSE, GRAPH_FROM, LEAST};
use crate::probe::{Probe, inverse_norm};
use crate::{Distance, SpaceParams};

/// Codes begin at so many slots: fewer vectors are compared themselves anyway.
const CODES_FROM: usize = 256;
/// They are not taken anew after so many slots, or fewer where the vectors are so long that coding all of them takes
/// long: it is done at once, by the one who puts the last of them.
const CODES_STAY_FROM: usize = GRAPH_FROM;
const CODES_STAY_FROM_COMPONENTS: usize = 4 << 20;
/// Vectors whose nearest are looked for by codes: so many, or fewer where vectors are so many or so long that more
/// components than this would be compared, but not too few to say anything.
const TRIED: usize = 32;
const TRIED_COMPONENTS: usize = 8 << 20;
const TRIED_AT_LEAST: usize = 8;
/// How many of the nearest are looked for.
const NEAREST: usize = 10;
/// Codes are used where they tell this share of them.
const ENOUGH_TOLD: f64 = 0.95;
/// Codes that told too few until now are given up where they still tell less than this, when a graph may begin: what a
/// few vectors say against them must be clear then.
const TOO_FEW_TOLD: f64 = 0.9;
/// Vectors that codes cannot stand for are compared one by one, so there may be no more of them.
const WILD: u64 = 256;

#[derive(Debug)]
pub(crate) struct Store {
    params: SpaceParams,
    vectors: Matrix,
    /// One over each vector's length, by slot; empty unless the distance is cosine. The vectors themselves stay as they
    /// were written, since they are given back bit for bit.
    inverse_norms: Vec<f32>,
    /// None of vectors like these, or not yet, or where they tell too little.
    codes: Option<Codes>,
    /// At so many slots codes are taken, or taken anew; `None` if not any more.
    next_coding: Option<usize>,
    /// Slots whose last vector codes cannot stand for.
    wild: RoaringBitmap,
}

impl Store {
    pub(crate) fn new(params: SpaceParams) -> Self {
        let next_coding = Codes::are_wanted(params).then_some(CODES_FROM);
        let (vectors, wild) = (Matrix::new(params.size), RoaringBitmap::new());
        Self { params, vectors, inverse_norms: Vec::new(), codes: None, next_coding, wild }
    }

    /// Sets the vector of `slot`, which is an old one or the next.
    pub(crate) fn put(&mut self, slot: u32, vector: &[f32]) {
        let at = slot as usize;
        self.vectors.put(at, vector);
        if self.params.distance == Distance::Cosine {
            self.inverse_norms.resize(self.vectors.len(), 0.0);
            self.inverse_norms[at] = inverse_norm(vector);
        }
        if self.next_coding.is_some_and(|next| self.vectors.len() >= next) {
            self.take_codes();
        } else if let Some(codes) = &mut self.codes {
            if codes.put(at, vector) {
                self.wild.remove(slot);
            } else {
                self.wild.insert(slot);
            }
        }
    }

    /// Takes codes of all vectors there are, and keeps them if they tell enough.
    fn take_codes(&mut self) {
        let (vectors, count) = (&self.vectors, self.vectors.len());
        let mut codes = Codes::new(self.params, Frame::of(self.params, count, |slot| vectors.get(slot)));
        let wild = (0..count).filter(|slot| !codes.put(*slot, &vectors.get(*slot))).map(|slot| slot as u32);
        self.wild = wild.collect();
        let last = CODES_STAY_FROM.min(CODES_STAY_FROM_COMPONENTS / self.params.size);
        self.next_coding = (count < last).then_some((2 * count).min(last));
        // What told enough goes on to, and is measured from now on while the graph grows.
        let is_enough = match (&self.codes, self.next_coding) {
            (Some(_), None) => true,
            (None, None) => self.told(&codes) >= TOO_FEW_TOLD,
            _ => self.told(&codes) >= ENOUGH_TOLD,
        };
        self.codes = is_enough.then_some(codes);
        if self.codes.is_none() {
            self.wild.clear();
        }
    }

    /// The share of the nearest of some vectors that codes rank among the best.
    fn told(&self, codes: &Codes) -> f64 {
        let count = self.vectors.len();
        let trusted = if codes.is_coarse() { LEAST * COARSE } else { LEAST };
        // There will be twice as many vectors, and twice as many beside the nearest, before it is tried again.
        let best = if self.next_coding.is_some() { trusted / 2 } else { trusted };
        let tried = (TRIED_COMPONENTS / (count * self.params.size)).clamp(TRIED_AT_LEAST, TRIED);
        let mut told = 0;
        for number in 0..tried {
            let slot = (number * count / tried) as u32;
            let nearness = self.nearness_to_all(slot);
            let mut nearest = nearness.clone();
            let (_, last, _) = nearest.select_nth_unstable_by(NEAREST - 1, |left, right| right.total_cmp(left));
            let mut order: Vec<(f32, usize)> =
                (0..count).map(|other| (codes.between(slot as usize, other), other)).collect();
            order.select_nth_unstable_by(best.min(count) - 1, |left, right| right.0.total_cmp(&left.0));
            // As near as the last of the nearest is near enough: of equals, any will do.
            told += order.iter().take(best).filter(|(_, other)| nearness[*other] >= *last).count().min(NEAREST);
        }
        told as f64 / (tried * NEAREST) as f64
    }

    /// How near every vector is to that of `slot`; more is nearer.
    fn nearness_to_all(&self, slot: u32) -> Vec<f32> {
        let probe = self.probe_of(slot);
        let mut nearness = vec![0.0; self.vectors.len()];
        for (first, rows) in self.vectors.runs(RUN) {
            let count = rows.lanes() / self.vectors.stride();
            self.scores(&probe, first, rows, &mut nearness[first..first + count]);
        }
        if !self.params.distance.more_is_nearer() {
            nearness.iter_mut().for_each(|score| *score = -*score);
        }
        nearness
    }

    /// Leaves codes aside from now on.
    pub(crate) fn leave_codes(&mut self) {
        (self.codes, self.next_coding) = (None, None);
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
        self.next_coding = None;
        self.codes = frame.filter(|_| Codes::are_wanted(self.params)).map(|frame| {
            let mut codes = Codes::new(self.params, frame);
            codes.reserve(slots);
            codes
        });
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
        self.codes.as_ref()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let codes = self.codes().map_or(0, Codes::memory_bytes);
        self.vectors.memory_bytes() + self.inverse_norms.capacity() * size_of::<f32>() + codes
    }
}
