//! `quiver server`: from a data directory to a serving node, and back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use raft_groups::network::faults::Faults;
use raft_groups::network::http::{HttpTransport, MAX_READ_BYTES};
use raft_groups::{Disk, Host, NodeId};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use super::logging::start_logging;
use super::port::body_memory::bounded;
use super::port::connection_limit::Crowd;
use super::port::{LINGER, Port};
use super::process_stats::ProcessVitals;
use super::server_node::{self, ServerNode};
use super::{memory_trim as memory, os_limits as process};
use crate::config::{Origin, ServerSettings};
use crate::gateway::{self, GatewayState};
use crate::node::NodeError;
use crate::node::control::driver::{Driver, DriverSettings};
use crate::node::control::indexing::Indexers;
use crate::node::control::membership::Walker;
use crate::node::control::replicas::Replicas;
use crate::node::control::{map_feed, replicas, sweep as steward};
use crate::node::identity::address_exchange::{self as whereabouts, Claim, Here};
use crate::node::identity::cluster_settings::{raft_settings, timings_of, warn_of_ignored, warn_of_timings};
use crate::node::identity::data_dir::DataDir;
use crate::node::identity::formation::{Formation, JoinAnswer, JoinRequest, Plan};
use crate::node::identity::identity_file::{IdentityFile, Membership};
use crate::node::identity::join::{self, JoinDoor};
use crate::node::identity::peer_addresses::Peers;
use crate::node::shutdown::Stop;
use crate::placement::{ClusterMap, NodeName, group_name};
use crate::routing::{LocalGroups, MAX_RPC_BYTES, MapCell, NodeCarrier, PeerDoor, Pool, Router, Service, peer_router};

/// How long other nodes may take to lead what this one leads, once it is to stop.
const HANDOVER_WITHIN: Duration = Duration::from_secs(10);

/// Runs a node until SIGTERM or Ctrl-C. Prints one line on stdout once it serves HTTP, which is before it has a
/// cluster: its health says `starting` until then.
///
/// # Errors
/// Why it cannot start; each message names the way out.
pub async fn run_server(settings: ServerSettings) -> Result<(), NodeError> {
    start_logging(settings.log_format);
    raft_groups::name_groups(group_name);
    process::keep_files_private();
    let descriptors = process::raise_descriptors();
    memory::give_back();
    let stop = Stop::on_signals().map_err(|error| NodeError::setup("signals", error))?;
    let name = NodeName::new(settings.node_id.clone())?;
    let dir = DataDir::take(&settings.data_dir)?;
    let mut identity = IdentityFile::open(dir.path(), name)?;
    let http = Port::take(settings.listen, "--listen").await?;
    let peer_port = Port::take(settings.peer_listen, "--peer-listen").await?;
    identity.begin_life()?;
    let me = introduce(&settings, &identity, &http, &peer_port);
    let belongs = identity.identity.member.as_ref().map(|member| member.cluster);
    let frame = Frame::new(&settings, &me, stop.clone())?;
    let line = format!("quiver: {} serving http://{} (peers {})", me.name, http.address, peer_port.address);
    let (clients, _) = process::connections(descriptors);
    let served = http.serve(frame.app(&settings, &me, belongs), Crowd::of(clients), stop.clone(), LINGER);
    println!("{line}");
    let peers_stop = Stop::new();
    let started = tokio::select! {
        () = stop.wait() => None,
        started = frame.start(&settings, &dir, identity, me, peer_port, peers_stop.clone()) => Some(started?),
    };
    stop.wait().await;
    let Some((host, peers_served, indexers)) = started else {
        let _ = served.await;
        return Ok(());
    };
    // While the port still takes requests: what is led elsewhere needs no election.
    let (left, _) = tokio::join!(host.hand_over_all(Instant::now() + HANDOVER_WITHIN), served);
    for group in left {
        tracing::warn!(%group, "nobody else has taken over what is led here; the others will elect a leader");
    }
    let indexed = tokio::task::spawn_blocking(|| indexers.join());
    host.stop().await;
    let _ = indexed.await;
    peers_stop.now();
    let _ = peers_served.await;
    tracing::info!("stopped");
    Ok(())
}

/// This node as it introduces itself: its name, and where it really listens.
fn introduce(settings: &ServerSettings, identity: &IdentityFile, http: &Port, peers: &Port) -> JoinRequest {
    let host = settings.advertise.clone();
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    // Another interface than that of clients is where other nodes are to call.
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

/// What there is of a node before it has a cluster.
struct Frame {
    map: MapCell,
    faults: Faults,
    peers: Arc<Peers>,
    carrier: Arc<NodeCarrier>,
    router: Router,
    formation: Arc<Formation>,
    node: Arc<ServerNode>,
}

impl Frame {
    fn new(settings: &ServerSettings, me: &JoinRequest, stop: Stop) -> Result<Self, NodeError> {
        let (map, faults) = (MapCell::default(), Faults::default());
        let peers = Arc::new(Peers::new(map.clone()));
        let carrier = NodeCarrier::new(peers.clone(), faults.clone())
            .map_err(|error| NodeError::setup("an HTTP client", error))?;
        let carrier = Arc::new(carrier);
        let router = Router::new(carrier.clone(), map.clone());
        let node = Arc::new(ServerNode {
            name: me.name.to_string(),
            vitals: Arc::new(ProcessVitals::new()),
            peers: peers.clone(),
            groups: Arc::new(LocalGroups::default()),
            stop,
            faults: settings.test_faults.then(|| faults.clone()),
            opened: AtomicBool::new(false),
            was_ready: AtomicBool::new(false),
            service: OnceLock::new(),
            host: OnceLock::new(),
            ear: OnceLock::new(),
            data_dir: settings.data_dir.clone(),
        });
        let formation = Arc::new(Formation::new());
        Ok(Self { map, faults, peers, carrier, router, formation, node })
    }

    /// The HTTP port's routes: the API, the way in for joiners, and the map for gateways.
    /// `belongs` is the cluster that the data directory belongs to already.
    fn app(&self, settings: &ServerSettings, me: &JoinRequest, belongs: Option<Uuid>) -> axum::Router {
        let state = GatewayState::new(Arc::new(self.router.clone()), self.node.clone(), settings.limits.into());
        let state = state.known_as(settings.hosts.iter().cloned().chain([settings.advertise.clone()]));
        let (formation, map) = (self.formation.clone(), self.map.clone());
        let join = join::router(JoinDoor { formation, me: me.clone(), map: map.clone(), belongs });
        gateway::router_with(state, join.merge(map_feed::map_router(map)))
    }

    /// Finds the cluster, opens the stores and the replicas, and leaves the background work running.
    async fn start(
        &self,
        settings: &ServerSettings,
        dir: &DataDir,
        mut identity: IdentityFile,
        me: JoinRequest,
        peer_port: Port,
        peers_stop: Stop,
    ) -> Result<(Host, JoinHandle<()>, Indexers), NodeError> {
        let vitals = self.node.vitals.clone();
        tokio::spawn(async move { vitals.watch_load().await });
        let member = self.membership(settings, &mut identity, &me).await?;
        let host = self.open_host(settings, dir, &mut identity, &member).await?;
        let service = self.serve_locally(&host)?;
        let door = PeerDoor { cluster: member.first_map.cluster, service, faults: self.faults.clone() };
        let here = self.here(&me, &host);
        let memory = settings.limits.body_memory;
        let consensus = raft_groups::network::http::router(host.clone());
        let calls = peer_router(door).merge(whereabouts::router(here.clone()));
        let app = bounded(consensus, MAX_READ_BYTES, memory).merge(bounded(calls, MAX_RPC_BYTES, memory));
        let seeds = if let Origin::Join(urls) = &settings.origin { urls.clone() } else { Vec::new() };
        tokio::spawn(here.tell(seeds));
        let (_, peers) = process::connections(process::raise_descriptors());
        let peers_served = peer_port.serve(app, Crowd::of(peers), peers_stop, Duration::ZERO);
        let effort = (settings.index_threads, settings.index_share);
        let indexers = Indexers::start(&self.node.groups, dir.path(), effort, &self.node.stop);
        let indexers = indexers.map_err(|error| NodeError::setup("the indexing threads", error))?;
        self.open_replicas(&host, dir, &member).await;
        tokio::spawn(server_node::watch_ready(self.node.clone()));
        tokio::spawn(steward::sweep(self.node.groups.clone(), self.map.clone(), self.router.clone()));
        let life = (identity.identity.life.number, dir.path().to_owned());
        tokio::spawn(steward::announce(me, member.node, life, self.router.clone(), self.map.clone()));
        let (groups, router, map) = (self.node.groups.clone(), self.router.clone(), self.map.clone());
        tokio::spawn(async move {
            let identity = steward::tell_of_recovery(identity, member.node, groups, router, map.clone()).await;
            steward::remember(identity, map).await;
        });
        self.place(member.node, settings);
        Ok((host, peers_served, indexers))
    }

    /// This node's place in its cluster: as it was, or as it is decided now. It is on disk before anyone is told.
    async fn membership(
        &self,
        settings: &ServerSettings,
        identity: &mut IdentityFile,
        me: &JoinRequest,
    ) -> Result<Membership, NodeError> {
        let member = match identity.identity.member.clone() {
            Some(member) => {
                warn_of_ignored(settings, &member);
                member
            }
            None => {
                let (node, first_map) = self.find_cluster(settings, me).await?;
                let cluster = Uuid::from_bytes(first_map.cluster);
                let member = Membership::new(cluster, node, first_map);
                identity.set_member(member.clone())?;
                tracing::info!(%cluster, node, "this node has a place in a cluster");
                warn_of_timings(settings, &member);
                member
            }
        };
        self.peers.start_from(member.first_map.clone());
        self.map.offer(Arc::new(member.first_map.clone()));
        self.formation.decided(member.first_map.clone());
        Ok(member)
    }

    async fn find_cluster(
        &self,
        settings: &ServerSettings,
        me: &JoinRequest,
    ) -> Result<(NodeId, ClusterMap), NodeError> {
        match &settings.origin {
            Origin::Unsaid if !settings.listen.ip().is_loopback() || !settings.peer_listen.ip().is_loopback() => {
                Err(NodeError::NoOrigin { dir: settings.data_dir.clone() })
            }
            Origin::Unsaid | Origin::Bootstrap(_) => {
                let nodes = if let Origin::Bootstrap(nodes) = settings.origin { nodes } else { 1 };
                let (shards, replication_factor) = (settings.shards, settings.replication_factor);
                let timings = timings_of(settings);
                if settings.origin == Origin::Unsaid {
                    tracing::info!(
                        "the data directory is empty and neither --bootstrap nor --join is given: a new cluster of one node"
                    );
                }
                let plan = Plan { nodes, shards, replication_factor, timings };
                Ok((1, self.formation.gather(me, plan).await?))
            }
            Origin::Join(urls) => match join::ask(urls, me).await? {
                JoinAnswer::Member { node, map } => Ok((node, *map)),
                other => Err(NodeError::Refused { url: urls.join(", "), reason: format!("{other:?}") }),
            },
        }
    }

    async fn open_host(
        &self,
        settings: &ServerSettings,
        dir: &DataDir,
        identity: &mut IdentityFile,
        member: &Membership,
    ) -> Result<Host, NodeError> {
        let who = raft_groups::Identity {
            cluster: *member.cluster.as_bytes(),
            node: member.node,
            incarnation: *identity.identity.incarnation.as_bytes(),
            life: identity.identity.life,
        };
        let transport = HttpTransport::new(self.peers.clone());
        let transport = transport.map_err(|error| NodeError::setup("the peers' HTTP client", error))?;
        let disk = Disk::open(&dir.stores())?;
        let (is_new, timings) = (!member.started, member.timings_or(timings_of(settings)));
        let host =
            Host::open(who, raft_settings(settings, timings), disk, Arc::new(transport), self.faults.clone(), is_new)
                .await?;
        tokio::spawn(steward::end_when_overtaken(host.clone(), dir.path().to_owned()));
        if is_new {
            identity.set_member(Membership { started: true, ..member.clone() })?;
        }
        Ok(host)
    }

    fn serve_locally(&self, host: &Host) -> Result<Arc<Service>, NodeError> {
        self.node.vitals.measure(host.clone());
        tokio::spawn(host.clone().measure_distances());
        if self.node.faults.is_some() {
            let _ = self.node.ear.set(host.events().listen(None));
        }
        let _ = self.node.host.set(host.clone());
        let service = Arc::new(Service {
            node: host.identity().node,
            groups: self.node.groups.clone(),
            pool: Pool::new().map_err(|error| NodeError::setup("the query threads", error))?,
            vitals: self.node.vitals.clone(),
        });
        self.carrier.serve_locally(service.clone());
        let _ = self.node.service.set(service.clone());
        Ok(service)
    }

    /// Where this node is since this start, as other members are told.
    fn here(&self, me: &JoinRequest, host: &Host) -> Here {
        let identity = host.identity();
        let me = Claim {
            cluster: Uuid::from_bytes(identity.cluster),
            node: identity.node,
            incarnation: me.incarnation,
            life: identity.life.number,
            peer_addr: me.peer_addr.clone(),
        };
        Here { me, peers: self.peers.clone() }
    }

    async fn open_replicas(&self, host: &Host, dir: &DataDir, member: &Membership) {
        let (host, groups) = (host.clone(), self.node.groups.clone());
        let dir = dir.path().to_owned();
        let (map, router) = (self.map.clone(), self.router.clone());
        let replicas = Replicas { host, dir, groups, map, router, replaced: Arc::default() };
        if let Some(meta) = replicas.open_first_meta(&member.first_map).await
            && !member.first_map.is_formed()
        {
            let (first, map) = (member.first_map.clone(), self.map.clone());
            tokio::spawn(replicas::write_first_map(meta, first, map));
        }
        // A replica of the map's group that was let go of does not know it, so other nodes are asked in any case.
        let seeds = [map_feed::urls(&member.first_map), member.seeds.clone()].concat();
        tokio::spawn(map_feed::poll(seeds, self.map.clone()));
        let map = replicas::formed(&self.map).await;
        replicas.open_all(&map).await;
        self.node.opened.store(true, Ordering::Relaxed);
        tokio::spawn(replicas.keep());
    }

    /// What moves replicas and leaders to where the map wants them, and decides where that is.
    fn place(&self, me: NodeId, settings: &ServerSettings) {
        let (groups, map, router) = (self.node.groups.clone(), self.map.clone(), self.router.clone());
        tokio::spawn(Walker { me, groups: groups.clone(), map, router: router.clone() }.walk());
        let settings = DriverSettings {
            lost_after: settings.node_lost_after,
            join_within: settings.join_within,
            moves: settings.moves,
        };
        tokio::spawn(Driver { settings, groups, router }.drive());
    }
}
