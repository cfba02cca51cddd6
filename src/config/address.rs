//! Addresses in settings: where a node listens for its peers, where others reach it, which URLs can be called.

use super::ConfigError;
use serde::{Deserialize as _, Deserializer};
use std::net::SocketAddr;

/// An address to listen at. Names are not looked up: one may stand for several addresses.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "write an IP and a port, such as 127.0.0.1:8001 or [::1]:8001; a name by which others reach the node goes with \
         --advertise"
            .to_owned()
    })
}

/// The same in a file of settings.
pub(super) fn optional_socket_address<'de, D: Deserializer<'de>>(file: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(file)?;
    socket_address(&text).map(Some).map_err(|why| serde::de::Error::custom(format!("`{text}`: {why}")))
}

/// Checks that `url` is what a client of ours can call: `http://host:port`, no path. `host:port` gets `http://`.
pub(super) fn check_url(setting: &'static str, url: &str) -> Result<String, ConfigError> {
    let complaint = || ConfigError::invalid(setting, format!("`{url}` is no address: write http://HOST:PORT"));
    let bare = url.trim();
    // HOST:PORT alone is taken for HTTP.
    let url = if bare.contains("://") { bare.to_owned() } else { format!("http://{bare}") };
    let parsed = reqwest::Url::parse(&url).map_err(|_| complaint())?;
    // The client adds the paths of the API, so the address must have none of its own.
    let bare = parsed.scheme() == "http" && parsed.has_host() && parsed.path() == "/" && parsed.query().is_none();
    if bare { Ok(url.trim_end_matches('/').to_owned()) } else { Err(complaint()) }
}

/// The address for the other nodes: as given, or the API's with its port + 100.
pub(super) fn peer_address(given: Option<SocketAddr>, listen: SocketAddr) -> Result<SocketAddr, ConfigError> {
    if let Some(address) = given {
        return Ok(address);
    }
    // Port 0 asks the system for any free port, for the other nodes as well.
    let port = match listen.port() {
        0 => Some(0),
        port => port.checked_add(100),
    };
    let reason = "the API's port + 100 is no port: give the address for the other nodes";
    let port = port.ok_or_else(|| ConfigError::invalid("--peer-listen", reason))?;
    Ok(SocketAddr::new(listen.ip(), port))
}

/// The host name or IP at which others reach the node: as given, or that of the API where others can call it.
pub(super) fn advertised(given: Option<String>, listen: SocketAddr) -> Result<String, ConfigError> {
    // What is given must be a name or an address, and one by which others can call this machine.
    match given {
        Some(host)
            if host.is_empty() || host.contains([':', '/', ' ']) && host.parse::<std::net::Ipv6Addr>().is_err() =>
        {
            Err(ConfigError::invalid(
                "--advertise",
                format!("`{host}` is no host name or IP: leave scheme and port out"),
            ))
        }
        Some(host) if host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_unspecified()) => {
            let reason =
                format!("{host} is every machine's own: give the host name or IP at which others reach this node");
            Err(ConfigError::invalid("--advertise", reason))
        }
        Some(host) => Ok(host),
        // Without it, others call where the API listens, unless that is every address of the machine.
        None if listen.ip().is_unspecified() => {
            let reason =
                format!("others cannot call {}: give the host name or IP at which they reach this node", listen.ip());
            Err(ConfigError::invalid("--advertise", reason))
        }
        None => Ok(listen.ip().to_string()),
    }
}
