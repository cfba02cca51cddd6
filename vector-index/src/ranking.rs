//! The best few of many, in bounded memory.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::{Distance, Key, Row};

/// A row that is among the best so far.
#[derive(Debug, Clone, Copy)]
pub struct ScoredRow {
    /// As the distance says.
    pub score: f32,
    /// Ranks it among equal scores.
    pub key: Key,
    /// Its row.
    pub row: Row,
}

/// Keeps the best `limit` candidates that reach the threshold: by score, equal scores by key. Scores are finite and no
/// negative zeros, so that the order of floats is total.
#[derive(Debug)]
pub struct Top {
    distance: Distance,
    limit: usize,
    /// The worst score that may still get in.
    bound: f32,
    /// The worst on top.
    heap: BinaryHeap<Ranked>,
}

#[derive(Debug)]
struct Ranked {
    distance: Distance,
    candidate: ScoredRow,
}

impl Top {
    /// `limit` is at least one.
    pub fn new(distance: Distance, limit: usize, threshold: Option<f32>) -> Self {
        let lowest = if distance.more_is_nearer() { f32::NEG_INFINITY } else { f32::INFINITY };
        Self { distance, limit, bound: threshold.unwrap_or(lowest), heap: BinaryHeap::new() }
    }

    /// How many it keeps at most.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether a row of this score may still get in; decided without its key, so a tie with the worst may.
    #[inline]
    pub(crate) fn admits(&self, score: f32) -> bool {
        if self.distance.more_is_nearer() { score >= self.bound } else { score <= self.bound }
    }

    /// Whether `candidate`, which [`admits`](Self::admits) has let pass, is better than the worst kept.
    pub(crate) fn wants(&self, candidate: &ScoredRow) -> bool {
        let rank = |worst: &Ranked| rank(self.distance, candidate, &worst.candidate);
        self.heap.len() < self.limit || self.heap.peek().is_some_and(|worst| rank(worst) == Ordering::Less)
    }

    /// Takes `candidate` in; the worst leaves if there are too many.
    pub(crate) fn push(&mut self, candidate: ScoredRow) {
        self.heap.push(Ranked { distance: self.distance, candidate });
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
        if let Some(worst) = self.heap.peek().filter(|_| self.heap.len() == self.limit) {
            self.bound = worst.candidate.score;
        }
    }

    /// The candidates, best first.
    pub fn into_sorted(self) -> Vec<ScoredRow> {
        self.heap.into_sorted_vec().into_iter().map(|ranked| ranked.candidate).collect()
    }
}

fn rank(distance: Distance, left: &ScoredRow, right: &ScoredRow) -> Ordering {
    distance.rank(left.score, right.score).then(left.key.cmp(&right.key))
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        rank(self.distance, &self.candidate, &other.candidate)
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
