//! Telling of one group's replica: what every part of it that has something to tell holds.
//!
//! Comes in: a closure that makes an event. Goes out: the event, to the node's ring, where anyone listens; else the
//! closure is not even called.

use super::event::EventKind;
use super::ring::Events;
use crate::GroupId;

/// Tells of one group; clones share the ring.
#[derive(Clone)]
pub struct Recorder {
    events: Events,
    group: GroupId,
}

impl Recorder {
    /// Tells of `group` in `events`.
    pub(crate) fn new(events: Events, group: GroupId) -> Self {
        Self { events, group }
    }

    /// Returns `true` if anyone listens, so that telling is worth some work.
    pub(crate) fn is_on(&self) -> bool {
        self.events.is_on()
    }

    /// Tells what `what` returns, where anyone listens; else it is not called.
    pub(crate) fn tell(&self, term: u64, what: impl FnOnce() -> EventKind) {
        if self.events.is_on() {
            self.events.tell(self.group, term, what());
        }
    }
}
