//! Calls on their way to an answer: whom each goes to, what an answer means, when it is tried again.
//!
//! `pending_call` decides whether a call is tried again, and with whom. `retry_timing` says after which pause and for how
//! long, `leader_cache` who leads as far as is known. `scatter` carries the calls of a request out, side by side.

pub(super) mod leader_cache;
pub(super) mod pending_call;
pub(super) mod retry_timing;
pub(super) mod scatter;
