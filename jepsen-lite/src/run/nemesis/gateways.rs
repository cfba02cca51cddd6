//! The gateway is killed or stopped in its tracks. Whatever was on its way through it has an unknown fate; the nodes notice
//! nothing.

use std::time::Duration;

use anyhow::{Context, Result};

use super::Nemesis;

impl Nemesis<'_> {
    pub(super) async fn kill_gateway(&mut self, hold: Duration) -> Result<()> {
        self.environment.gateway.as_mut().context("there is no gateway")?.kill();
        tokio::time::sleep(hold / 4).await;
        self.environment.restart_gateway().await
    }

    /// While it is stopped, clients connect and hear nothing.
    pub(super) async fn pause_gateway(&mut self, hold: Duration) -> Result<()> {
        let gateway = self.environment.gateway.as_mut().context("there is no gateway")?;
        gateway.pause();
        tokio::time::sleep(hold).await;
        gateway.resume();
        self.environment.cluster.wait_gateway(gateway).await
    }
}
