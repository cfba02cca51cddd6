//! How many bytes of payloads and vectors an answer may still carry.
//!
//! What does not fit is left out, and so is all that comes after it: an answer is full up to a place. The first record
//! always fits, so that whoever asks again for the rest comes to an end.

use std::cell::Cell;

/// Counts one answer's bytes. Invariant: once a record did not fit, none does.
#[derive(Debug)]
pub struct Room {
    left: Cell<Option<usize>>,
    is_untouched: Cell<bool>,
}

impl Room {
    /// Room for everything.
    pub fn unlimited() -> Self {
        Self::of(usize::MAX)
    }

    /// Room for so many bytes.
    pub fn of(bytes: usize) -> Self {
        Self { left: Cell::new(Some(bytes)), is_untouched: Cell::new(true) }
    }

    /// Whether something did not fit.
    pub fn is_full(&self) -> bool {
        self.left.get().is_none()
    }

    /// Takes so many bytes; whether they fit.
    pub fn take(&self, bytes: usize) -> bool {
        let is_first = self.is_untouched.replace(false);
        let left = self.left.get().and_then(|left| left.checked_sub(bytes).or(is_first.then_some(0)));
        self.left.set(left);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fits_and_nothing_fits_after_what_did_not() {
        let room = Room::of(10);
        assert!(room.take(11) && !room.is_full());
        assert!(room.take(0) && !room.take(1) && room.is_full() && !room.take(0));
        let room = Room::of(10);
        assert!(room.take(4) && room.take(6) && !room.is_full() && !room.take(1));
        let room = Room::unlimited();
        assert!(room.take(usize::MAX / 2) && room.take(usize::MAX / 2));
    }
}
