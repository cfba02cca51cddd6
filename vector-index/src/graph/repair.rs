//! Taking dead slots out of the graph: every slot that links to one is linked to what lies behind it instead
//! (FreshDiskANN, Singh et al. 2021, § 4.2, with the choice of HNSW).

use std::cmp::Reverse;

use roaring::RoaringBitmap;

use super::link::choose;
use super::{HnswGraph, NONE, Near, WalkScratch};
use crate::nearness::Pairs;

impl HnswGraph {
    /// Leads the links of `slot` around the `doomed`. `is_linked` says which slots may become neighbours; a slot that
    /// is not itself only loses links. Only the one writer calls this, while searches may walk.
    pub(crate) fn bypass<P: Pairs>(
        &self,
        pairs: &P,
        slot: u32,
        doomed: &RoaringBitmap,
        mut is_linked: impl FnMut(u32) -> bool,
    ) {
        for level in 0..=self.level(slot) {
            let (lost, mut kept): (Vec<u32>, Vec<u32>) =
                self.links(slot, level).partition(|link| doomed.contains(*link));
            if lost.is_empty() {
                continue;
            }
            if is_linked(slot) {
                // What the lost neighbours led to is chosen from.
                let behind = lost.iter().flat_map(|lost| self.links(*lost, level));
                let usable = |other: &u32| *other != slot && !doomed.contains(*other) && is_linked(*other);
                let mut behind: Vec<u32> = behind.filter(usable).filter(|other| !kept.contains(other)).collect();
                behind.sort_unstable();
                behind.dedup();
                let target = pairs.target(slot);
                behind.iter().for_each(|link| pairs.prefetch(*link));
                let near = |link: &u32| Near::new(pairs.nearness(&target, *link), *link);
                let mut sorted: Vec<Near> = behind.iter().map(near).collect();
                sorted.sort_unstable_by_key(|near| Reverse(*near));
                // A repair makes no list longer than it was.
                let most = (kept.len() + lost.len()).min(self.room(level));
                kept = choose(pairs, slot, &sorted, most, kept);
                // Lists that only diversity may fill get shorter with each repair, and recall falls with them.
                let spare: Vec<u32> =
                    sorted.iter().map(|near| near.slot()).filter(|other| !kept.contains(other)).collect();
                kept.extend(spare.into_iter().take(most - kept.len()));
            }
            self.set_links(slot, level, &kept);
        }
    }

    /// Forgets the links of the `doomed`, which nothing leads to any more, and begins elsewhere if walks began there.
    pub(crate) fn cut_off(&self, doomed: &RoaringBitmap, is_linked: impl Fn(u32) -> bool) {
        // Walks begin at the highest level that is left; of several slots there, at the lowest number.
        if self.entry().is_some_and(|(_, slot)| doomed.contains(slot)) {
            let left = (0..self.upper_at.len() as u32).filter(|slot| !doomed.contains(*slot) && is_linked(*slot));
            self.set_entry(
                left.map(|slot| (self.level(slot), slot)).max_by_key(|(level, slot)| (*level, Reverse(*slot))),
            );
        }
        // Their links are the last trace of them: nothing leads to them any more.
        for slot in doomed {
            for level in 0..=self.level(slot) {
                self.set_links(slot, level, &[]);
            }
        }
    }

    /// Makes sure that something leads to `slot`, which is linked: by its own neighbours, or by linking it anew.
    pub(crate) fn reattach<P: Pairs>(
        &self,
        pairs: &P,
        slot: u32,
        scratch: &mut WalkScratch,
        is_linked: impl FnMut(u32) -> bool,
    ) {
        if !self.is_lost(slot) {
            return;
        }
        // A slot that has no links either cannot be led to by its neighbours.
        if self.link_row(slot, 0)[0].load(std::sync::atomic::Ordering::Relaxed) == NONE {
            self.link(pairs, slot, scratch, is_linked);
        } else {
            self.attach(pairs, slot);
        }
    }
}
