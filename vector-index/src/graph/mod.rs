//! The graph over linked vectors: HNSW (Malkov & Yashunin, "Efficient and robust approximate nearest neighbor search
//! using hierarchical navigable small world graphs", 2018).
//!
//! Links lie in rows of fixed length, by slot, and are atomic numbers: one writer changes them while any number of
//! searches walk. A search that meets a half-written row sees old links among new ones, and each leads to a slot whose
//! vector stays in place until the writer has excluded all searches. The level of a slot is a hash of its number, so
//! the same changes give the same graph.

mod link;
mod near;
mod repair;
mod walk;

pub(crate) use near::{Near, WalkScratch};
pub(crate) use walk::WalkLimits;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::GraphParams;
use crate::kernel::prefetch;
use crate::strided::Strided;

/// Ends a row of links that is not full; also: no upper rows.
const NONE: u32 = u32::MAX;
/// Levels above the lowest, at most: enough for 16^8 vectors at the usual 16 links.
const MAX_LEVEL: u32 = 8;

/// The links of a space's slots.
///
/// Invariants, which [`HnswGraph::check`] holds where no writer is at work:
/// 1. Each slot has a row on the lowest level, and one on each upper level up to its own.
/// 2. A link leads to another slot, which reaches the level of the link.
/// 3. `incoming` counts the links of the lowest level that lead to a slot.
/// 4. Walks begin at a slot on its highest level.
#[derive(Debug)]
pub(crate) struct HnswGraph {
    params: GraphParams,
    /// Where every walk begins: level and slot, or [`NO_ENTRY`].
    entry: AtomicU64,
    /// By slot: links on the lowest level.
    bottom: Strided<AtomicU32>,
    /// Rows of links on upper levels; a slot's follow one another, the lower level first.
    upper: Strided<AtomicU32>,
    /// By slot: its first row in `upper`.
    upper_at: Vec<u32>,
    /// By slot: how many links of the lowest level lead here. A slot without any cannot be found.
    incoming: Vec<AtomicU32>,
}

const NO_ENTRY: u64 = u64::MAX;

impl HnswGraph {
    pub(crate) fn new(params: GraphParams) -> Self {
        Self {
            params,
            entry: AtomicU64::new(NO_ENTRY),
            bottom: Strided::new(2 * params.m),
            upper: Strided::new(params.m),
            upper_at: Vec::new(),
            incoming: Vec::new(),
        }
    }

    /// Forgets all links: every slot is unlinked again.
    pub(crate) fn clear(&mut self) {
        let slots = self.len();
        *self = Self::new(self.params);
        (0..slots).for_each(|_| self.grow());
    }

    /// Makes room for the next slot, unlinked.
    pub(crate) fn grow(&mut self) {
        let slot = self.upper_at.len() as u32;
        self.bottom.push(|| AtomicU32::new(NONE));
        self.incoming.push(AtomicU32::new(0));
        let level = self.level(slot);
        // Most slots are on the lowest level alone, and take no room above it.
        self.upper_at.push(if level == 0 { NONE } else { self.upper.len() as u32 });
        for _ in 0..level {
            self.upper.push(|| AtomicU32::new(NONE));
        }
    }

    /// Slots it has room for.
    pub(crate) fn len(&self) -> usize {
        self.upper_at.len()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let by_slot = (self.upper_at.capacity() + self.incoming.capacity()) * size_of::<u32>();
        self.bottom.memory_bytes() + self.upper.memory_bytes() + by_slot
    }

    /// The highest level of `slot`: each is reached by one in `m` of those below.
    fn level(&self, slot: u32) -> u32 {
        // A hash and not chance, so that a slot of a restored graph is on the same level again.
        let hash = xxhash_rust::xxh3::xxh3_64(&slot.to_le_bytes());
        let mut below = u64::MAX / self.params.m as u64;
        let mut level = 0;
        while hash < below && level < MAX_LEVEL {
            level += 1;
            below /= self.params.m as u64;
        }
        level
    }

    /// Links a slot can have on `level`.
    fn room(&self, level: u32) -> usize {
        if level == 0 { 2 * self.params.m } else { self.params.m }
    }

    fn entry(&self) -> Option<(u32, u32)> {
        let entry = self.entry.load(Ordering::Acquire);
        (entry != NO_ENTRY).then_some(((entry >> 32) as u32, entry as u32))
    }

    fn set_entry(&self, entry: Option<(u32, u32)>) {
        let entry = entry.map_or(NO_ENTRY, |(level, slot)| u64::from(level) << 32 | u64::from(slot));
        self.entry.store(entry, Ordering::Release);
    }

    #[inline]
    fn link_row(&self, slot: u32, level: u32) -> &[AtomicU32] {
        match level {
            0 => self.bottom.row(slot as usize),
            _ => self.upper.row((self.upper_at[slot as usize] + level - 1) as usize),
        }
    }

    /// Where the links of `slot` lead.
    #[inline]
    fn links(&self, slot: u32, level: u32) -> impl Iterator<Item = u32> {
        self.link_row(slot, level).iter().map(|link| link.load(Ordering::Acquire)).take_while(|link| *link != NONE)
    }

    #[inline]
    fn prefetch_links(&self, slot: u32) {
        prefetch(self.bottom.row(slot as usize));
    }

    /// Replaces the links of `slot`. Only the one writer calls this.
    fn set_links(&self, slot: u32, level: u32, links: &[u32]) {
        if level == 0 {
            // In this order, a link that stays is never counted as gone.
            for link in links {
                self.incoming[*link as usize].fetch_add(1, Ordering::Relaxed);
            }
            for link in self.links(slot, level) {
                self.incoming[link as usize].fetch_sub(1, Ordering::Relaxed);
            }
        }
        let row = self.link_row(slot, level);
        for (place, cell) in row.iter().enumerate() {
            cell.store(links.get(place).copied().unwrap_or(NONE), Ordering::Release);
        }
    }

    /// Whether no walk can come to `slot`.
    pub(crate) fn is_lost(&self, slot: u32) -> bool {
        self.incoming(slot) == 0 && self.entry().is_none_or(|(_, entry)| entry != slot)
    }

    fn incoming(&self, slot: u32) -> u32 {
        self.incoming[slot as usize].load(Ordering::Relaxed)
    }

    /// Returns `true` if `slot` has links, or others lead to it.
    pub(crate) fn is_laid(&self, slot: u32) -> bool {
        self.incoming(slot) > 0 || (0..=self.level(slot)).any(|level| self.links(slot, level).next().is_some())
    }

    /// Says which invariant does not hold, if one does not. Looks at every link.
    pub(crate) fn check(&self) -> Result<(), String> {
        let slots = 0..self.len() as u32;
        let upper: usize = slots.clone().map(|slot| self.level(slot) as usize).sum();
        if self.bottom.len() != self.len() || self.incoming.len() != self.len() || self.upper.len() != upper {
            return Err(format!("a slot of {} lacks a row of links", self.len()));
        }
        let mut incoming = vec![0; self.len()];
        for (slot, level) in slots.clone().flat_map(|slot| (0..=self.level(slot)).map(move |level| (slot, level))) {
            for link in self.links(slot, level) {
                if link == slot || link as usize >= self.len() || self.level(link) < level {
                    return Err(format!("{slot} leads to {link} on level {level}"));
                }
                incoming[link as usize] += u32::from(level == 0);
            }
        }
        if let Some(slot) = slots.into_iter().find(|slot| self.incoming(*slot) != incoming[*slot as usize]) {
            let (counted, there) = (self.incoming(slot), incoming[slot as usize]);
            return Err(format!("{there} links lead to {slot}, and {counted} are counted"));
        }
        match self.entry() {
            Some((level, slot)) if slot as usize >= self.len() || self.level(slot) != level => {
                Err(format!("walks begin at {slot} on level {level}"))
            }
            _ => Ok(()),
        }
    }
}

/// To and from an [`Image`](crate::image::Image).
impl HnswGraph {
    pub(crate) fn links_by_level(&self, slot: u32) -> Vec<Vec<u32>> {
        (0..=self.level(slot)).map(|level| self.links(slot, level).collect()).collect()
    }

    /// Whether rows of links have the lengths that this graph's slots have.
    pub(crate) fn fits(&self, slot: u32, links: &[Vec<u32>]) -> bool {
        let short = links.iter().enumerate().all(|(level, links)| links.len() <= self.room(level as u32));
        short && links.len() == self.level(slot) as usize + 1
    }

    /// Takes over the links of a slot that has none.
    pub(crate) fn restore(&self, slot: u32, links: &[Vec<u32>]) {
        for (level, links) in links.iter().enumerate() {
            self.set_links(slot, level as u32, links);
        }
    }

    /// Makes every walk begin at a slot, given with its highest level.
    pub(crate) fn begin_at(&self, entry: Option<(u32, u32)>) {
        self.set_entry(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Break<'b> = &'b dyn Fn(&mut HnswGraph);

    #[test]
    fn every_broken_invariant_is_found() {
        let graph = || {
            let mut graph = HnswGraph::new(GraphParams::default());
            (0..200).for_each(|_| graph.grow());
            graph.set_links(1, 0, &[2, 3]);
            graph.begin_at(Some((graph.level(1), 1)));
            graph
        };
        let low = (0..200).find(|slot| graph().level(*slot) == 0).expect("most slots reach no upper level");
        let high = (0..200).find(|slot| graph().level(*slot) == 1).expect("one in sixteen does");
        assert_eq!(graph().check(), Ok(()));
        let breaks: [(Break<'_>, &str); 6] = [
            (&|graph| graph.upper_at.truncate(199), "a slot of 199 lacks a row"),
            (&|graph| graph.set_links(5, 0, &[5]), "5 leads to 5 on level 0"),
            (&|graph| graph.bottom.row(5)[0].store(200, Ordering::Relaxed), "5 leads to 200 on level 0"),
            (&|graph| graph.set_links(high, 1, &[low]), "leads to"),
            (&|graph| graph.incoming[2].store(7, Ordering::Relaxed), "1 links lead to 2, and 7 are counted"),
            (&|graph| graph.begin_at(Some((graph.level(1) + 1, 1))), "walks begin at 1"),
        ];
        for (break_it, expected) in breaks {
            let mut graph = graph();
            break_it(&mut graph);
            let broken = graph.check().expect_err(expected);
            assert!(broken.contains(expected), "{broken} is not: {expected}");
        }
    }
}
