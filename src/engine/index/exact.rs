//! Search by comparing every vector: always right, and the measure of every other way.

use super::kernel::{Lane, Metric, RUN, compare};
use super::matrix::{Matrix, Row};
use super::probe::{Probe, inverse_norm};
use super::top::{Candidate, Top};
use super::{Index, Points};
use crate::engine::collection::{Distance, VectorParams};

/// Vectors that are searched one by one.
#[derive(Debug)]
pub(in crate::engine) struct Exact {
    distance: Distance,
    vectors: Matrix,
    /// One over each vector's length, by slot; empty unless the distance is cosine. The vectors themselves stay as they
    /// were written, since they are given back bit for bit.
    inverse_norms: Vec<f32>,
}

impl Exact {
    pub(super) fn new(params: VectorParams) -> Self {
        Self { distance: params.distance, vectors: Matrix::new(params.size), inverse_norms: Vec::new() }
    }

    pub(super) fn put(&mut self, row: Row, vector: &[f32]) {
        let slot = self.vectors.put(row, vector);
        if self.distance == Distance::Cosine {
            self.inverse_norms.resize(self.vectors.len(), 0.0);
            self.inverse_norms[slot] = inverse_norm(vector);
        }
    }

    pub(super) fn remove(&mut self, row: Row) {
        let Some(slot) = self.vectors.remove(row) else { return };
        if self.distance == Distance::Cosine {
            self.inverse_norms.swap_remove(slot);
        }
    }

    pub(super) fn get(&self, row: Row) -> Option<Vec<f32>> {
        self.vectors.get(row)
    }

    pub(super) fn read_all(&self) -> (u64, f32) {
        let query = vec![Lane::ZERO; self.vectors.stride()];
        let (mut bytes, mut total) = (0, 0.0);
        let mut sums = [0.0; RUN];
        for (_, lanes) in self.vectors.runs(RUN) {
            let sums = &mut sums[..lanes.len() / self.vectors.stride()];
            compare(Metric::Read, &query, lanes, sums);
            total += sums.iter().sum::<f32>();
            bytes += size_of_val(lanes) as u64;
        }
        (bytes, total)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.vectors.memory_bytes() + self.inverse_norms.capacity() * size_of::<f32>()
    }

    fn offer(&self, slot: usize, score: f32, points: &mut dyn Points, top: &mut Top) {
        let row = self.vectors.row(slot);
        let candidate = Candidate { score, id: points.id(row), row };
        if top.wants(&candidate) && points.accepts(row) {
            top.push(candidate);
        }
    }
}

impl Index for Exact {
    fn search(&self, probe: &Probe, points: &mut dyn Points, top: &mut Top) -> u64 {
        let mut scores = [0.0; RUN];
        for (first, lanes) in self.vectors.runs(RUN) {
            let scores = &mut scores[..lanes.len() / self.vectors.stride()];
            let inverse_norms = self.inverse_norms.get(first..first + scores.len()).unwrap_or_default();
            probe.score(lanes, inverse_norms, scores);
            for (place, score) in scores.iter().enumerate() {
                if top.admits(*score) {
                    self.offer(first + place, *score, points, top);
                }
            }
        }
        self.vectors.len() as u64
    }
}
