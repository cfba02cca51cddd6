//! What the stores promise to consensus: openraft's own suite, real power loss, and what a machine leaves to be erased.

mod conformance;
mod garbage;
mod power_loss;
