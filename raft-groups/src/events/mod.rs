//! What this node's replicas do, told to whoever watches: votes, messages, entries, leases, reads.
//!
//! ```text
//! network, replica, storage ─▶ Recorder (one group) ─▶ Events (one node: a ring) ─▶ Listener (each its own place)
//! ```
//! Nobody listens, as a rule, and then an event costs one relaxed load of an atomic. A listener that is slow costs the
//! node nothing either: it has a place in the ring and no queue of its own, and where the ring has gone past it, it is
//! told how much it missed. Events are for the eye: nothing in the crate decides by them.

mod event;
mod recorder;
mod ring;
mod status_diff;
pub(crate) mod vote_reason;

pub use event::{Event, EventKind};
pub use recorder::Recorder;
pub use ring::{Events, Heard, Listener};
pub(crate) use status_diff::StatusDiff;
pub use vote_reason::VoteReason;
