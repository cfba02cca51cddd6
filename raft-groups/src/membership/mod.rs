//! How a group gets from the members that it has to the members that it should have.
//!
//! [`next_step()`] is a pure decision: members and status in, one safe step out. [`converge`] takes that step on the
//! leader, as a compare-and-set on the membership for which it was chosen. The floors above this crate decide which
//! members are wanted.

mod converge;
mod next_step;

pub use self::next_step::{MembershipStep, next_step};
