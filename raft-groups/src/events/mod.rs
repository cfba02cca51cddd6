//! What this node's replicas do, told to whoever watches: votes, messages, entries, leases, reads.
//!
//! ```text
//! client, server, log, machine, read, status ─▶ Recorder (one group) ─▶ Events (one node: a ring) ─▶ Listener (each its own place)
//! ```
//! Nobody listens, as a rule, and then an event costs one relaxed load of an atomic. A listener that is slow costs the
//! node nothing either: it has a place in the ring and no queue of its own, and where the ring has gone past it, it is
//! told how much it missed. Events are for the eye: nothing in the crate decides by them.

mod kind;
mod ring;
mod seen;
pub(crate) mod votes;

pub use kind::{Event, What};
pub use ring::{Events, Heard, Listener};
pub(crate) use seen::Seen;
pub use votes::VoteReason;

use crate::GroupId;

/// Tells of one group; clones share the ring.
#[derive(Clone)]
pub struct Recorder {
    events: Events,
    group: GroupId,
}

impl Recorder {
    pub(crate) fn new(events: Events, group: GroupId) -> Self {
        Self { events, group }
    }

    /// Whether anyone listens, so that telling is worth some work.
    pub(crate) fn is_on(&self) -> bool {
        self.events.is_on()
    }

    /// Tells what `what` returns, where anyone listens; else it is not called.
    pub(crate) fn tell(&self, term: u64, what: impl FnOnce() -> What) {
        if self.events.is_on() {
            self.events.tell(self.group, term, what());
        }
    }
}
