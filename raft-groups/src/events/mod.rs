//! What this node's replicas do, for whoever watches: votes, messages, entries, leases, reads.
//!
//! ```text
//! network, replica, storage ─▶ Recorder (one group) ─▶ Events (one node: a ring) ─▶ Listener (each its own place)
//! ```
//! Usually nobody listens. Then an event costs one relaxed load of an atomic. A slow listener costs the node nothing
//! either: it has a place in the ring and no queue of its own. If the ring has gone past its place, it is told how
//! much it missed. Events are only for watching: nothing in the crate decides by them.

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
