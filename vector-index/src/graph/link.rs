//! Taking a slot into the graph (Malkov & Yashunin, algorithms 1 and 4).
//!
//! One departure: who would lose the last link that leads to it keeps it. The original lets such vectors go, and no
//! walk finds them again.

use std::cmp::Reverse;

use super::{HnswGraph, Near, WalkLimits, WalkScratch};
use crate::nearness::Pairs;

impl HnswGraph {
    /// Links `slot`, which is not linked yet. Only slots that `is_linked` accepts become its neighbours. Only the one
    /// writer calls this, while searches may walk. Returns the `ef_construct` nearest that its walk found, nearest first.
    pub(crate) fn link<P: Pairs>(
        &self,
        pairs: &P,
        slot: u32,
        scratch: &mut WalkScratch,
        mut is_linked: impl FnMut(u32) -> bool,
    ) -> Vec<Near> {
        let target = pairs.target(slot);
        // Above its own level only the nearest slot is kept: it is where the walk below begins.
        if let Some((top, entry)) = self.entry() {
            let mut at = Near::new(pairs.nearness(&target, entry), entry);
            for level in (self.level(slot) + 1..=top).rev() {
                at = self.climb(pairs, &target, at, level, &mut 0);
            }
            if let Some(found) = self.link_from(pairs, slot, at, scratch, &mut is_linked) {
                return found;
            }
        }
        // The walk found no linked slot. From now on walks begin at one that is linked, or else here.
        let others = (0..self.len() as u32).filter(|other| *other != slot && is_linked(*other));
        let Some((level, Reverse(other))) = others.map(|other| (self.level(other), Reverse(other))).max() else {
            self.set_entry(Some((self.level(slot), slot)));
            return Vec::new();
        };
        self.set_entry(Some((level, other)));
        // A climb from there may end among the dead again, so there is none.
        let at = Near::new(pairs.nearness(&target, other), other);
        let found = self.link_from(pairs, slot, at, scratch, &mut is_linked);
        debug_assert!(found.is_some(), "a walk from one that is linked finds that one");
        found.unwrap_or_default()
    }

    /// Links `slot` to what walks from `at` find, and returns that; `None` if they find none that is linked.
    fn link_from<P: Pairs>(
        &self,
        pairs: &P,
        slot: u32,
        at: Near,
        scratch: &mut WalkScratch,
        is_linked: &mut impl FnMut(u32) -> bool,
    ) -> Option<Vec<Near>> {
        let (level, target) = (self.level(slot), pairs.target(slot));
        let (top, _) = self.entry()?;
        // From its own level down: each walk begins where the one above ended.
        let mut from = vec![at];
        let walk = WalkLimits { ef: self.params.ef_construct, budget: u64::MAX };
        for level in (0..=level.min(top)).rev() {
            let accepts = |other| other != slot && is_linked(other);
            let found = self.spread(pairs, &target, &from, level, &walk, scratch, accepts).found;
            // Upper levels may be empty of linked slots. Only the lowest tells that none was found.
            if level == 0 && found.is_empty() {
                return None;
            }
            let chosen = choose(pairs, slot, &found, self.params.m, Vec::with_capacity(self.params.m));
            // Its own links come first: a search that is led here can go on.
            self.set_links(slot, level, &chosen);
            for neighbour in chosen {
                self.link_back(pairs, neighbour, slot, level);
            }
            if !found.is_empty() {
                from = found;
            }
        }
        // Only now, so that no search begins at a slot without links.
        if level > top {
            self.set_entry(Some((level, slot)));
        }
        // Every neighbour may have left the slot out again, for want of room.
        if self.incoming(slot) == 0 {
            self.attach(pairs, slot);
        }
        Some(from)
    }

    /// Adds a link from `neighbour` to `slot`; where there is no room, those of its neighbours that lead the same way
    /// as a nearer one make it.
    pub(super) fn link_back<P: Pairs>(&self, pairs: &P, neighbour: u32, slot: u32, level: u32) {
        let mut links: Vec<u32> = self.links(neighbour, level).filter(|link| *link != slot).collect();
        links.push(slot);
        if links.len() > self.room(level) {
            links = self.shorten(pairs, neighbour, &links, level);
        }
        self.set_links(neighbour, level, &links);
    }

    /// Chooses among the links that `slot` could have; those that nothing else leads to stay.
    fn shorten<P: Pairs>(&self, pairs: &P, slot: u32, links: &[u32], level: u32) -> Vec<u32> {
        let target = pairs.target(slot);
        let mut sorted: Vec<Near> = links.iter().map(|link| Near::new(pairs.nearness(&target, *link), *link)).collect();
        sorted.sort_unstable_by_key(|near| Reverse(*near));
        let mut chosen = choose(pairs, slot, &sorted, self.room(level), Vec::new());
        // Only the lowest level has all slots, so only there a slot can get lost.
        if level > 0 {
            return chosen;
        }
        // A slot that would lose the last link to it takes the place of one that others lead to.
        let already: Vec<u32> = self.links(slot, level).collect();
        let is_last = |link: u32| self.incoming(link) == u32::from(already.contains(&link));
        for near in sorted {
            let link = near.slot();
            if chosen.contains(&link) || !already.contains(&link) || !is_last(link) {
                continue;
            }
            if chosen.len() == self.room(level) {
                let Some(place) = chosen.iter().rposition(|link| !is_last(*link)) else { break };
                chosen.remove(place);
            }
            chosen.push(link);
        }
        chosen
    }

    /// Makes a neighbour of `slot`, which nothing leads to, lead to it: the nearest that has room, or a link to spare.
    pub(super) fn attach<P: Pairs>(&self, pairs: &P, slot: u32) {
        let target = pairs.target(slot);
        let mut neighbours: Vec<Near> =
            self.links(slot, 0).map(|link| Near::new(pairs.nearness(&target, link), link)).collect();
        neighbours.sort_unstable_by_key(|near| Reverse(*near));
        for neighbour in neighbours {
            let mut links: Vec<u32> = self.links(neighbour.slot(), 0).collect();
            if links.len() == self.room(0) {
                // The farthest that others lead to as well makes room. Lists are in order, but for slots attached here.
                let Some(place) = links.iter().rposition(|link| self.incoming(*link) > 1) else { continue };
                links.remove(place);
            }
            links.push(slot);
            return self.set_links(neighbour.slot(), 0, &links);
        }
    }
}

/// The neighbours to keep of `sorted`, nearest first, beside those that are `chosen` already: each that is nearer to
/// `slot` than to any kept before it, so that links lead different ways (algorithm 4, without its extensions).
///
/// Another departure: a twin, whose vector is that of `slot` itself, stands in the way of other twins only. To the
/// original it is as near to everything as `slot` is, so it would be the only link.
pub(super) fn choose<P: Pairs>(pairs: &P, slot: u32, sorted: &[Near], most: usize, mut chosen: Vec<u32>) -> Vec<u32> {
    // As near as the vector is to itself is a twin.
    let itself = pairs.target(slot);
    let own = pairs.nearness(&itself, slot);
    let mut twin = chosen.iter().copied().find(|other| pairs.nearness(&itself, *other) >= own);
    for near in sorted {
        if chosen.len() >= most {
            break;
        }
        let (target, is_twin) = (pairs.target(near.slot()), near.nearness() >= own);
        let stands_in_the_way = |other: u32| Some(other) != twin && pairs.nearness(&target, other) >= near.nearness();
        if is_twin && twin.is_some() || chosen.iter().any(|other| stands_in_the_way(*other)) {
            continue;
        }
        if is_twin {
            twin = Some(near.slot());
        }
        chosen.push(near.slot());
    }
    chosen
}
