//! Answering a search: the way the plan says, by codes first where there are any, by the vectors themselves last.

use super::Space;
use crate::codes::Codes;
use crate::graph::{Near, Scratch, Walk};
use crate::kernel::RUN;
use crate::nearness::{ByCodes, ByVectors, CodeTarget, Pairs};
use crate::plan::{Plan, Report, Situation, Wanted, Way, default_ef};
use crate::probe::Probe;
use crate::store::Store;
use crate::top::{Candidate, Top};
use crate::{Points, Row};

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A scan trusts codes to have the best among so many times the hits wanted, and never among fewer than this.
const SPARE: usize = 3;
const LEAST: usize = 30;
/// So many times more, for scans and walks, where a code is one bit a component.
const COARSE: usize = 8;
/// Rows asked for ahead of the one that is compared.
const AHEAD: usize = 4;

/// A search under way.
struct Search<'a> {
    space: &'a Space,
    wanted: &'a Wanted<'a>,
    points: &'a mut dyn Points,
    report: Report,
}

impl Space {
    /// Offers to `top` the points nearest to `vector` that `points` accepts.
    ///
    /// `vector` has the space's size, is finite, and is not all zeros if the distance is cosine.
    pub fn search(&self, vector: &[f32], points: &mut dyn Points, top: &mut Top, wanted: &Wanted<'_>) -> Report {
        let ef = wanted.ef.map_or_else(|| default_ef(top.limit(), 1), |ef| ef.max(top.limit()));
        let situation = Situation {
            live: self.slots.live(),
            linked: self.slots.linked(),
            dead: self.slots.dead(),
            among: wanted.among.map(|among| among.rows.len() as usize),
            exact: wanted.exact || self.store.is_wild() || Store::is_wild_vector(self.params.distance, vector),
            has_codes: self.store.codes().is_some(),
            ef,
        };
        let probe = Probe::new(self.params.distance, vector);
        let mut search = Search { space: self, wanted, points, report: Report::default() };
        match (situation.plan(), self.store.codes()) {
            (Plan::Graph { budget }, Some(codes)) => {
                let target = CodeTarget::Probe(codes.probe(vector));
                let mut found = search.walk(&ByCodes(codes), &target, Walk { ef: search.keep(ef), budget });
                found.truncate(search.keep(LEAST.max(SPARE * top.limit())));
                search.decide(&probe, found, top);
            }
            (Plan::Graph { budget }, None) => {
                let found = search.walk(&ByVectors(&self.store), &probe, Walk { ef, budget });
                search.decide(&probe, found, top);
            }
            (Plan::Codes, Some(codes)) => {
                let target = CodeTarget::Probe(codes.probe(vector));
                let keep = search.keep(LEAST.max(SPARE * top.limit()));
                let found = search.scan(&ByCodes(codes), &target, keep);
                search.report.way = Way::Codes;
                search.decide(&probe, found, top);
            }
            _ => search.compare_all(&probe, top),
        }
        search.report
    }
}

impl Search<'_> {
    /// How many of the best by code are compared in the end.
    fn keep(&self, usual: usize) -> usize {
        if self.space.store.codes().is_some_and(Codes::is_coarse) { usual * COARSE } else { usual }
    }

    /// Whether the point at `slot` may be an answer.
    #[inline]
    fn accepts(&mut self, slot: u32) -> bool {
        match self.wanted.among {
            None if !self.wanted.filtered => true,
            None => self.points.accepts(self.space.slots.row(slot)),
            Some(among) => {
                let row = self.space.slots.row(slot);
                among.rows.contains(row.0) && (among.certain || self.points.accepts(row))
            }
        }
    }

    /// The nearest by the graph and the tail; by a scan, where the graph does not lead to enough of them in time.
    fn walk<P: Pairs>(&mut self, pairs: &P, target: &P::Target, walk: Walk) -> Vec<Near> {
        self.report.way = Way::Graph;
        let space = self.space;
        let walked = Scratch::with(|scratch| {
            space.graph.search(pairs, target, &walk, scratch, |slot| space.is_linked(slot) && self.accepts(slot))
        });
        self.report.compared += walked.compared;
        // Too few: of those that match, or since a graph that is being mended is in pieces.
        if walked.gave_up || walked.found.len() < walk.ef.min(space.slots.linked()) {
            self.report.way = Way::GraphThenCodes;
            return self.scan(pairs, target, walk.ef);
        }
        let mut best = Best::new(walk.ef);
        walked.found.into_iter().for_each(|near| best.push(near));
        self.offer_all(pairs, target, space.slots.tail().iter(), &mut best);
        best.into_sorted()
    }

    /// The nearest of all candidates.
    fn scan<P: Pairs>(&mut self, pairs: &P, target: &P::Target, keep: usize) -> Vec<Near> {
        let (space, mut best) = (self.space, Best::new(keep));
        match self.wanted.among {
            Some(among) => {
                let slots = among.rows.iter().filter_map(|row| space.slots.of(Row(row)));
                self.offer_all(pairs, target, slots, &mut best);
            }
            None => {
                let slots = (0..space.slots.len() as u32).filter(|slot| space.slots.is_live(*slot));
                self.offer_all(pairs, target, slots, &mut best);
            }
        }
        best.into_sorted()
    }

    fn offer_all<P: Pairs>(
        &mut self,
        pairs: &P,
        target: &P::Target,
        slots: impl Iterator<Item = u32>,
        best: &mut Best,
    ) {
        let mut slots = slots.fuse();
        let mut ahead = std::collections::VecDeque::with_capacity(AHEAD);
        loop {
            while ahead.len() < AHEAD {
                let Some(slot) = slots.next() else { break };
                pairs.prefetch(slot);
                ahead.push_back(slot);
            }
            let Some(slot) = ahead.pop_front() else { return };
            self.report.compared += 1;
            let near = Near::new(pairs.nearness(target, slot), slot);
            if best.admits(near) && self.accepts(slot) {
                best.push(near);
            }
        }
    }

    /// Lets the vectors themselves decide among `found`, all of which were accepted.
    fn decide(&mut self, probe: &Probe, found: Vec<Near>, top: &mut Top) {
        let space = self.space;
        for near in &found {
            space.store.prefetch(near.slot());
        }
        for near in found {
            let score = space.store.score(probe, near.slot());
            self.offer(near.slot(), score, top, |_, _| true);
        }
    }

    /// Compares the vectors of all candidates.
    fn compare_all(&mut self, probe: &Probe, top: &mut Top) {
        self.report.way = Way::Exact;
        let space = self.space;
        let accepts = |search: &mut Self, slot| search.accepts(slot);
        if let Some(among) = self.wanted.among {
            for slot in among.rows.iter().filter_map(|row| space.slots.of(Row(row))) {
                self.report.compared += 1;
                let score = space.store.score(probe, slot);
                self.offer(slot, score, top, accepts);
            }
            return;
        }
        self.report.compared += space.slots.live() as u64;
        let (mut scores, stride) = ([0.0; RUN], space.store.vectors().stride());
        for (first, rows) in space.store.vectors().runs(RUN) {
            let scores = &mut scores[..rows.lanes() / stride];
            space.store.scores(probe, first, rows, scores);
            for (place, score) in scores.iter().enumerate() {
                let slot = (first + place) as u32;
                if top.admits(*score) && space.slots.is_live(slot) {
                    self.offer(slot, *score, top, accepts);
                }
            }
        }
    }

    fn offer(&mut self, slot: u32, score: f32, top: &mut Top, accepts: impl Fn(&mut Self, u32) -> bool) {
        let row = self.space.slots.row(slot);
        if !top.admits(score) {
            return;
        }
        let candidate = Candidate { score, key: self.points.key(row), row };
        if top.wants(&candidate) && accepts(self, slot) {
            top.push(candidate);
        }
    }
}

/// The best few by code.
struct Best {
    keep: usize,
    heap: BinaryHeap<Reverse<Near>>,
}

impl Best {
    fn new(keep: usize) -> Self {
        Self { keep, heap: BinaryHeap::with_capacity(keep.min(1 << 16) + 1) }
    }

    fn admits(&self, near: Near) -> bool {
        self.heap.len() < self.keep || self.heap.peek().is_some_and(|worst| near > worst.0)
    }

    fn push(&mut self, near: Near) {
        self.heap.push(Reverse(near));
        if self.heap.len() > self.keep {
            self.heap.pop();
        }
    }

    fn into_sorted(self) -> Vec<Near> {
        self.heap.into_sorted_vec().into_iter().map(|Reverse(near)| near).collect()
    }
}
