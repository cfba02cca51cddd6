//! A server process as its own HTTP API shows it: its name, its health, its groups.
//!
//! Comes in: the parts of the node, as its start makes them. Goes out: the answers of [`LocalNode`]. Must not change
//! any of the parts.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use raft_groups::events::Listener;
use raft_groups::inspect::{LogTail, NudgeError};
use raft_groups::network::faults::{Faults, LinkFaults};
use raft_groups::{GroupId, GroupStatus, Host, NodeId};
use tokio::time::Instant;

use super::health::{HealthSigns, NO_LEADER};
use super::node_phase::PhaseCell;
use super::process_stats::ProcessStats;
use crate::api::HealthState;
use crate::gateway::{Introduction, LinkSwitch, LocalNode, LocalReplicas, NodeHealth};
use crate::node::identity::formation::Formation;
use crate::node::identity::peer_addresses::PeerAddresses;
use crate::node::identity::{data_dir, join};
use crate::node::stop_signal::StopSignal;
use crate::placement::{ClusterMap, group_name};
use crate::routing::{LocalGroups, NodeReport, Service};

/// A server process.
pub(super) struct ServerNode {
    pub name: String,
    pub stats: Arc<ProcessStats>,
    pub peers: Arc<PeerAddresses>,
    pub groups: Arc<LocalGroups>,
    /// What the node waits for while it forms a cluster.
    pub formation: Arc<Formation>,
    pub stop: StopSignal,
    /// Set where `--test-faults` was given.
    pub faults: Option<Faults>,
    /// The directory of everything the node stores.
    pub data_dir: PathBuf,
    /// How far the start is, and what the node has once its stores are open.
    pub phase: PhaseCell<OpenNode>,
}

/// What a node has once its stores are open.
pub(super) struct OpenNode {
    pub host: Host,
    pub service: Arc<Service>,
    /// Keeps the recording of events on, if faults are allowed. So a listener at such a node misses nothing since its
    /// start.
    pub _recording: Option<Listener>,
}

impl ServerNode {
    /// Collects what the node's health is judged from, as it is now.
    fn collect_signs(&self) -> HealthSigns {
        // A stopped replica is still in the list of groups, and its status says why it stopped.
        let meta = self.groups.meta().map(|meta| meta.status());
        let shards = self.groups.shards().into_iter().map(|(_, group)| group.status());
        let statuses: Vec<GroupStatus> = meta.into_iter().chain(shards).collect();
        let stopped =
            statuses.iter().filter_map(|s| s.stopped.as_ref().map(|why| format!("{}: {why}", group_name(s.group))));
        let opened = self.phase.has_open_replicas();
        HealthSigns {
            stopping: self.stop.is_given(),
            opened,
            was_ready: self.phase.is_serving(),
            groups: statuses.len(),
            with_leader: statuses.iter().filter(|status| status.leader.is_some()).count(),
            leaderless: statuses.iter().filter(|s| s.leader.is_none()).map(|s| group_name(s.group)).collect(),
            waits_for: self.formation.describe(),
            // Before that, the directory may not have its stores yet.
            has_lost_directory: opened && !data_dir::is_present(&self.data_dir),
            stopped: stopped.collect(),
            quarantined: self
                .groups
                .quarantined()
                .into_iter()
                .map(|q| format!("{}: {}", group_name(q.group), q.reason))
                .collect(),
        }
    }
}

/// Pause between two looks at whether the node has become ready.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Pause between two looks at whether groups have lost their leader.
const LEADERLESS_LOOK_EVERY: Duration = Duration::from_secs(1);

/// Groups are without a leader for so long before the log says it. An ordinary election is shorter.
const LEADERLESS_FOR: Duration = Duration::from_secs(5);

/// Notes when the node is ready for the first time, even if nobody asks for its health then. Afterwards it logs when
/// groups stay without a leader, and when all have one again.
pub(super) async fn watch_readiness(node: Arc<ServerNode>) {
    while !node.collect_signs().is_ready() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    node.phase.begin_serving();
    let (mut since, mut told) = (Instant::now(), false);
    while !node.stop.is_given() {
        let leaderless = node.collect_signs().leaderless;
        if leaderless.is_empty() {
            if told {
                tracing::info!("every group has a leader again");
            }
            (since, told) = (Instant::now(), false);
        } else if !told && since.elapsed() >= LEADERLESS_FOR {
            tracing::warn!(groups = leaderless.join(", "), "{NO_LEADER}");
            told = true;
        }
        tokio::time::sleep(LEADERLESS_LOOK_EVERY).await;
    }
}

#[async_trait]
impl LocalNode for ServerNode {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn uptime(&self) -> Duration {
        self.stats.uptime()
    }

    fn health(&self) -> NodeHealth {
        // An open node also shows the number of its start.
        let mut health = self.collect_signs().judge();
        if let Some(host) = self.phase.read(|open| open.host.clone()) {
            health.checks.insert("life".to_owned(), serde_json::json!(host.identity().life.number));
            // It shows how long the disk has worked on the writes of its logs that are under way.
            let waits = host.sync_age().unwrap_or_default().as_millis() as u64;
            health.checks.insert("sync_waits_ms".to_owned(), serde_json::json!(waits));
            // A node that the cluster removed holds nothing, and must say why.
            if self.peers.has_removed(host.identity().node) {
                let way_out =
                    "the cluster has removed this node: stop it; to join again, start it with an empty --data-dir";
                health.checks.insert("removed".to_owned(), serde_json::json!(way_out));
                health.state = if health.state == HealthState::Healthy { HealthState::Degraded } else { health.state };
            }
        }
        health
    }

    fn report(&self) -> Option<NodeReport> {
        self.phase.read(|open| open.service.clone()).map(|service| service.report())
    }

    async fn introduction(&self, host: &str, port: u16) -> Result<Introduction, String> {
        join::ask_introduction(host, port).await
    }

    fn faults(&self) -> Option<Arc<dyn LinkSwitch>> {
        self.faults.clone().map(|faults| Arc::new(FaultSwitch(faults)) as Arc<dyn LinkSwitch>)
    }

    fn first_map(&self) -> Option<ClusterMap> {
        Some(self.peers.first())
    }

    fn replicas(&self) -> Option<Arc<dyn LocalReplicas>> {
        self.phase.read(|open| Arc::new(open.host.clone()) as Arc<dyn LocalReplicas>)
    }

    async fn stopping(&self) {
        self.stop.wait().await;
    }
}

#[async_trait]
impl LocalReplicas for Host {
    fn statuses(&self) -> Vec<GroupStatus> {
        Self::statuses(self)
    }

    fn listen(&self, after: Option<u64>) -> Listener {
        self.events().listen(after)
    }

    fn log_tail(&self, group: GroupId, last: u64) -> Option<io::Result<LogTail>> {
        Self::log_tail(self, group, last)
    }

    async fn campaign(&self, group: GroupId) -> Option<Result<(), NudgeError>> {
        Self::campaign(self, group).await
    }

    async fn step_down(&self, group: GroupId) -> Option<Result<NodeId, NudgeError>> {
        Self::step_down(self, group).await
    }
}

/// The faults of this node's links, as a test sets them over HTTP.
struct FaultSwitch(Faults);

impl LinkSwitch for FaultSwitch {
    fn set(&self, faults: LinkFaults) {
        self.0.set(faults);
    }

    fn current(&self) -> LinkFaults {
        self.0.current()
    }
}
