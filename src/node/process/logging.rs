//! Logs: to stderr, for people or for machines.
//!
//! Comes in: the format that was asked for, and `RUST_LOG` and `NO_COLOR`. Goes out: lines of what the process reports.

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Our own crates log from `info` on. Libraries log errors only, and consensus what [`raft_groups::LOG_FILTER`] says.
fn default_filter() -> EnvFilter {
    EnvFilter::new(format!("error,quiver=info,{}", raft_groups::LOG_FILTER))
}

/// Starts logging to stderr. `RUST_LOG` overrides what is logged, and `NO_COLOR` turns colours off
/// (<https://no-color.org>). If logging runs already, it stays as it is.
pub fn start_logging(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| default_filter());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colours = !plain && std::io::IsTerminal::is_terminal(&std::io::stderr());
    let _ = match format {
        LogFormat::Text => builder.with_ansi(colours).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

#[cfg(test)]
mod tests {
    use tracing::Level;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn an_orderly_stop_logs_no_error_of_the_library_and_a_failure_does() {
        let subscriber = tracing_subscriber::registry().with(default_filter());
        tracing::subscriber::with_default(subscriber, || {
            assert!(!tracing::enabled!(target: "openraft::raft::stream_append", Level::ERROR));
            assert!(tracing::enabled!(target: "openraft::core::raft_core", Level::ERROR));
        });
    }
}
