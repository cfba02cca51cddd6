//! What leases rest on, and what ends them early.
//!
//! A leader serves reads by itself for a part of the time that its followers have promised not to depose it:
//! [`promise`] is that promise, which a restart does not forget. [`suspend`] notices that the machine has slept, after
//! which what was heard before says nothing. [`freshness`] is the follower's side: as of when its state is known to
//! hold all that was committed. Who reads, and in which mode, is not known here.

pub(crate) mod freshness;
pub(crate) mod promise;
pub(crate) mod suspend;
