//! Which way a search goes: decided by what each way costs, from measured constants, and by nothing else.

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

/// What a search asks for, beside its vector.
#[derive(Debug, Clone, Copy, Default)]
pub struct SearchOptions<'a> {
    /// How widely a walk looks in data that are as most are; absent means [`default_ef`]. In data that a space has found
    /// to need more, it looks more widely than that.
    pub ef: Option<usize>,
    /// Whether every vector that may be an answer is compared itself.
    pub exact: bool,
    /// Only points among these can be answers.
    pub among: Option<Among<'a>>,
    /// Whether the points may refuse some, so that `accepts` must be asked.
    pub filtered: bool,
}

/// Rows that an index of payloads has found to match a filter.
#[derive(Debug, Clone, Copy)]
pub struct Among<'a> {
    /// The rows.
    pub rows: &'a RoaringBitmap,
    /// Whether they all match; otherwise `accepts` is asked too.
    pub certain: bool,
}

/// How the answer to a search was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Every candidate's vector was compared: the answer is exact.
    #[default]
    Exact,
    /// Every candidate's code was compared, and the vectors of the best.
    Codes,
    /// The graph was walked by codes, the tail's codes compared, and the vectors of the best.
    Graph,
    /// A walk by codes found too little in its time; then every candidate's code was compared.
    GraphThenCodes,
    /// The graph was walked by the vectors themselves, and the tail's compared.
    GraphOfVectors,
    /// A walk by the vectors found too little in its time; then every candidate's was compared: the answer is exact.
    GraphThenExact,
}

/// What a search did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchReport {
    /// The way it went.
    pub way: Way,
    /// Vectors and codes that were compared.
    pub compared: u64,
}

/// What one comparison costs, about, in nanoseconds (2-core AVX2 machine, 384 bytes a code): in a scan, and in a walk,
/// which waits for memory.
const SCAN_NS: f64 = 30.0;
const WALK_NS: f64 = 60.0;
/// Comparisons of a walk for each that it keeps.
const SPREAD: f64 = 14.0;
/// Below this many candidates codes save nothing: the vectors themselves are compared.
const FEW: usize = 256;

/// Codes are trusted to have the best among so many at least.
pub(crate) const LEAST: usize = 30;
/// So many times more, for scans and walks, where a code is one bit a component.
pub(crate) const COARSE: usize = 8;

/// Vectors that are worth a graph: fewer are compared one by one in the time of a walk.
pub(crate) const GRAPH_FROM: usize = 2_000;

/// The breadth of a walk for `limit` hits, the whole being spread over `shards` spaces.
///
/// On the project's sample data 64 gives recall@10 ≥ 0.97 over 100,000 vectors in one space. The best hits of a
/// collection lie spread over its shards, so each of them is asked for fewer: over eight shards 23 gives as much.
pub fn default_ef(limit: usize, shards: usize) -> usize {
    let shards = shards.max(1);
    let least = (64.0 / (shards as f64).sqrt()).ceil() as usize;
    least.max((4 * limit).div_ceil(shards))
}

/// What the plan depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation {
    /// Vectors that can be found.
    pub live: usize,
    /// Those in the graph.
    pub linked: usize,
    /// Those that were replaced or removed, and that the graph still leads through.
    pub dead: usize,
    /// Candidates, where an index of payloads has found them.
    pub among: Option<usize>,
    pub exact: bool,
    pub has_codes: bool,
    /// Whether some walk is wide enough.
    pub walks: bool,
    pub ef: usize,
}

/// A way, and for a walk how many comparisons it is given before the next way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SearchPlan {
    Exact,
    Codes,
    Graph { budget: u64 },
}

impl Situation {
    pub(crate) fn plan(self) -> SearchPlan {
        let candidates = self.among.unwrap_or(self.live);
        // Codes save nothing among few, and neither does a walk.
        if self.exact || candidates <= FEW {
            return SearchPlan::Exact;
        }
        let scan = if self.has_codes { SearchPlan::Codes } else { SearchPlan::Exact };
        let scan_ns = candidates as f64 * SCAN_NS;
        // A walk meets a candidate as often as there are candidates, and the tail is scanned beside it.
        let share = candidates as f64 / self.live.max(1) as f64;
        let tail = self.live - self.linked;
        let walk_ns = self.ef as f64 * SPREAD * WALK_NS / share + tail as f64 * SCAN_NS * share.max(0.1);
        // A walk among more dead than living may find nobody alive for long.
        if !self.walks || self.linked <= self.dead || scan_ns <= walk_ns {
            return scan;
        }
        // What a scan would cost, but never so little that a walk of the usual length does not end.
        let budget = (scan_ns / WALK_NS).max(2.0 * self.ef as f64 * SPREAD);
        SearchPlan::Graph { budget: budget as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(live: usize, among: Option<usize>) -> SearchPlan {
        Situation { live, linked: live, dead: 0, among, exact: false, has_codes: true, walks: true, ef: 64 }.plan()
    }

    #[test]
    fn few_are_scanned_and_many_walked() {
        assert_eq!(plan(100, None), SearchPlan::Exact);
        assert_eq!(plan(1_500, None), SearchPlan::Codes);
        assert!(matches!(plan(100_000, None), SearchPlan::Graph { .. }));
        assert_eq!(plan(100_000, Some(922)), SearchPlan::Codes);
        assert_eq!(plan(100_000, Some(6_383)), SearchPlan::Codes);
        assert!(matches!(plan(100_000, Some(50_000)), SearchPlan::Graph { .. }));
        let exact = Situation {
            live: 100_000,
            linked: 100_000,
            dead: 0,
            among: None,
            exact: true,
            has_codes: true,
            walks: true,
            ef: 64,
        };
        assert_eq!(exact.plan(), SearchPlan::Exact);
        assert_eq!(Situation { exact: false, linked: 0, ..exact }.plan(), SearchPlan::Codes);
        assert_eq!(Situation { exact: false, walks: false, ..exact }.plan(), SearchPlan::Codes);
        assert_eq!(Situation { exact: false, dead: 100_000, ..exact }.plan(), SearchPlan::Codes);
        assert_eq!(Situation { exact: false, linked: 0, has_codes: false, ..exact }.plan(), SearchPlan::Exact);
    }

    #[test]
    fn the_more_shards_the_narrower_each_walk() {
        let breadths = [1, 2, 4, 8, 64].map(|shards| default_ef(10, shards));
        assert_eq!(breadths[0], 64);
        assert!(breadths.windows(2).all(|pair| pair[0] >= pair[1]), "{breadths:?}");
        assert_eq!((default_ef(10, 8), default_ef(1_000, 1), default_ef(1_000, 8)), (23, 4_000, 500));
    }
}
