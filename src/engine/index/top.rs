//! The best few of many, in bounded memory.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::matrix::Row;
use crate::engine::collection::Distance;
use crate::engine::ids::PointId;

/// A row that is among the best so far.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Candidate {
    pub(in crate::engine) score: f32,
    pub(in crate::engine) id: PointId,
    pub(in crate::engine) row: Row,
}

/// Keeps the best `limit` candidates that reach the threshold: by score, equal scores by id.
#[derive(Debug)]
pub(in crate::engine) struct Top {
    distance: Distance,
    limit: usize,
    threshold: Option<f32>,
    /// The worst on top.
    heap: BinaryHeap<Ranked>,
}

#[derive(Debug)]
struct Ranked {
    distance: Distance,
    candidate: Candidate,
}

impl Top {
    pub(in crate::engine) fn new(distance: Distance, limit: usize, threshold: Option<f32>) -> Self {
        Self { distance, limit, threshold, heap: BinaryHeap::new() }
    }

    /// Whether a row of this score may still get in; decided without its id, so a tie with the worst may.
    #[inline]
    pub(super) fn admits(&self, score: f32) -> bool {
        let beats = |bound: f32| self.distance.rank(score, bound) != Ordering::Greater;
        self.threshold.is_none_or(beats)
            && (self.heap.len() < self.limit || self.heap.peek().is_some_and(|worst| beats(worst.candidate.score)))
    }

    /// Whether `candidate`, which [`admits`](Self::admits) has let pass, is better than the worst kept.
    pub(super) fn wants(&self, candidate: &Candidate) -> bool {
        self.heap.len() < self.limit
            || self.heap.peek().is_some_and(|worst| self.rank(candidate, &worst.candidate) == Ordering::Less)
    }

    /// Takes `candidate` in; the worst leaves if there are too many.
    pub(super) fn push(&mut self, candidate: Candidate) {
        self.heap.push(Ranked { distance: self.distance, candidate });
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
    }

    /// The candidates, best first.
    pub(in crate::engine) fn into_sorted(self) -> Vec<Candidate> {
        self.heap.into_sorted_vec().into_iter().map(|ranked| ranked.candidate).collect()
    }

    fn rank(&self, left: &Candidate, right: &Candidate) -> Ordering {
        self.distance.rank(left.score, right.score).then(left.id.cmp(&right.id))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let (left, right) = (&self.candidate, &other.candidate);
        self.distance.rank(left.score, right.score).then(left.id.cmp(&right.id))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}
