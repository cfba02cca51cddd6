//! `quiver gateway` from its start to its end: the HTTP API and routing, without replicas.
//!
//! Comes in: settings that name the cluster's nodes. Goes out: a port that is served until the signal to stop.

use std::sync::Arc;

use raft_groups::network::faults::Faults;

use super::background::GatewayLoops;
use super::gateway_node::GatewayNode;
use super::logging::start_logging;
use super::port::connection_limit::ConnectionLimit;
use super::port::{LINGER, Port};
use super::process_stats::ProcessStats;
use super::{memory_trim, os_limits};
use crate::config::GatewaySettings;
use crate::gateway::{self, GatewayState};
use crate::node::NodeError;
use crate::node::control::map_feed;
use crate::node::identity::peer_addresses::PeerAddresses;
use crate::node::stop_signal::StopSignal;
use crate::routing::{HttpNodeClient, MapCell, Router};

/// Runs a gateway until SIGTERM or Ctrl-C. Prints one line on stdout once it serves.
///
/// # Errors
/// Why it cannot start: a port that is taken, or a part that cannot be set up.
pub async fn run_gateway(settings: GatewaySettings) -> Result<(), NodeError> {
    // What this process takes of the machine. It holds no replicas, so it needs no peer port.
    start_logging(settings.log_format);
    let (clients, _) = os_limits::split_connections(os_limits::raise_descriptor_limit());
    memory_trim::configure_allocator();
    let stop = StopSignal::on_signals().map_err(|error| NodeError::setup("signals", error))?;
    let port = Port::bind(settings.listen, "--listen").await?;
    // The way from a request to the nodes. The map is empty until a node answers.
    let (map, stats) = (MapCell::default(), Arc::new(ProcessStats::new()));
    let peers = Arc::new(PeerAddresses::new(map.clone()));
    let client =
        HttpNodeClient::new(peers, Faults::default()).map_err(|error| NodeError::setup("an HTTP client", error))?;
    let router = Router::new(Arc::new(client), map.clone());
    let node = GatewayNode { stats: Arc::clone(&stats), map: map.clone(), stop: stop.clone() };
    let state = GatewayState::new(router, Arc::new(node), settings.limits.into()).known_as(settings.hosts.clone());
    let app = gateway::router_with(state, map_feed::map_router(map.clone()));
    // It serves until it is told to stop.
    GatewayLoops { stats, seeds: settings.cluster.clone(), map }.start();
    println!("quiver: gateway serving http://{} (cluster {})", port.address, settings.cluster.join(", "));
    if let Err(error) = port.serve(app, ConnectionLimit::new(clients), stop, LINGER).await {
        tracing::error!(%error, "the HTTP port ended badly");
    }
    Ok(())
}
