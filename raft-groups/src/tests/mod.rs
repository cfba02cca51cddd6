//! The crate's suites that need a whole replica or a whole cluster.
//!
//! [`scenarios`] has single cases step by step. [`simulation`] runs random faults and judges the outcome.
//! [`membership`] changes the members of groups. [`storage`] checks the stores against their contracts, under real
//! power loss as well. [`kit`] is what they share. Unit tests are beside the code that they test.

pub(crate) mod kit;
mod membership;
mod scenarios;
mod simulation;
mod storage;
