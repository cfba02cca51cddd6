//! The integration tests: real `quiver` processes, real sample data, real faults, over HTTP and the command line only.
//!
//! One binary, so that it links once. Each test prints its seed first (`QUIVER_SEED` overrides it) and starts a cluster
//! of its own; no test asserts a time. `QUIVER_TEST_CLUSTERS` bounds how many clusters run at once,
//! `QUIVER_TEST_ROUNDS` makes the fault tests longer, `QUIVER_KEEP=1` keeps data directories, `QUIVER_BINARY` names
//! another binary to test. What a failed test leaves, logs and histories, it prints the place of.

mod faults;
mod operators;
mod requests;
mod support;
mod tidy;
