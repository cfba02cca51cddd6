//! `quiver gateway`: the HTTP API and routing, without replicas.

use std::sync::Arc;

use raft_groups::network::faults::Faults;

use super::logging::start_logging;
use super::port::connection_limit::Crowd;
use super::port::{LINGER, Port};
use super::process_stats::ProcessVitals;
use super::server_node::GatewayNode;
use super::{memory_trim as memory, os_limits as process};
use crate::config::GatewaySettings;
use crate::gateway::{self, GatewayState};
use crate::node::NodeError;
use crate::node::control::map_feed;
use crate::node::identity::peer_addresses::Peers;
use crate::node::shutdown::Stop;
use crate::routing::{MapCell, NodeCarrier, Router};

/// Runs a gateway until SIGTERM or Ctrl-C. Prints one line on stdout once it serves.
///
/// # Errors
/// Why it cannot start.
pub async fn run_gateway(settings: GatewaySettings) -> Result<(), NodeError> {
    start_logging(settings.log_format);
    let (clients, _) = process::connections(process::raise_descriptors());
    memory::give_back();
    let stop = Stop::on_signals().map_err(|error| NodeError::setup("signals", error))?;
    let port = Port::take(settings.listen, "--listen").await?;
    let (map, vitals) = (MapCell::default(), Arc::new(ProcessVitals::new()));
    let peers = Arc::new(Peers::new(map.clone()));
    let carrier =
        NodeCarrier::new(peers, Faults::default()).map_err(|error| NodeError::setup("an HTTP client", error))?;
    let router = Router::new(Arc::new(carrier), map.clone());
    let node = GatewayNode { vitals: Arc::clone(&vitals), map: map.clone(), stop: stop.clone() };
    let state =
        GatewayState::new(Arc::new(router), Arc::new(node), settings.limits.into()).known_as(settings.hosts.clone());
    let app = gateway::router_with(state, map_feed::map_router(map.clone()));
    tokio::spawn(async move { vitals.watch_load().await });
    tokio::spawn(map_feed::poll(settings.cluster.clone(), map));
    println!("quiver: gateway serving http://{} (cluster {})", port.address, settings.cluster.join(", "));
    if let Err(error) = port.serve(app, Crowd::of(clients), stop, LINGER).await {
        tracing::error!(%error, "the HTTP port ended badly");
    }
    Ok(())
}
