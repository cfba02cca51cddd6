//! What the stores promise to consensus: openraft's own suite, real power loss, and what a machine leaves to be erased.
//!
//! Each suite runs over the simulated disk and, where it can, over sled on a real one.

mod conformance;
mod garbage;
mod power_loss;
