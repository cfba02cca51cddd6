//! Settings of `quiver gateway`: a process that serves the API of a cluster without replicas of its own.

use super::address::{check_url, optional_socket_address, socket_address};
use super::table::{filled, settings};
use super::{ConfigError, LogFormat, RequestLimits, read_file};
use std::net::SocketAddr;
use std::path::PathBuf;

settings! {
    /// The flags, variables and TOML keys (the flag's name with `_`) of `quiver gateway`.
    GatewayArgs {
        /// Address of the HTTP API; port 0 takes a free one.
        listen: SocketAddr, "QUIVER_LISTEN", "ADDRESS" = SocketAddr::from(([127, 0, 0, 1], 8000)),
            #[arg(value_parser = socket_address)], #[serde(deserialize_with = "optional_socket_address")];
        /// URLs of some nodes of the cluster, to learn the rest from; repeat or separate by commas.
        cluster: Vec<String>, "QUIVER_CLUSTER", "URL", or vec!["http://127.0.0.1:8001".to_owned()], shown "http://127.0.0.1:8001",
            #[arg(value_delimiter = ',')];
    }
    {}
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
        // Flags and variables win over the file.
        if let Some(path) = self.config.take() {
            self.lay_over(read_file(&path)?);
        }
        self.fill()?;
        // A list may be given and empty.
        let cluster = filled(&self.cluster);
        if cluster.is_empty() {
            return Err(ConfigError::invalid("--cluster", "name at least one node, such as http://127.0.0.1:8001"));
        }
        Ok(GatewaySettings {
            listen: filled(&self.listen),
            cluster: cluster.iter().map(|url| check_url("--cluster", url)).collect::<Result<_, _>>()?,
            limits: self.request_limits()?,
            hosts: filled(&self.allow_host),
            log_format: filled(&self.log_format),
        })
    }
}
