//! Settings of a server and of a gateway: flag > `QUIVER_*` environment variable > TOML file > default. A variable that is
//! empty is none.
//!
//! Each setting is one row of a table: name, type, variable, help, default, rule (`table`). The rows of a command are at the
//! same time its flags, its variables and the keys of its file ([`ServerArgs`], [`GatewayArgs`]). `settle` lays the file
//! under them, fills in the defaults and checks the whole. What comes out ([`ServerSettings`], [`GatewaySettings`]) is
//! complete and consistent. Only the binary reads files here.

mod address;
mod gateway;
mod memory;
mod server;
mod table;
#[cfg(test)]
mod tests;
mod variables;

pub use gateway::{GatewayArgs, GatewaySettings};
pub use server::{Origin, ServerArgs, ServerSettings};
pub use variables::without_empty_variables;

use crate::model::limits::{DEFAULT_BODY_BYTES, DEFAULT_TIMEOUT_MS, MAX_BATCH, MAX_LIMIT};
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
        setting: String,
        /// What is wrong, and the way out.
        reason: String,
    },
}

impl ConfigError {
    fn invalid(setting: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { setting: setting.into(), reason: reason.into() }
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

impl RequestLimits {
    const BODY_BYTES: usize = DEFAULT_BODY_BYTES;
    const BATCH: usize = MAX_BATCH;
    const RESULTS: usize = MAX_LIMIT;
    const TIMEOUT_MS: u64 = DEFAULT_TIMEOUT_MS;
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            body_bytes: Self::BODY_BYTES,
            body_memory: memory::of_this_process() / 8,
            batch: Self::BATCH,
            results: Self::RESULTS,
            timeout_ms: Self::TIMEOUT_MS,
        }
    }
}

/// Reads a TOML file of settings; an unknown key is an error that names it.
fn read_file<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.into(), source })?;
    toml::from_str(&text).map_err(|error| ConfigError::Malformed { path: path.into(), reason: error.to_string() })
}
