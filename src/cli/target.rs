//! How a verb finds its cluster: `--url` and `--timeout`. Also the bounds of every number of seconds on the command
//! line.
//!
//! In: flags and the variable `QUIVER_URL`. Out: a [`Client`]. Sends nothing.

use crate::client::Client;
use crate::model::limits::DEFAULT_TIMEOUT_MS;
use clap::builder::RangedU64ValueParser;
use std::time::Duration;

/// Where verbs look for a cluster without `--url`: the gateway of `quiver dev` first, then a `quiver server` alone.
const DEFAULT_URLS: [&str; 2] = ["http://127.0.0.1:8000", "http://127.0.0.1:8001"];

/// Longest wait for the answer of one endpoint to a read, if the command line does not say. It is longer than the time
/// that a server gives a request by default, because only then does the server say what it waited for.
const LOOK_TIMEOUT: Duration = Duration::from_millis(DEFAULT_TIMEOUT_MS + 2_000);

/// How a verb finds its cluster.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Target {
    /// A node or gateway of the cluster; repeat it for failover.
    #[arg(long = "url", env = "QUIVER_URL", value_name = "URL", value_delimiter = ',', default_values = DEFAULT_URLS)]
    pub(super) urls: Vec<String>,
    /// Seconds that one of them may take to answer a read. After that the next one is asked.
    #[arg(long, value_name = "SECONDS", default_value_t = LOOK_TIMEOUT.as_secs(), value_parser = seconds(1))]
    timeout: u64,
}

impl Target {
    /// A client of that cluster.
    ///
    /// # Errors
    /// [`UnusableInput`](crate::client::UnusableInput) where a URL cannot be used.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(&self.urls)?.with_look_timeout(Duration::from_secs(self.timeout)))
    }
}

/// A parser of seconds: at least `least`, and at most a year, which any clock can add.
pub(super) fn seconds(least: u64) -> RangedU64ValueParser {
    clap::value_parser!(u64).range(least..=365 * 24 * 60 * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_what_it_waited_for_before_a_verb_gives_up() {
        assert!(LOOK_TIMEOUT >= Duration::from_millis(DEFAULT_TIMEOUT_MS) + Duration::from_secs(1));
    }
}
