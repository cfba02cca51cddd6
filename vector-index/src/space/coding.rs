//! When a store takes codes, takes them anew and gives them up, while there is no graph: with one, what the graph measures
//! decides.
//!
//! Codes begin with a few vectors. Once half of the vectors that are there were put since the last time, it is tried how many
//! of the nearest codes tell. Before such a trial codes are taken anew where vectors have doubled. Where others have
//! overwritten them, codes are taken anew only if the old ones tell too few. Where new ones tell too few as well, vectors are
//! compared themselves. In between it is tried now and then for some of the newest, which may be unlike those that the codes
//! were taken of.

use roaring::RoaringBitmap;

use crate::codes::VectorCodes;
use crate::codes::frame::Frame;
use crate::plan::{GRAPH_FROM, LEAST};
use crate::slots::Slots;
use crate::store::Store;

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
pub(crate) const NEAREST: usize = 10;
/// Codes are used where they tell this share of them.
const ENOUGH_TOLD: f64 = 0.95;
/// From [`STAY_FROM`] on they are given up where they tell less than this: what few vectors say against them must be clear.
const TOO_FEW_TOLD: f64 = 0.9;
/// Codes are tried for the newest once they are one in so many, within these bounds.
const NEWS_SHARE: usize = 8;
const NEWS: (usize, usize) = (16, 1_024);

/// What codes were not taken of.
#[derive(Debug, Default)]
pub(crate) struct UncodedSlots {
    /// Slots that were put since codes were last taken anew, or last found to tell enough of all slots.
    all: RoaringBitmap,
    /// Those of them that codes were not tried for yet.
    newest: RoaringBitmap,
    /// How many slots there were when codes were last taken.
    coded: usize,
}

impl Store {
    /// Takes note of a vector that was put, in a new slot or an old one, and looks after the codes where it is time to.
    pub(crate) fn look_after_codes(&mut self, slot: u32, is_new: bool, slots: &Slots) {
        if self.codes_stay() || slots.is_laid() {
            return;
        }
        self.uncoded.all.insert(slot);
        self.uncoded.newest.insert(slot);
        let live = slots.live();
        if live < CODES_FROM {
            return;
        }
        // Those with which taking them anew ends are seen whole.
        let is_last = is_new && slots.len() == self.last_coding();
        let is_due = is_last || 2 * self.uncoded.all.len() >= live as u64;
        if is_due || self.surprised(live, slots) {
            let may_stay = is_due && !is_last && slots.len() < 2 * self.uncoded.coded;
            self.decide_on_codes(&slots.live_slots().collect::<Vec<_>>(), may_stay);
        }
    }

    /// Whether codes tell too little of the newest vectors, where these are enough to ask.
    fn surprised(&mut self, live: usize, slots: &Slots) -> bool {
        if self.uncoded.newest.len() < (live / NEWS_SHARE).clamp(NEWS.0, NEWS.1) as u64 {
            return false;
        }
        let newest: Vec<u32> =
            std::mem::take(&mut self.uncoded.newest).iter().filter(|slot| slots.is_live(*slot)).collect();
        let Some(codes) = self.codes() else { return false };
        let all: Vec<u32> = slots.live_slots().collect();
        self.share_told(codes, &spread(&newest, NEWEST_TRIED), &spread(&all, NEWEST_AMONG)) < TOO_FEW_TOLD
    }

    /// Takes codes of all vectors there are, or leaves them as they are where that takes long, and keeps them if they tell
    /// enough of those that are `live`. Those that tell enough of them already are not taken anew if they `may_stay`.
    fn decide_on_codes(&mut self, live: &[u32], may_stay: bool) {
        self.uncoded = UncodedSlots { coded: self.uncoded.coded, ..UncodedSlots::default() };
        let targets = (TRIED_COMPONENTS / (live.len() * self.size())).clamp(TRIED_AT_LEAST, TRIED);
        let (targets, among) = (spread(live, targets), spread(live, AMONG));
        let last = self.last_coding();
        let enough = if self.vectors().len() < last { ENOUGH_TOLD } else { TOO_FEW_TOLD };
        if may_stay && self.codes().is_some_and(|codes| self.share_told(codes, &targets, &among) >= enough) {
            return;
        }
        if self.vectors().len() <= last {
            self.uncoded.coded = self.vectors().len();
            let frame = Frame::fit_to(self.params(), live.len(), |number| self.get(live[number]));
            let (codes, wild) = self.coded(frame);
            // What told enough goes on to, where a graph begins now and measures it from now on.
            let is_measured = live.len() >= GRAPH_FROM && self.codes().is_some() && self.params().graph.is_some();
            let is_enough = is_measured || self.share_told(&codes, &targets, &among) >= enough;
            self.set_codes(is_enough.then_some((codes, wild)));
        } else if self.codes().is_some_and(|codes| self.share_told(codes, &targets, &among) < enough) {
            self.leave_codes();
        }
    }

    fn last_coding(&self) -> usize {
        STAY_FROM.min(STAY_FROM_COMPONENTS / self.size()).max(CODES_FROM)
    }

    /// The share of the nearest to some vectors that codes rank among the best, as far as those of `among` tell.
    fn share_told(&self, codes: &VectorCodes, targets: &[u32], among: &[u32]) -> f64 {
        let trusted = LEAST * codes.spare();
        // There will be twice as many vectors, and twice as many beside the nearest, before they are taken anew.
        let best = if self.vectors().len() < self.last_coding() { trusted / 2 } else { trusted };
        let mut told = 0;
        for slot in targets {
            told += self.nearest_told(codes, *slot, among, best);
        }
        if targets.is_empty() { 1.0 } else { told as f64 / (targets.len() * NEAREST) as f64 }
    }

    /// Of the [`NEAREST`] to `slot` among these slots, which are no fewer, how many are among the `best` by code.
    pub(crate) fn nearest_told(&self, codes: &VectorCodes, slot: u32, among: &[u32], best: usize) -> usize {
        let nearness = self.nearness_to(slot, among);
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

    #[test]
    fn a_few_are_taken_from_one_end_to_the_other() {
        assert_eq!(spread(&[1, 2, 3], 8), [1, 2, 3]);
        assert_eq!(spread(&[1, 2, 3, 4, 5, 6], 3), [1, 3, 5]);
        assert!(spread(&[], 3).is_empty());
    }
}
