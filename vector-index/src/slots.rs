//! Which vector lies where.
//!
//! Each vector that was put has a *slot*; a point's new vector gets a new slot, since the links of the old one lead
//! elsewhere. A slot is free, in the *tail* (compared one by one), *linked* (in the graph), or *dead*: still linked,
//! but its vector was replaced or removed. A dead slot is walked through and never found, until the graph has been
//! repaired around it.

use roaring::RoaringBitmap;

use crate::Row;

/// In `slots`: this row has no vector.
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotState {
    Free,
    Tail,
    Linked,
    Dead,
}

/// The slots of a space.
///
/// Invariants. The first is held after each change, all of them by [`Slots::check`]:
/// 1. Each slot is in one state: as many are free, in the tail, linked and dead as there are slots.
/// 2. `tail` has the slots whose state is [`SlotState::Tail`], and `free` those that are free, each once.
/// 3. `linked` and `dead` count the slots in those states.
/// 4. A row has one slot at most, which is live and belongs to that row; each live slot is the slot of its row.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// By slot.
    states: Vec<SlotState>,
    /// Which row each slot belongs to, or did.
    rows: Vec<Row>,
    /// Which slot each row has, or [`NONE`].
    slots: Vec<u32>,
    free: Vec<u32>,
    tail: RoaringBitmap,
    linked: usize,
    dead: usize,
}

impl Slots {
    /// The slot of `row`'s vector.
    #[inline]
    pub(crate) fn slot_of(&self, row: Row) -> Option<u32> {
        self.slots.get(row.0 as usize).copied().filter(|slot| *slot != NONE)
    }

    #[inline]
    pub(crate) fn row_of(&self, slot: u32) -> Row {
        self.rows[slot as usize]
    }

    #[inline]
    pub(crate) fn state_of(&self, slot: u32) -> SlotState {
        self.states[slot as usize]
    }

    /// Whether a search may find it.
    #[inline]
    pub(crate) fn is_live(&self, slot: u32) -> bool {
        matches!(self.state_of(slot), SlotState::Tail | SlotState::Linked)
    }

    /// Gives `row`, which has none, a slot in the tail: a free one, or a new one at the end.
    pub(crate) fn take_slot(&mut self, row: Row) -> u32 {
        debug_assert_eq!(self.slot_of(row), None, "{row:?} has a slot");
        // Free ones first, so that rows of links do not grow with rewrites.
        let slot = self.free.pop().unwrap_or_else(|| {
            self.states.push(SlotState::Free);
            self.rows.push(row);
            (self.rows.len() - 1) as u32
        });
        self.states[slot as usize] = SlotState::Tail;
        self.tail.insert(slot);
        self.assign(row, slot);
        debug_assert!(self.is_counted());
        slot
    }

    /// Takes `row`'s slot away.
    pub(crate) fn release_slot(&mut self, row: Row) {
        // The graph still leads through a linked slot, so it is not free before the graph was repaired.
        let Some(slot) = self.slot_of(row) else { return };
        self.slots[row.0 as usize] = NONE;
        if self.state_of(slot) == SlotState::Tail {
            self.tail.remove(slot);
            self.set_free(slot);
        } else {
            debug_assert_eq!(self.state_of(slot), SlotState::Linked);
            self.states[slot as usize] = SlotState::Dead;
            self.linked -= 1;
            self.dead += 1;
        }
        debug_assert!(self.is_counted());
    }

    /// Makes the first slots, of none yet: those that are `known` are dead until their rows come back.
    pub(crate) fn reserve(&mut self, slots: u32, known: impl Iterator<Item = u32>) {
        self.rows = vec![Row(NONE); slots as usize];
        self.states = vec![SlotState::Free; slots as usize];
        for slot in known {
            self.states[slot as usize] = SlotState::Dead;
            self.dead += 1;
        }
        // Free slots are taken from the end, so the lowest is last here.
        self.free = (0..slots).rev().filter(|slot| self.state_of(*slot) == SlotState::Free).collect();
        debug_assert_eq!(self.check(), Ok(()));
    }

    /// Gives a dead slot to the row whose vector it had.
    pub(crate) fn come_back(&mut self, row: Row, slot: u32) {
        debug_assert_eq!(self.state_of(slot), SlotState::Dead);
        self.states[slot as usize] = SlotState::Linked;
        self.dead -= 1;
        self.linked += 1;
        self.assign(row, slot);
        debug_assert!(self.is_counted());
    }

    fn assign(&mut self, row: Row, slot: u32) {
        self.rows[slot as usize] = row;
        if self.slots.len() <= row.0 as usize {
            self.slots.resize(row.0 as usize + 1, NONE);
        }
        self.slots[row.0 as usize] = slot;
    }

    /// Moves slots of the tail, which are in the graph now, out of it.
    pub(crate) fn link(&mut self, slots: &[u32]) {
        for slot in slots {
            debug_assert_eq!(self.state_of(*slot), SlotState::Tail);
            self.tail.remove(*slot);
            self.states[*slot as usize] = SlotState::Linked;
            self.linked += 1;
        }
        debug_assert!(self.is_counted());
    }

    /// Moves what is linked back to the tail and frees the dead, for a graph that begins anew.
    pub(crate) fn unlink_all(&mut self) {
        // Vectors stay in their slots.
        for slot in 0..self.len() as u32 {
            match self.state_of(slot) {
                SlotState::Linked => {
                    self.states[slot as usize] = SlotState::Tail;
                    self.tail.insert(slot);
                }
                SlotState::Dead => self.set_free(slot),
                SlotState::Free | SlotState::Tail => {}
            }
        }
        (self.linked, self.dead) = (0, 0);
        debug_assert_eq!(self.check(), Ok(()));
    }

    /// Frees dead slots that nothing leads to any more.
    pub(crate) fn bury(&mut self, slots: &RoaringBitmap) {
        for slot in slots {
            debug_assert_eq!(self.state_of(slot), SlotState::Dead);
            self.dead -= 1;
            self.set_free(slot);
        }
        debug_assert_eq!(self.check(), Ok(()));
    }

    /// Returns `true` if each slot is counted in one state. Costs next to nothing.
    fn is_counted(&self) -> bool {
        self.free.len() + self.tail.len() as usize + self.linked + self.dead == self.len()
    }

    /// Says which invariant does not hold, if one does not. Looks at every slot.
    pub(crate) fn check(&self) -> Result<(), String> {
        let in_state = |state| (0..self.len() as u32).filter(move |slot| self.state_of(*slot) == state);
        let free: RoaringBitmap = self.free.iter().copied().collect();
        let mut rows = self.slots.iter().enumerate().filter(|(_, slot)| **slot != NONE);
        let of_row = |(row, slot): (usize, &u32)| {
            (*slot as usize) < self.len() && self.is_live(*slot) && self.row_of(*slot).0 as usize == row
        };
        let rules = [
            (self.is_counted() && self.states.len() == self.len(), "a slot is in no state, or in two"),
            (self.tail.iter().eq(in_state(SlotState::Tail)), "the tail is not what is in it"),
            (free.len() == self.free.len() as u64, "a slot is free twice"),
            (free.iter().eq(in_state(SlotState::Free)), "the free slots are not those that are free"),
            (self.linked == in_state(SlotState::Linked).count(), "the linked are miscounted"),
            (self.dead == in_state(SlotState::Dead).count(), "the dead are miscounted"),
            (rows.clone().count() == self.live(), "a live slot belongs to no row"),
            (rows.all(of_row), "a row has a slot that is not its own"),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            None => Ok(()),
            Some((_, broken)) => Err(format!(
                "{broken}: of {} slots {} free, {} in the tail, {} linked, {} dead",
                self.len(),
                self.free.len(),
                self.tail.len(),
                self.linked,
                self.dead
            )),
        }
    }

    fn set_free(&mut self, slot: u32) {
        self.states[slot as usize] = SlotState::Free;
        self.free.push(slot);
    }

    /// Slots there are, whatever their state.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The slots of vectors that can be found.
    pub(crate) fn live_slots(&self) -> impl Iterator<Item = u32> {
        (0..self.len() as u32).filter(|slot| self.is_live(*slot))
    }

    /// Whether a graph leads to anything, or will once its rows are back.
    pub(crate) fn is_laid(&self) -> bool {
        self.linked + self.dead > 0
    }

    /// Vectors that can be found.
    pub(crate) fn live(&self) -> usize {
        self.linked + self.tail.len() as usize
    }

    pub(crate) fn linked(&self) -> usize {
        self.linked
    }

    pub(crate) fn dead(&self) -> usize {
        self.dead
    }

    pub(crate) fn tail(&self) -> &RoaringBitmap {
        &self.tail
    }

    /// The dead slots.
    pub(crate) fn all_dead(&self) -> RoaringBitmap {
        (0..self.len() as u32).filter(|slot| self.state_of(*slot) == SlotState::Dead).collect()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let words = self.rows.capacity() + self.slots.capacity() + self.free.capacity();
        words * size_of::<u32>() + self.states.capacity() * size_of::<SlotState>() + self.tail.serialized_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slots in each state: 0 is free, 1 in the tail, 2 linked and 3 dead.
    fn slots() -> Slots {
        let mut slots = Slots::default();
        assert_eq!([0, 1, 2, 3].map(|row| slots.take_slot(Row(row))), [0, 1, 2, 3]);
        slots.link(&[2, 3]);
        slots.release_slot(Row(3));
        slots.release_slot(Row(0));
        slots
    }

    type Break = fn(&mut Slots);

    #[test]
    fn every_broken_invariant_is_found() {
        assert_eq!(slots().check(), Ok(()));
        let breaks: [(Break, &str); 8] = [
            (|slots| slots.dead = 2, "a slot is in no state"),
            (|slots| slots.states[1] = SlotState::Linked, "the tail is not"),
            (|slots| (slots.free, slots.dead) = (vec![0, 0], 0), "a slot is free twice"),
            (|slots| slots.free = vec![3], "the free slots are not"),
            (|slots| (slots.linked, slots.dead) = (2, 0), "the linked are miscounted"),
            (|slots| slots.states[3] = SlotState::Linked, "the linked are miscounted"),
            (|slots| slots.slots[1] = NONE, "a live slot belongs to no row"),
            (|slots| slots.rows[1] = Row(7), "a row has a slot that is not its own"),
        ];
        for (break_it, expected) in breaks {
            let mut slots = slots();
            break_it(&mut slots);
            let broken = slots.check().expect_err(expected);
            assert!(broken.starts_with(expected), "{broken} is not: {expected}");
        }
    }
}
