//! The composition root: starts and stops a server or a gateway. This branch holds only the seam that the cli calls.

use crate::config::{GatewaySettings, ServerSettings};

/// Runs a node until it is told to stop.
///
/// # Errors
/// Whatever keeps it from starting or from stopping cleanly.
pub async fn run_server(settings: ServerSettings) -> anyhow::Result<()> {
    anyhow::bail!("{} cannot start: this build has no node in it", settings.node_id)
}

/// Runs a gateway until it is told to stop.
///
/// # Errors
/// Whatever keeps it from starting or from stopping cleanly.
pub async fn run_gateway(settings: GatewaySettings) -> anyhow::Result<()> {
    anyhow::bail!("the gateway on {} cannot start: this build has no node in it", settings.listen)
}
