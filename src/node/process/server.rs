//! `quiver server` from its start to its end: a data directory becomes a node that serves, and is released at the end.
//!
//! Comes in: settings. Goes out: an HTTP port that is served from the first moment on, and a node behind it once
//! [`super::startup`] is done. When the process ends, its replicas lead nothing any more.

use std::time::Duration;

use raft_groups::Host;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::background::ProcessLoops;
use super::logging::start_logging;
use super::port::connection_limit::ConnectionLimit;
use super::port::{LINGER, Port};
use super::startup::{StartedNode, Startup};
use super::{memory_trim, os_limits};
use crate::config::ServerSettings;
use crate::node::NodeError;
use crate::node::identity::data_dir::DataDir;
use crate::node::identity::formation::JoinRequest;
use crate::node::identity::identity_file::IdentityFile;
use crate::node::stop_signal::StopSignal;
use crate::placement::{NodeName, group_name};

/// How long other nodes may take to take over what this node leads, after the signal to stop.
const HANDOVER_WITHIN: Duration = Duration::from_secs(10);

/// Runs a node until SIGTERM or Ctrl-C. It prints one line on stdout once it serves HTTP. That is before it has a
/// cluster: its health says `starting` until then.
///
/// # Errors
/// Why it cannot start; each message names the way out.
pub async fn run_server(settings: ServerSettings) -> Result<(), NodeError> {
    // Process-wide settings come before anything opens a file or a connection.
    start_logging(settings.log_format);
    raft_groups::name_groups(group_name);
    os_limits::keep_files_private();
    let descriptors = os_limits::raise_descriptor_limit();
    memory_trim::configure_allocator();
    let stop = StopSignal::on_signals().map_err(|error| NodeError::setup("signals", error))?;
    // The start is counted once both ports are bound. A process that cannot listen has no life of its own.
    let name = NodeName::new(settings.node_id.clone())?;
    let dir = DataDir::lock(&settings.data_dir)?;
    let mut identity = IdentityFile::open(dir.path(), name)?;
    let http = Port::bind(settings.listen, "--listen").await?;
    let peer_port = Port::bind(settings.peer_listen, "--peer-listen").await?;
    identity.begin_life()?;
    let me = introduce(&settings, &identity, &http, &peer_port);
    // HTTP is served before there is a cluster, so that joiners can ask and health can answer.
    let belongs = identity.identity.member.as_ref().map(|member| member.cluster);
    let line = format!("quiver: {} serving http://{} (peers {})", me.name, http.address, peer_port.address);
    let startup = Startup::new(settings, me, stop.clone())?;
    ProcessLoops { stats: startup.stats() }.start();
    let (clients, _) = os_limits::split_connections(descriptors);
    let served = http.serve(startup.http_app(belongs), ConnectionLimit::new(clients), stop.clone(), LINGER);
    println!("{line}");
    // The node starts, and works until it is told to stop. The signal may come before it has started.
    let peers_stop = StopSignal::new();
    let started = tokio::select! {
        () = stop.wait() => None,
        started = startup.start_node(&dir, identity, peer_port, peers_stop.clone()) => Some(started?),
    };
    stop.wait().await;
    match started {
        Some(node) => stop_node(node, served, peers_stop).await,
        None => {
            let _ = served.await;
        }
    }
    Ok(())
}

/// Stops a node in the order in which others miss it least: first leadership, then the indexing threads and the stores,
/// last the peer port.
pub(super) async fn stop_node(node: StartedNode, served: JoinHandle<()>, peers_stop: StopSignal) {
    let StartedNode { host, peers_served, indexers } = node;
    hand_over_groups(&host, served).await;
    let indexed = tokio::task::spawn_blocking(|| indexers.join());
    host.stop().await;
    let _ = indexed.await;
    // Until the peer port closes, other nodes get an answer instead of a timeout.
    peers_stop.give();
    let _ = peers_served.await;
    tracing::info!("stopped");
}

/// Hands over the groups that this node leads while the HTTP port still takes requests. A group that another node leads
/// needs no election.
async fn hand_over_groups(host: &Host, served: JoinHandle<()>) {
    let (left, _) = tokio::join!(host.hand_over_all(Instant::now() + HANDOVER_WITHIN), served);
    for group in left {
        tracing::warn!(%group, "nobody else has taken over what is led here; the others will elect a leader");
    }
}

/// This node as it introduces itself: its name, and the addresses at which it really listens.
pub(super) fn introduce(settings: &ServerSettings, identity: &IdentityFile, http: &Port, peers: &Port) -> JoinRequest {
    let host = settings.advertise.clone();
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    // If the peer port is on another interface than the clients' port, other nodes must call it there.
    let peer_ip = peers.address.ip();
    let is_apart = peer_ip != http.address.ip() && !peer_ip.is_unspecified();
    let peer_addr = match is_apart {
        true => peers.address.to_string(),
        false => format!("{bracketed}:{}", peers.address.port()),
    };
    JoinRequest {
        name: identity.identity.name.clone(),
        incarnation: identity.identity.incarnation,
        port: http.address.port(),
        peer_addr,
        host: bracketed,
    }
}
