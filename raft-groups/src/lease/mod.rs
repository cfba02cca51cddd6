//! What leases rest on, and what ends them early.
//!
//! A leader serves reads by itself for a part of the time for which its followers have promised not to depose it.
//! [`promise`] is that promise, which outlives a restart. [`suspend`] notices that the machine has slept; what was
//! heard before that no longer counts. [`freshness`] is the follower's side: the time as of which its state is known
//! to be complete. These files do not know who reads, or in which mode.
//!
//! Whether a leader's lease holds is decided in `replica/read.rs`; how long one is, in `settings.rs`.

pub(crate) mod freshness;
pub(crate) mod promise;
pub(crate) mod suspend;
