//! A gateway process as its own HTTP API shows it: a name, a health, and no replicas.
//!
//! Comes in: the newest map, and how long no node has answered. Goes out: what [`LocalNode`] asks.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::health::HealthSigns;
use super::process_stats::ProcessStats;
use crate::api::HealthState;
use crate::gateway::{Introduction, LinkSwitch, LocalNode, NodeHealth};
use crate::node::identity::join;
use crate::node::stop_signal::StopSignal;
use crate::routing::{MapCell, NodeReport};

/// After so long without an answer of any node, a gateway says that it is degraded.
const SILENT_AFTER: Duration = Duration::from_secs(10);

/// A gateway process, which holds nothing.
pub(super) struct GatewayNode {
    pub stats: Arc<ProcessStats>,
    pub map: MapCell,
    pub stop: StopSignal,
}

#[async_trait]
impl LocalNode for GatewayNode {
    fn name(&self) -> String {
        "gateway".to_owned()
    }

    fn uptime(&self) -> Duration {
        self.stats.uptime()
    }

    fn health(&self) -> NodeHealth {
        // A gateway has no replicas: with a map it is ready.
        let opened = self.map.get().is_formed();
        let mut health =
            HealthSigns { stopping: self.stop.is_given(), opened, was_ready: opened, ..HealthSigns::default() }.judge();
        // A map that no node confirms may be an old one.
        let silence = self.map.silence().unwrap_or_default();
        if health.state == HealthState::Healthy && silence > SILENT_AFTER {
            health.state = HealthState::Degraded;
            health.checks.insert("no_node_answers_for_s".to_owned(), serde_json::json!(silence.as_secs()));
        }
        if let Some(trouble) = self.map.trouble() {
            health.checks.insert("cluster".to_owned(), serde_json::json!(trouble));
        }
        health
    }

    fn report(&self) -> Option<NodeReport> {
        None
    }

    async fn introduction(&self, host: &str, port: u16) -> Result<Introduction, String> {
        join::ask_introduction(host, port).await
    }

    fn faults(&self) -> Option<Arc<dyn LinkSwitch>> {
        None
    }
}
