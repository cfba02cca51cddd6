//! Records the events of one group's replica. Each part of a replica that has something to tell holds one.
//!
//! Comes in: a closure that makes an event. Goes out: the event, into the node's ring, if anyone listens. Else the
//! closure is not called.

use super::event::EventKind;
use super::ring::Events;
use crate::GroupId;

/// Records the events of one group. Clones share the ring.
#[derive(Clone)]
pub struct Recorder {
    events: Events,
    group: GroupId,
}

impl Recorder {
    /// Makes a recorder that tells of `group` in `events`.
    pub(crate) fn new(events: Events, group: GroupId) -> Self {
        Self { events, group }
    }

    /// Returns `true` if events are recorded, so making one is worth some work.
    pub(crate) fn is_on(&self) -> bool {
        self.events.is_on()
    }

    /// Records the event that `what` returns. If nothing is recorded now, `what` is not called.
    pub(crate) fn tell(&self, term: u64, what: impl FnOnce() -> EventKind) {
        if self.events.is_on() {
            self.events.tell(self.group, term, what());
        }
    }
}
