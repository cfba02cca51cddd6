//! Settings of a server and of a gateway: flag > `QUIVER_*` environment variable > TOML file > default. A variable that is
//! empty is none.
//!
//! Each setting stands once, in a struct of options that is at the same time the flags, the variables and the keys of the
//! file ([`ServerArgs`], [`GatewayArgs`]); `settle` lays the file under it, fills in the defaults and checks the whole.
//! What comes out ([`ServerSettings`], [`GatewaySettings`]) is complete and consistent; only the binary reads files here.

mod address;
mod gateway;
mod memory;
mod server;
#[cfg(test)]
mod tests;
mod variables;

pub use gateway::{GatewayArgs, GatewaySettings};
pub use server::{Origin, ServerArgs, ServerSettings};
pub use variables::without_empty_variables;

use crate::model::limits::{DEFAULT_BODY_BYTES, DEFAULT_TIMEOUT_MS, MAX_BATCH, MAX_LIMIT, MAX_TIMEOUT_MS};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// A setting that cannot be used; every message names the setting and the way out.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the settings file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no TOML, or has an unknown key or a value of the wrong type.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A value is out of range, or contradicts another.
    #[error("{setting}: {reason}")]
    Invalid {
        /// The setting, as the flag is called.
        setting: &'static str,
        /// What is wrong, and the way out.
        reason: String,
    },
}

impl ConfigError {
    fn invalid(setting: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { setting, reason: reason.into() }
    }
}

/// How logs are written to stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Bounds on what one HTTP request may ask for, quoted by the errors that refuse more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Bytes that the bodies of all requests together may take.
    pub body_memory: usize,
    /// Points of one write.
    pub batch: usize,
    /// Results of one search or scroll, offset included.
    pub results: usize,
    /// Milliseconds a request may take where it names no `timeout_ms` of its own.
    pub timeout_ms: u64,
}

impl Default for RequestLimits {
    fn default() -> Self {
        let body_memory = memory::of_this_process() / 8;
        Self {
            body_bytes: DEFAULT_BODY_BYTES,
            body_memory,
            batch: MAX_BATCH,
            results: MAX_LIMIT,
            timeout_ms: DEFAULT_TIMEOUT_MS,
        }
    }
}

/// Takes each named option from the layer below where the layer above leaves it open.
macro_rules! lay_over {
    ($above:expr, $below:expr, $($field:ident),+ $(,)?) => {
        $( $above.$field = $above.$field.take().or($below.$field); )+
    };
}
use lay_over;

/// Reads a TOML file of settings; an unknown key is an error that names it.
fn read_file<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.into(), source })?;
    toml::from_str(&text).map_err(|error| ConfigError::Malformed { path: path.into(), reason: error.to_string() })
}

/// Checks the limits that server and gateway share.
fn request_limits(
    body_bytes: Option<usize>,
    batch: Option<usize>,
    results: Option<usize>,
    timeout_ms: Option<u64>,
    body_memory: Option<usize>,
) -> Result<RequestLimits, ConfigError> {
    let default = RequestLimits::default();
    let limits = RequestLimits {
        body_memory: body_memory.unwrap_or(default.body_memory.max(body_bytes.unwrap_or(default.body_bytes))),
        body_bytes: body_bytes.unwrap_or(default.body_bytes),
        batch: batch.unwrap_or(default.batch),
        results: results.unwrap_or(default.results),
        timeout_ms: timeout_ms.unwrap_or(default.timeout_ms),
    };
    let within = |setting, value: usize, least: usize, most: usize| {
        if (least..=most).contains(&value) {
            return Ok(());
        }
        Err(ConfigError::invalid(setting, format!("{value} is out of range: choose {least} to {most}")))
    };
    within("--max-body-bytes", limits.body_bytes, 1 << 10, 1 << 30)?;
    within("--body-memory", limits.body_memory, limits.body_bytes, 1 << 46)?;
    within("--max-batch", limits.batch, 1, default.batch)?;
    within("--max-limit", limits.results, 1, default.results)?;
    within("--request-timeout-ms", limits.timeout_ms as usize, 1, MAX_TIMEOUT_MS as usize)?;
    Ok(limits)
}
