//! A node with a gateway over a cluster of one shard in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use parking_lot::Mutex;
use raft_groups::network::faults::LinkFaults;

use crate::api::HealthState;
use crate::gateway::{GatewayState, Introduction, Limits, LinkSwitch, LocalNode, NodeHealth, router};
use crate::placement::{self, ClusterMap, MetaCommand, NodeEntry, NodeName, NodeState};
use crate::routing::NodeReport;
use crate::routing::rpc::Call;
use crate::routing::testing::FakeCluster;

pub(in crate::gateway) use crate::routing::testing::status;

/// Node 1 of a cluster in memory, which alone answers, whoever else is in the map.
pub(super) struct FakeNode {
    pub cluster: FakeCluster,
    switch: Arc<Switch>,
    /// Whether fault injection is off.
    pub faults_off: Mutex<bool>,
    /// Who answers at which port, when asked for an introduction.
    pub introductions: Mutex<BTreeMap<u16, Introduction>>,
}

/// A router over a fresh cluster, with small limits.
pub(super) fn start() -> (Router, Arc<FakeNode>) {
    start_over(first_map())
}

/// The same over a cluster that has this map.
pub(super) fn start_over(map: ClusterMap) -> (Router, Arc<FakeNode>) {
    let (state, node) = state_over(map, small(1_024));
    (router(state), node)
}

/// The state of a gateway that serves `in_flight` requests at once.
pub(super) fn state(in_flight: usize) -> (GatewayState, Arc<FakeNode>) {
    state_within(small(in_flight))
}

/// The state of a gateway with these limits.
pub(super) fn state_within(limits: Limits) -> (GatewayState, Arc<FakeNode>) {
    state_over(first_map(), limits)
}

fn small(in_flight: usize) -> Limits {
    let small = Limits { body_bytes: 1 << 20, drain_bytes: 1 << 20, batch: 100, limit: 1_000, ..Limits::default() };
    Limits { in_flight, ..small }
}

fn state_over(map: ClusterMap, limits: Limits) -> (GatewayState, Arc<FakeNode>) {
    let cluster = FakeCluster::of_map(map);
    cluster.0.lock().down.extend(2..10);
    let node = Arc::new(FakeNode {
        cluster: cluster.clone(),
        switch: Arc::default(),
        faults_off: Mutex::default(),
        introductions: Mutex::default(),
    });
    (GatewayState::new(cluster.router(Some(1)), node.clone(), limits), node)
}

/// The map that a cluster of one node and one shard begins with.
pub(super) fn first_map() -> ClusterMap {
    let mut map = ClusterMap::default();
    let first = placement::form([7; 16], BTreeMap::from([(1, node("node1", 8001))]), 1, 3).unwrap();
    map.apply(MetaCommand::Form { map: first });
    map
}

/// A node on this host.
pub(in crate::gateway) fn node(name: &str, port: u16) -> NodeEntry {
    let peer_addr = format!("localhost:{}", port + 100);
    NodeEntry {
        name: NodeName::new(name).unwrap(),
        incarnation: [port as u8; 16],
        host: "localhost".to_owned(),
        port,
        peer_addr,
        state: NodeState::Member,
        labels: BTreeMap::new(),
        life: 0,
    }
}

impl FakeNode {
    /// The last call to the shard.
    pub(super) fn last_call(&self) -> Option<Call> {
        self.cluster.0.lock().last_call.clone()
    }
}

#[async_trait]
impl LocalNode for FakeNode {
    fn name(&self) -> String {
        "node1".to_owned()
    }

    fn uptime(&self) -> Duration {
        Duration::from_secs(12)
    }

    fn health(&self) -> NodeHealth {
        NodeHealth { state: HealthState::Healthy, checks: BTreeMap::from([("formed".to_owned(), true.into())]) }
    }

    fn report(&self) -> Option<NodeReport> {
        Some(self.cluster.report(1))
    }

    async fn introduction(&self, _: &str, port: u16) -> Result<Introduction, String> {
        self.introductions.lock().get(&port).cloned().ok_or_else(|| "connection refused".to_owned())
    }

    fn faults(&self) -> Option<Arc<dyn LinkSwitch>> {
        (!*self.faults_off.lock()).then(|| self.switch.clone() as Arc<dyn LinkSwitch>)
    }
}

#[derive(Default)]
struct Switch(Mutex<LinkFaults>);

impl LinkSwitch for Switch {
    fn set(&self, faults: LinkFaults) {
        *self.0.lock() = faults;
    }

    fn current(&self) -> LinkFaults {
        self.0.lock().clone()
    }
}
