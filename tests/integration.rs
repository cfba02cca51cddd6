//! The integration tests: real `quiver` processes, real sample data, real faults, over HTTP and the command line only.
//!
//! One binary, so that it links once. Each test prints its seed first (`QUIVER_SEED` overrides it) and starts a cluster
//! of its own; no test asserts a time. `QUIVER_TEST_CLUSTERS` bounds how many clusters run at once,
//! `QUIVER_TEST_ROUNDS` makes the fault tests longer, `QUIVER_KEEP=1` keeps data directories, `QUIVER_BINARY` names
//! another binary to test. What a failed test leaves, logs and histories, it prints the place of.

#[path = "integration/support/mod.rs"]
mod support;

#[path = "integration/addresses.rs"]
mod addresses;
#[path = "integration/admin.rs"]
mod admin;
#[path = "integration/attacks.rs"]
mod attacks;
#[path = "integration/bad_input.rs"]
mod bad_input;
#[path = "integration/cli.rs"]
mod cli;
#[path = "integration/cli_data.rs"]
mod cli_data;
#[path = "integration/damage.rs"]
mod damage;
#[path = "integration/demo.rs"]
mod demo;
#[path = "integration/divergence.rs"]
mod divergence;
#[path = "integration/failover.rs"]
mod failover;
#[path = "integration/first_light.rs"]
mod first_light;
#[path = "integration/formats.rs"]
mod formats;
#[path = "integration/hostile.rs"]
mod hostile;
#[path = "integration/jepsen.rs"]
mod jepsen;
#[path = "integration/long_queries.rs"]
mod long_queries;
#[path = "integration/membership.rs"]
mod membership;
#[path = "integration/own_changes.rs"]
mod own_changes;
#[path = "integration/payload_indexes.rs"]
mod payload_indexes;
#[path = "integration/power_loss.rs"]
mod power_loss;
#[path = "integration/recovery.rs"]
mod recovery;
#[path = "integration/retries.rs"]
mod retries;
#[path = "integration/settings.rs"]
mod settings;
#[path = "integration/signs.rs"]
mod signs;
#[path = "integration/staleness.rs"]
mod staleness;
#[path = "integration/tidy.rs"]
mod tidy;
#[path = "integration/watching.rs"]
mod watching;
