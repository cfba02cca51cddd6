//! When a store takes codes, takes them anew and gives them up, while there is no graph: with one, what the graph measures
//! decides.
//!
//! Codes begin with a few vectors. Once half of the vectors that are there were put since the last time, it is tried how many
//! of the nearest codes tell. Before such a trial codes are taken anew where vectors have doubled. Where others have
//! overwritten them, codes are taken anew only if the old ones tell too few. Where new ones tell too few as well, vectors are
//! compared themselves. In between it is tried now and then for some of the newest, which may be unlike those that the codes
//! were taken of.

use roaring::RoaringBitmap;

use super::Space;
use crate::codes::VectorCodes;
use crate::codes::frame::Frame;
use crate::plan::{GRAPH_FROM, LEAST};

/// Codes begin at so many vectors: fewer are compared themselves anyway.
const CODES_FROM: usize = 256;
/// They are not taken anew beyond so many slots, or fewer where the vectors are so long that coding all of them takes
/// long: it is done at once, by the one who puts the last of them.
const STAY_FROM: usize = GRAPH_FROM;
const STAY_FROM_COMPONENTS: usize = 4 << 20;
/// Vectors whose nearest are looked for by codes: so many, or fewer where vectors are so many or so long that more
/// components than this would be compared, but not too few to say anything.
const TRIED: usize = 32;
const TRIED_COMPONENTS: usize = 8 << 20;
const TRIED_AT_LEAST: usize = 8;
/// Vectors among which they are looked for, and those of the newest.
const AMONG: usize = 2_000;
const NEWEST_AMONG: usize = 512;
/// So many of the newest are tried.
const NEWEST_TRIED: usize = 4;
/// How many of the nearest are looked for.
pub(super) const NEAREST: usize = 10;
/// Codes are used where they tell this share of them.
const ENOUGH_TOLD: f64 = 0.95;
/// From [`STAY_FROM`] on they are given up where they tell less than this: what few vectors say against them must be clear.
const TOO_FEW_TOLD: f64 = 0.9;
/// Codes are tried for the newest once they are one in so many, within these bounds.
const NEWS_SHARE: usize = 8;
const NEWS: (usize, usize) = (16, 1_024);

/// What codes were not taken of.
#[derive(Debug, Default)]
pub(super) struct UncodedSlots {
    /// Slots that were put since codes were last taken anew, or last found to tell enough of all slots.
    all: RoaringBitmap,
    /// Those of them that codes were not tried for yet.
    newest: RoaringBitmap,
    /// How many slots there were when codes were last taken.
    coded: usize,
}

impl Space {
    /// Takes note of a vector that was put, in a new slot or an old one, and looks after the codes where it is time to.
    pub(super) fn look_after_codes(&mut self, slot: u32, is_new: bool) {
        if self.store.codes_stay() || self.slots.is_laid() {
            return;
        }
        self.uncoded.all.insert(slot);
        self.uncoded.newest.insert(slot);
        let live = self.slots.live();
        // Searches compare so few vectors themselves.
        if live < CODES_FROM {
            return;
        }
        // At the size where taking codes anew ends, they are taken of all vectors once more.
        let is_last = is_new && self.slots.len() == self.last_coding();
        let is_due = is_last || 2 * self.uncoded.all.len() >= live as u64;
        if is_due || self.surprised(live) {
            let may_stay = is_due && !is_last && self.slots.len() < 2 * self.uncoded.coded;
            self.decide_on_codes(&self.slots.live_slots().collect::<Vec<_>>(), may_stay);
        }
    }

    /// Returns `true` if codes tell too little of the newest vectors, where these are enough to ask.
    fn surprised(&mut self, live: usize) -> bool {
        if self.uncoded.newest.len() < (live / NEWS_SHARE).clamp(NEWS.0, NEWS.1) as u64 {
            return false;
        }
        let newest = std::mem::take(&mut self.uncoded.newest);
        let newest: Vec<u32> = newest.iter().filter(|slot| self.slots.is_live(*slot)).collect();
        let Some(codes) = self.store.codes() else { return false };
        let all: Vec<u32> = self.slots.live_slots().collect();
        self.share_told(codes, &spread(&newest, NEWEST_TRIED), &spread(&all, NEWEST_AMONG)) < TOO_FEW_TOLD
    }

    /// Takes codes of all vectors, or goes on with the present ones where that takes long. Keeps them only if they
    /// tell enough of the `live` vectors. If they `may_stay`, codes that tell enough are not taken anew.
    fn decide_on_codes(&mut self, live: &[u32], may_stay: bool) {
        // Whatever comes of it, what is new is counted from here on.
        self.uncoded = UncodedSlots { coded: self.uncoded.coded, ..UncodedSlots::default() };
        // The work is bounded: the more vectors, or the longer, the fewer targets are tried.
        let targets = (TRIED_COMPONENTS / (live.len() * self.params.size)).clamp(TRIED_AT_LEAST, TRIED);
        let (targets, among) = (spread(live, targets), spread(live, AMONG));
        let (stored, last) = (self.store.vectors().len(), self.last_coding());
        let enough = if stored < last { ENOUGH_TOLD } else { TOO_FEW_TOLD };
        let tell_enough = |codes: &VectorCodes| self.share_told(codes, &targets, &among) >= enough;
        if may_stay && self.store.codes().is_some_and(tell_enough) {
            return;
        }
        if stored <= last {
            let frame = Frame::fit_to(self.params, live.len(), |number| self.store.get(live[number]));
            let (codes, wild) = self.store.coded(frame);
            // Where codes told enough and a graph begins now, they are not tried: the graph measures them.
            let is_measured = live.len() >= GRAPH_FROM && self.store.codes().is_some() && self.params.graph.is_some();
            let is_enough = is_measured || tell_enough(&codes);
            self.uncoded.coded = stored;
            self.store.set_codes(is_enough.then_some((codes, wild)));
        } else if self.store.codes().is_some_and(|codes| !tell_enough(codes)) {
            self.store.leave_codes();
        }
    }

    /// Slots up to which codes are taken anew.
    fn last_coding(&self) -> usize {
        STAY_FROM.min(STAY_FROM_COMPONENTS / self.params.size).max(CODES_FROM)
    }

    /// The share of the nearest to some vectors that codes rank among the best, as far as those of `among` tell.
    fn share_told(&self, codes: &VectorCodes, targets: &[u32], among: &[u32]) -> f64 {
        let trusted = LEAST * codes.spare();
        // There will be twice as many vectors, and twice as many beside the nearest, before they are taken anew.
        let best = if self.store.vectors().len() < self.last_coding() { trusted / 2 } else { trusted };
        let mut told = 0;
        for slot in targets {
            told += self.nearest_told(codes, *slot, among, best);
        }
        if targets.is_empty() { 1.0 } else { told as f64 / (targets.len() * NEAREST) as f64 }
    }

    /// Of the [`NEAREST`] to `slot` among these slots, which are no fewer, how many are among the `best` by code.
    pub(super) fn nearest_told(&self, codes: &VectorCodes, slot: u32, among: &[u32], best: usize) -> usize {
        debug_assert!(among.len() >= NEAREST, "{} slots are too few to have the nearest", among.len());
        let nearness = self.store.nearness_to(slot, among);
        let mut nearest = nearness.clone();
        let (_, last, _) = nearest.select_nth_unstable_by(NEAREST - 1, |left, right| right.total_cmp(left));
        let mut order: Vec<(f32, usize)> =
            among.iter().map(|other| codes.nearness_between(slot as usize, *other as usize)).zip(0..).collect();
        order.select_nth_unstable_by(best.min(among.len()) - 1, |left, right| right.0.total_cmp(&left.0));
        // As near as the last of the nearest is near enough: of equals, any will do.
        order.iter().take(best).filter(|(_, place)| nearness[*place] >= *last).count().min(NEAREST)
    }
}

/// At most so many of `all`, from one end to the other.
fn spread(all: &[u32], most: usize) -> Vec<u32> {
    let taken = all.len().min(most);
    (0..taken).map(|number| all[number * all.len() / taken]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Distance, Quantization, Row, SpaceParams};

    const SIZE: usize = 48;

    /// A space of `CODES_FROM` vectors, drawn about `centre`: codes have just been taken of them.
    fn coded(centre: f32) -> Space {
        let params = SpaceParams { quantization: Quantization::Int8, ..SpaceParams::new(SIZE, Distance::Euclid) };
        let mut space = Space::new(params);
        put(&mut space, 0..CODES_FROM, (0, centre));
        assert_eq!(space.uncoded.coded, CODES_FROM);
        assert!(space.uncoded.all.is_empty());
        space
    }

    /// Puts vectors that are numbered from `first` on, each about `centre`, on a scale that is its size.
    fn put(space: &mut Space, rows: std::ops::Range<usize>, (first, centre): (usize, f32)) {
        for row in rows {
            let part = |place: usize| (((first + row) * 7_919 + place * 104_729) % 1_009) as f32 / 1_009.0;
            let vector: Vec<f32> = (0..SIZE).map(|place| centre * (1.0 + 1e-3 * part(place))).collect();
            space.put(Row(row as u32), &vector);
        }
    }

    fn frame(space: &Space) -> Frame {
        space.store.codes().expect("there are codes").frame().clone()
    }

    /// The frame of all vectors that are there.
    fn fitting(space: &Space) -> Frame {
        let live: Vec<u32> = space.slots.live_slots().collect();
        Frame::fit_to(space.params, live.len(), |number| space.store.get(live[number]))
    }

    #[test]
    fn codes_stay_where_they_tell_what_has_overwritten_their_vectors() {
        let mut space = coded(1.0);
        let before = frame(&space);
        put(&mut space, 0..CODES_FROM - 1, (5_000, 1.0));
        assert_eq!(frame(&space), before, "other vectors of the same spread need no other codes");
    }

    #[test]
    fn codes_are_taken_anew_where_what_has_overwritten_their_vectors_lies_elsewhere() {
        let mut space = coded(1.0);
        let before = frame(&space);
        // Half way no codes tell both kinds; once the old ones are gone, there are codes of the new ones.
        put(&mut space, 0..CODES_FROM, (5_000, 1e4));
        put(&mut space, 0..CODES_FROM, (6_000, 1e4));
        let live: Vec<u32> = space.slots.live_slots().collect();
        let codes = space.store.codes().expect("there are codes");
        assert_ne!(*codes.frame(), before);
        let told = space.share_told(codes, &spread(&live, TRIED), &live);
        assert!(told >= ENOUGH_TOLD, "codes tell {told} of the nearest");
    }

    #[test]
    fn codes_are_taken_anew_where_vectors_have_doubled_though_the_old_ones_tell_enough() {
        let mut space = coded(1.0);
        let before = frame(&space);
        put(&mut space, CODES_FROM..2 * CODES_FROM - 1, (5_000, 1.0));
        assert_eq!(frame(&space), before);
        put(&mut space, 2 * CODES_FROM - 1..2 * CODES_FROM, (5_000, 1.0));
        assert_eq!(frame(&space), fitting(&space));
        assert_eq!(space.uncoded.coded, 2 * CODES_FROM);
    }

    #[test]
    fn a_few_are_taken_from_one_end_to_the_other() {
        assert_eq!(spread(&[1, 2, 3], 8), [1, 2, 3]);
        assert_eq!(spread(&[1, 2, 3, 4, 5, 6], 3), [1, 3, 5]);
        assert!(spread(&[], 3).is_empty());
    }
}
