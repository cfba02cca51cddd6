//! How a group gets from the members it has to the members that it should have.
//!
//! [`next_step()`] decides, purely: members and status in, one safe step out. [`converge`] takes that step on the
//! leader, as a compare-and-set on the membership it was chosen for. Which members are wanted is decided above this
//! crate.

mod converge;
mod next_step;

pub use self::next_step::{MembershipStep, next_step};
