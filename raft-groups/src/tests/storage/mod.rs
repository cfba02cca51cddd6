//! What the stores guarantee to consensus: openraft's own suite, real power loss, and the erasure of a machine's
//! garbage.
//!
//! The suites use the simulated disk, sled on a real one, or both.

mod conformance;
mod garbage;
mod power_loss;
