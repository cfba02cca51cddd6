//! Answering a search: the way the plan says, by codes first where there are any, by the vectors themselves last.

use super::Space;
use super::best::Best;
use crate::codes::VectorCodes;
use crate::graph::{Near, WalkLimits, WalkScratch};
use crate::kernel::RUN;
use crate::nearness::{ByCodes, ByVectors, CodeTarget, Pairs};
use crate::plan::{LEAST, SearchOptions, SearchPlan, SearchReport, Situation, Way, default_ef};
use crate::probe::ProbeVector;
use crate::ranking::{ScoredRow, Top};
use crate::{Key, PointLookup, Row};

/// A scan trusts codes to have the best among so many times the hits wanted, and never among fewer than [`LEAST`].
const SPARE: usize = 3;
/// Rows asked for ahead of the one that is compared.
const AHEAD: usize = 4;

/// A search under way.
struct SpaceSearch<'a> {
    space: &'a Space,
    options: &'a SearchOptions<'a>,
    points: &'a mut dyn PointLookup,
    report: SearchReport,
}

impl Space {
    /// Offers to `top` the points nearest to `vector` that `points` accepts.
    ///
    /// `vector` has the space's size, is finite, and is not all zeros if the distance is cosine.
    pub fn search(
        &self,
        vector: &[f32],
        points: &mut dyn PointLookup,
        top: &mut Top,
        options: &SearchOptions<'_>,
    ) -> SearchReport {
        // A walk keeps at least as many as are wanted.
        let usual = options.ef.map_or_else(|| default_ef(top.limit(), 1), |ef| ef.max(top.limit()));
        let breadth = self.breadth.widen(usual);
        let ef = breadth.unwrap_or(usual);
        // What codes cannot stand for is compared itself, with everything.
        let coded = self.store.codes().and_then(|codes| Some((codes, CodeTarget::Probe(codes.probe(vector)?))));
        let has_codes = self.store.codes().is_some();
        let situation = Situation {
            live: self.slots.live(),
            linked: self.slots.linked(),
            dead: self.slots.dead(),
            among: options.among.map(|among| among.rows.len() as usize),
            exact: options.exact || has_codes && coded.is_none(),
            has_codes,
            walks: breadth.is_some(),
            ef,
        };
        let probe = ProbeVector::new(self.params.distance, vector);
        let mut search = SpaceSearch { space: self, options, points, report: SearchReport::default() };
        match (situation.plan(), coded) {
            (SearchPlan::Graph { budget }, Some((codes, target))) => {
                search.report.way = Way::Graph;
                // Codes are rough: more are kept than are wanted, and vectors decide among them.
                let keep = search.candidates_to_keep(LEAST.max(SPARE * top.limit()));
                let walk = WalkLimits { ef: search.candidates_to_keep(ef), budget };
                let found = search.walk(&ByCodes(codes), &target, walk, top.limit(), keep);
                search.decide(&probe, found, top);
            }
            (SearchPlan::Graph { budget }, None) => {
                search.report.way = Way::GraphOfVectors;
                let found =
                    search.walk(&ByVectors(&self.store), &probe, WalkLimits { ef, budget }, top.limit(), top.limit());
                search.decide(&probe, found, top);
            }
            (SearchPlan::Codes, Some((codes, target))) => {
                search.report.way = Way::Codes;
                let keep = search.candidates_to_keep(LEAST.max(SPARE * top.limit()));
                let found = search.scan(&ByCodes(codes), &target, keep);
                search.decide(&probe, found, top);
            }
            _ => search.compare_all(&probe, top),
        }
        search.report
    }
}

impl SpaceSearch<'_> {
    /// How many of the best by code are compared in the end.
    fn candidates_to_keep(&self, usual: usize) -> usize {
        usual * self.space.store.codes().map_or(1, VectorCodes::spare)
    }

    /// Whether the point at `slot` may be an answer.
    #[inline]
    fn accepts(&mut self, slot: u32) -> bool {
        match self.options.among {
            None if !self.options.filtered => true,
            None => self.points.accepts(self.space.slots.row_of(slot)),
            Some(among) => {
                let row = self.space.slots.row_of(slot);
                among.rows.contains(row.0) && (among.certain || self.points.accepts(row))
            }
        }
    }

    fn key(&self, slot: u32) -> Key {
        self.points.key(self.space.slots.row_of(slot))
    }

    /// The nearest by the graph and the tail, of which `limit` are wanted and `keep` are returned; by a scan, where the
    /// graph does not lead to enough of them in time.
    fn walk<P: Pairs>(
        &mut self,
        pairs: &P,
        target: &P::Target,
        walk: WalkLimits,
        limit: usize,
        keep: usize,
    ) -> Vec<u32> {
        let space = self.space;
        let walked = WalkScratch::with(|scratch| {
            space.graph.search(pairs, target, &walk, scratch, |slot| space.is_linked(slot) && self.accepts(slot))
        });
        self.report.compared += walked.compared;
        // Too few: of those that match, or since a graph that is being repaired is in pieces. Or so many that are equally
        // near that which of them are the answer was left to chance.
        let is_short = walked.found.len() < walk.ef.min(space.slots.linked());
        if walked.gave_up || is_short || walked.lost_equals && is_level(&walked.found[limit.min(walk.ef) - 1..]) {
            self.report.way = match self.report.way {
                Way::Graph => Way::GraphThenCodes,
                _ => Way::GraphThenExact,
            };
            return self.scan(pairs, target, keep);
        }
        let mut best = Best::new(keep);
        for near in walked.found {
            if best.admits(near) {
                best.push(near);
            }
        }
        // No graph leads to the tail yet, so each of it is compared.
        self.offer_all(pairs, target, space.slots.tail().iter(), &mut best);
        best.into_sorted(|slot| self.key(slot))
    }

    /// The nearest of all candidates.
    fn scan<P: Pairs>(&mut self, pairs: &P, target: &P::Target, keep: usize) -> Vec<u32> {
        let (space, mut best) = (self.space, Best::new(keep));
        // Candidates of an index are looked up by row; else every vector that can be found is one.
        match self.options.among {
            Some(among) => {
                let slots = among.rows.iter().filter_map(|row| space.slots.slot_of(Row(row)));
                self.offer_all(pairs, target, slots, &mut best);
            }
            None => {
                self.offer_all(pairs, target, space.slots.live_slots(), &mut best);
            }
        }
        best.into_sorted(|slot| self.key(slot))
    }

    fn offer_all<P: Pairs>(
        &mut self,
        pairs: &P,
        target: &P::Target,
        slots: impl Iterator<Item = u32>,
        best: &mut Best,
    ) {
        // Memory is asked for some rows ahead of the comparison, which waits for it otherwise.
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

    /// Lets the vectors themselves decide among `found`, all of which were accepted, and those that have no code.
    fn decide(&mut self, probe: &ProbeVector, mut found: Vec<u32>, top: &mut Top) {
        let space = self.space;
        // What has no sound code is compared by its vector, in its place in the tail.
        if !space.store.wild().is_empty() {
            found.retain(|slot| !space.store.is_wild(*slot));
            for slot in space.slots.tail() & space.store.wild() {
                self.report.compared += 1;
                let score = space.store.score(probe, slot);
                self.offer(slot, score, top, Self::accepts);
            }
        }
        // Asked for all at once, then compared in order.
        for slot in &found {
            space.store.prefetch(*slot);
        }
        for slot in found {
            let score = space.store.score(probe, slot);
            self.offer(slot, score, top, |_, _| true);
        }
    }

    /// Compares the vectors of all candidates.
    fn compare_all(&mut self, probe: &ProbeVector, top: &mut Top) {
        self.report.way = Way::Exact;
        let space = self.space;
        // Few candidates are looked up by row; many lie one after the other, and are compared in runs.
        if let Some(among) = self.options.among {
            for slot in among.rows.iter().filter_map(|row| space.slots.slot_of(Row(row))) {
                self.report.compared += 1;
                let score = space.store.score(probe, slot);
                self.offer(slot, score, top, Self::accepts);
            }
            return;
        }
        self.report.compared += space.slots.live() as u64;
        let (mut scores, stride) = ([0.0; RUN], space.store.vectors().stride());
        for (first, rows) in space.store.vectors().runs(RUN) {
            let scores = &mut scores[..rows.lanes() / stride];
            space.store.scores(probe, first, rows, scores);
            for (place, score) in scores.iter().enumerate() {
                // Runs also have slots without a point, which are left out here.
                let slot = (first + place) as u32;
                if top.admits(*score) && space.slots.is_live(slot) {
                    self.offer(slot, *score, top, Self::accepts);
                }
            }
        }
    }

    fn offer(&mut self, slot: u32, score: f32, top: &mut Top, accepts: impl Fn(&mut Self, u32) -> bool) {
        let row = self.space.slots.row_of(slot);
        // The filter may read a payload, so it is asked last.
        if !top.admits(score) {
            return;
        }
        let candidate = ScoredRow { score, key: self.points.key(row), row };
        if top.wants(&candidate) && accepts(self, slot) {
            top.push(candidate);
        }
    }
}

/// Whether all of these are equally near; there is one at least.
fn is_level(found: &[Near]) -> bool {
    found.first().map(|near| near.order()) == found.last().map(|near| near.order())
}
