//! The crate's own suites: what takes a whole replica or a whole cluster to see.
//!
//! [`scenarios`] tells single stories step by step, [`simulation`] meets what chance brings and judges it,
//! [`membership`] walks groups to other members, and [`storage`] holds the stores to their contracts, under real power
//! loss as well. [`kit`] is what they share. Unit tests stand beside what they test.

pub(crate) mod kit;
mod membership;
mod scenarios;
mod simulation;
mod storage;
