//! A whole node in this process, on a directory and ports of its own: it starts, serves and stops.

use super::*;
use crate::api::HealthState;
use crate::config::ServerArgs;
use crate::gateway::LocalNode as _;
use crate::node::process::server::{introduce, stop_node};
use crate::placement::NodeName;

/// Far longer than groups of one member take to elect it.
const PATIENCE: Duration = Duration::from_secs(60);

fn open_identity(dir: &DataDir) -> IdentityFile {
    IdentityFile::open(dir.path(), NodeName::new("node1").unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_alone_starts_serves_and_stops() {
    let temp = tempfile::tempdir().unwrap();
    let (data_dir, free_port) = (Some(temp.path().join("data")), Some(([127, 0, 0, 1], 0).into()));
    let (listen, peer_listen, shards) = (free_port, free_port, Some(2));
    let args = ServerArgs { data_dir, listen, peer_listen, shards, ..ServerArgs::default() };
    let settings = args.settle().unwrap();
    // It answers, and is starting.
    let (stop, peers_stop) = (StopSignal::new(), StopSignal::new());
    let dir = DataDir::lock(&settings.data_dir).unwrap();
    let mut identity = open_identity(&dir);
    identity.begin_life().unwrap();
    let http = Port::bind(settings.listen, "--listen").await.unwrap();
    let peer_port = Port::bind(settings.peer_listen, "--peer-listen").await.unwrap();
    let me = introduce(&settings, &identity, &http, &peer_port);
    let startup = Startup::new(settings, me, stop.clone()).unwrap();
    let served = http.serve(startup.http_app(None), ConnectionLimit::new(8), stop.clone(), Duration::ZERO);
    assert_eq!(startup.node.health().state, HealthState::Starting);
    assert!(startup.node.replicas().is_none());
    // It has a cluster of its own, and every group knows its leader.
    let node = startup.start_node(&dir, identity, peer_port, peers_stop.clone()).await.unwrap();
    let serving = async {
        while !startup.node.phase.is_serving() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, serving).await.expect("groups of one member elect it");
    let health = startup.node.health();
    assert_eq!(health.state, HealthState::Healthy, "{:?}", health.checks);
    assert_eq!(startup.map.get().shards.len(), 2);
    assert!(open_identity(&dir).identity.member.is_some_and(|member| member.started));
    // It stops when it is told to.
    stop.give();
    assert_eq!(startup.node.health().state, HealthState::Draining);
    tokio::time::timeout(PATIENCE, stop_node(node, served, peers_stop)).await.expect("it stops");
}
