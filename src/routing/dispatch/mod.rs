//! Calls on their way to an answer: whom each goes to, what an answer means, when it is tried again.

pub(super) mod leader_cache;
pub(super) mod pending_call;
pub(super) mod retry;
pub(super) mod scatter;
