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
        let slot = self.free.pop().unwrap_or_else(|| {
            self.states.push(SlotState::Free);
            self.rows.push(row);
            (self.rows.len() - 1) as u32
        });
        self.states[slot as usize] = SlotState::Tail;
        self.tail.insert(slot);
        self.assign(row, slot);
        slot
    }

    /// Takes `row`'s slot away.
    pub(crate) fn release_slot(&mut self, row: Row) {
        let Some(slot) = self.slot_of(row) else { return };
        self.slots[row.0 as usize] = NONE;
        if self.state_of(slot) == SlotState::Tail {
            self.tail.remove(slot);
            self.set_free(slot);
        } else {
            self.states[slot as usize] = SlotState::Dead;
            self.linked -= 1;
            self.dead += 1;
        }
    }

    /// Makes the first slots, of none yet: those that are `known` are dead until their rows come back.
    pub(crate) fn reserve(&mut self, slots: u32, known: impl Iterator<Item = u32>) {
        self.rows = vec![Row(NONE); slots as usize];
        self.states = vec![SlotState::Free; slots as usize];
        for slot in known {
            self.states[slot as usize] = SlotState::Dead;
            self.dead += 1;
        }
        self.free = (0..slots).rev().filter(|slot| self.state_of(*slot) == SlotState::Free).collect();
    }

    /// Gives a dead slot to the row whose vector it had.
    pub(crate) fn come_back(&mut self, row: Row, slot: u32) {
        debug_assert_eq!(self.state_of(slot), SlotState::Dead);
        self.states[slot as usize] = SlotState::Linked;
        self.dead -= 1;
        self.linked += 1;
        self.assign(row, slot);
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
    }

    /// Moves what is linked back to the tail and frees the dead, for a graph that begins anew.
    pub(crate) fn unlink_all(&mut self) {
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
    }

    /// Frees dead slots that nothing leads to any more.
    pub(crate) fn bury(&mut self, slots: &RoaringBitmap) {
        for slot in slots {
            debug_assert_eq!(self.state_of(slot), SlotState::Dead);
            self.dead -= 1;
            self.set_free(slot);
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
