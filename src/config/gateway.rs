//! Settings of `quiver gateway`: a door to a cluster, without replicas of its own.

use super::address::{check_url, optional_socket_address, socket_address};
use super::{ConfigError, LogFormat, RequestLimits, lay_over, read_file, request_limits};
use clap::Args;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The flags, variables and TOML keys (the flag's name with `_`) of `quiver gateway`.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayArgs {
    /// Read settings from this TOML file; its keys are these flags with `_` for `-`.
    #[arg(long, env = "QUIVER_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Address of the HTTP API; port 0 takes a free one [default: 127.0.0.1:8000].
    #[arg(long, env = "QUIVER_LISTEN", value_name = "ADDRESS", value_parser = socket_address)]
    #[serde(deserialize_with = "optional_socket_address")]
    pub listen: Option<SocketAddr>,
    /// URLs of some nodes of the cluster, to learn the rest from; repeat or separate by commas [default: http://127.0.0.1:8001].
    #[arg(long, env = "QUIVER_CLUSTER", value_name = "URL", value_delimiter = ',')]
    pub cluster: Option<Vec<String>>,
    /// Largest request body, in bytes [default: 33554432].
    #[arg(long, env = "QUIVER_MAX_BODY_BYTES", value_name = "BYTES")]
    pub max_body_bytes: Option<usize>,
    /// Bytes that the bodies of all requests may take together [default: an eighth of the memory].
    #[arg(long, env = "QUIVER_BODY_MEMORY", value_name = "BYTES")]
    pub body_memory: Option<usize>,
    /// A name that clients reach this process by, beside localhost, addresses and --advertise; repeat or separate by commas.
    #[arg(long, env = "QUIVER_ALLOW_HOST", value_name = "HOST", value_delimiter = ',')]
    pub allow_host: Option<Vec<String>>,
    /// Most points in one write [default: 10000].
    #[arg(long, env = "QUIVER_MAX_BATCH", value_name = "POINTS")]
    pub max_batch: Option<usize>,
    /// Most results of one search or scroll, offset included [default: 10000].
    #[arg(long, env = "QUIVER_MAX_LIMIT", value_name = "RESULTS")]
    pub max_limit: Option<usize>,
    /// Deadline of requests that name none, in milliseconds [default: 10000].
    #[arg(long, env = "QUIVER_REQUEST_TIMEOUT_MS", value_name = "MS")]
    pub request_timeout_ms: Option<u64>,
    /// How logs are written to stderr [default: text].
    #[arg(long, env = "QUIVER_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// Complete and checked settings of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewaySettings {
    /// Address of the HTTP API; port 0 takes a free one.
    pub listen: SocketAddr,
    /// URLs of some nodes of the cluster; at least one.
    pub cluster: Vec<String>,
    /// Bounds on one request.
    pub limits: RequestLimits,
    /// Names that clients reach this process by, beside those that are known anyway.
    pub hosts: Vec<String>,
    /// How logs are written.
    pub log_format: LogFormat,
}

impl GatewayArgs {
    /// Lays the TOML file, if any, under these flags and variables, fills in the defaults, and checks the whole.
    ///
    /// # Errors
    /// Whatever keeps the settings from being used.
    pub fn settle(mut self) -> Result<GatewaySettings, ConfigError> {
        if let Some(path) = self.config.take() {
            let file: Self = read_file(&path)?;
            lay_over!(
                self,
                file,
                listen,
                cluster,
                max_body_bytes,
                body_memory,
                allow_host,
                max_batch,
                max_limit,
                request_timeout_ms,
                log_format,
            );
        }
        let cluster = self.cluster.unwrap_or_else(|| vec!["http://127.0.0.1:8001".into()]);
        if cluster.is_empty() {
            return Err(ConfigError::invalid("--cluster", "name at least one node, such as http://127.0.0.1:8001"));
        }
        Ok(GatewaySettings {
            listen: self.listen.unwrap_or_else(|| ([127, 0, 0, 1], 8000).into()),
            cluster: cluster.iter().map(|url| check_url("--cluster", url)).collect::<Result<_, _>>()?,
            limits: request_limits(
                self.max_body_bytes,
                self.max_batch,
                self.max_limit,
                self.request_timeout_ms,
                self.body_memory,
            )?,
            hosts: self.allow_host.unwrap_or_default(),
            log_format: self.log_format.unwrap_or_default(),
        })
    }
}
