//! Walking the graph towards a target (Malkov & Yashunin, algorithms 2 and 5).

use std::cmp::Reverse;

use super::{HnswGraph, Near, WalkScratch};
use crate::nearness::Pairs;

/// Vectors asked for ahead of the one that is compared: as many as memory brings at once.
const AHEAD: usize = 6;

/// How a walk over the lowest level goes about it.
pub(crate) struct WalkLimits {
    /// How many of the nearest accepted slots it keeps; it ends when none ahead is nearer than the worst of them.
    pub(crate) ef: usize,
    /// Comparisons after which it gives up.
    pub(crate) budget: u64,
}

/// What a walk came to.
pub(crate) struct Walked {
    /// Nearest first.
    pub(crate) found: Vec<Near>,
    /// Vectors that were compared.
    pub(crate) compared: u64,
    /// Whether it gave up before its end.
    pub(crate) gave_up: bool,
    /// Whether it met others as near as the worst that it found, and let them go.
    pub(crate) lost_equals: bool,
}

impl HnswGraph {
    /// The slots near `target` that `accepts` takes, by a walk from the top.
    pub(crate) fn search<P: Pairs>(
        &self,
        pairs: &P,
        target: &P::Target,
        walk: &WalkLimits,
        scratch: &mut WalkScratch,
        accepts: impl FnMut(u32) -> bool,
    ) -> Walked {
        let Some((top, slot)) = self.entry() else {
            return Walked { found: Vec::new(), compared: 0, gave_up: false, lost_equals: false };
        };
        // On the upper levels one is kept, the nearest so far; on the lowest, as many as are wanted.
        let mut compared = 1;
        let mut at = Near::new(pairs.nearness(target, slot), slot);
        for level in (1..=top).rev() {
            at = self.climb(pairs, target, at, level, &mut compared);
        }
        let mut walked = self.spread(pairs, target, &[at], 0, walk, scratch, accepts);
        walked.compared += compared;
        walked
    }

    /// Goes from `at` to a nearer neighbour as long as there is one.
    pub(super) fn climb<P: Pairs>(
        &self,
        pairs: &P,
        target: &P::Target,
        mut at: Near,
        level: u32,
        compared: &mut u64,
    ) -> Near {
        loop {
            let from = at;
            // All are asked for before the first is compared, since each waits for memory.
            for link in self.links(from.slot(), level) {
                pairs.prefetch(link);
            }
            for link in self.links(from.slot(), level) {
                *compared += 1;
                at = at.max(Near::new(pairs.nearness(target, link), link));
            }
            if at == from {
                return at;
            }
        }
    }

    /// Looks at the neighbours of the nearest known slots, again and again, until they lead no nearer.
    #[expect(clippy::too_many_arguments, reason = "a walk has this many parts, and two callers")]
    pub(super) fn spread<P: Pairs>(
        &self,
        pairs: &P,
        target: &P::Target,
        from: &[Near],
        level: u32,
        walk: &WalkLimits,
        scratch: &mut WalkScratch,
        mut accepts: impl FnMut(u32) -> bool,
    ) -> Walked {
        scratch.reset(self.upper_at.len());
        for near in from {
            scratch.visit(near.slot());
            scratch.ahead.push(*near);
            if accepts(near.slot()) {
                scratch.found.push(Reverse(*near));
            }
        }
        let (mut compared, mut gave_up, mut lost) = (0, false, None);
        let mut fresh = std::mem::take(&mut scratch.fresh);
        fresh.resize(from.first().map_or(0, |near| self.link_row(near.slot(), level).len()), 0);
        while let Some(near) = scratch.ahead.pop() {
            let mut worst = scratch.found.peek().filter(|_| scratch.found.len() >= walk.ef).map(|worst| worst.0);
            // What is ahead is farther than all that is kept, and so is all behind it.
            if let Some(worst) = worst.filter(|worst| near < *worst) {
                lost = lost.max((near.order() == worst.order()).then_some(near.order()));
                break;
            }
            // Where a walk costs more than its budget, the caller scans instead.
            if compared > walk.budget {
                gave_up = true;
                break;
            }
            // Whether a link was met before cannot be foreseen, so no branch depends on it: one that was is written over.
            let mut count = 0;
            for link in self.links(near.slot(), level) {
                fresh[count] = link;
                count += usize::from(scratch.visit(link));
            }
            let fresh = &fresh[..count];
            for slot in fresh.iter().take(AHEAD) {
                pairs.prefetch(*slot);
            }
            compared += count as u64;
            for (place, slot) in fresh.iter().enumerate() {
                if let Some(ahead) = fresh.get(place + AHEAD) {
                    pairs.prefetch(*ahead);
                }
                let near = Near::new(pairs.nearness(target, *slot), *slot);
                if let Some(worst) = worst.filter(|worst| near < *worst) {
                    lost = lost.max((near.order() == worst.order()).then_some(near.order()));
                    continue;
                }
                if level == 0 {
                    self.prefetch_links(*slot);
                }
                scratch.ahead.push(near);
                if accepts(*slot) {
                    match worst {
                        None => scratch.found.push(Reverse(near)),
                        Some(worst) => {
                            lost = Some(worst.order());
                            scratch.found.peek_mut().expect("it holds the worst").0 = near;
                        }
                    }
                    worst = scratch.found.peek().filter(|_| scratch.found.len() >= walk.ef).map(|worst| worst.0);
                }
            }
        }
        scratch.fresh = fresh;
        debug_assert_eq!(scratch.check(self.len(), walk.ef.max(from.len())), Ok(()));
        let mut found: Vec<Near> = scratch.found.drain().map(|Reverse(near)| near).collect();
        found.sort_unstable_by_key(|near| Reverse(*near));
        let lost_equals = found.last().is_some_and(|worst| lost == Some(worst.order()));
        Walked { found, compared, gave_up, lost_equals }
    }
}
