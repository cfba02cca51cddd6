//! How many bytes of payloads and vectors an answer may still carry.
//!
//! What does not fit is left out, and so is all that comes after it: an answer is full up to a place. A caller that
//! asks again for the rest gets to the end, if each room grows with what was left out.

use std::cell::Cell;

/// Counts one answer's bytes. Invariant: once a record did not fit, none does.
#[derive(Debug)]
pub struct Room(Cell<Option<usize>>);

impl Room {
    /// Room for everything.
    pub fn unlimited() -> Self {
        Self::of(usize::MAX)
    }

    /// Room for so many bytes.
    pub fn of(bytes: usize) -> Self {
        Self(Cell::new(Some(bytes)))
    }

    /// Whether something did not fit.
    pub fn is_full(&self) -> bool {
        self.0.get().is_none()
    }

    /// Takes so many bytes; whether they fit.
    pub fn take(&self, bytes: usize) -> bool {
        let left = self.0.get().and_then(|left| left.checked_sub(bytes));
        self.0.set(left);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_fits_after_what_did_not() {
        let room = Room::of(10);
        assert!(room.take(4) && room.take(6) && room.take(0) && !room.is_full());
        assert!(!room.take(1) && room.is_full() && !room.take(0));
        assert!(!Room::of(10).take(11) && Room::of(0).take(0));
        let room = Room::unlimited();
        assert!(room.take(usize::MAX / 2) && room.take(usize::MAX / 2));
    }
}
