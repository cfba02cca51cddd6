//! The start of a node behind its HTTP port: it begins with a directory and an introduction, and ends with open
//! replicas.
//!
//! Comes in: settings, the node's file, and a bound peer port. Goes out: a [`StartedNode`], with every loop of
//! [`super::background`] running. Each step relies on the one before it; [`Startup::start_node`] has them in order.

use std::sync::Arc;
use std::time::Duration;

use raft_groups::network::faults::Faults;
use raft_groups::network::http::{HttpTransport, MAX_READ_BYTES};
use raft_groups::{Disk, Host, NodeId};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::background::{ReplicaLoops, StoreLoops};
use super::node_phase::PhaseCell;
use super::os_limits;
use super::port::Port;
use super::port::body_memory::limit_body_memory;
use super::port::connection_limit::ConnectionLimit;
use super::process_stats::{HostStats, ProcessStats};
use super::server_node::{OpenNode, ServerNode};
use crate::config::{Origin, ServerSettings};
use crate::gateway::{self, GatewayState};
use crate::node::NodeError;
use crate::node::control::driver::{Driver, DriverSettings};
use crate::node::control::indexing::Indexers;
use crate::node::control::map_feed;
use crate::node::control::membership::MembershipLoop;
use crate::node::control::replicas::{self, Replicas};
use crate::node::identity::address_exchange::{self, AddressExchange};
use crate::node::identity::announce_start::StartAnnouncement;
use crate::node::identity::claimed_addresses::AddressClaim;
use crate::node::identity::cluster_place;
use crate::node::identity::cluster_settings::{make_raft_settings, read_timings};
use crate::node::identity::data_dir::DataDir;
use crate::node::identity::formation::{Formation, JoinRequest};
use crate::node::identity::identity_file::{ClusterMembership, IdentityFile};
use crate::node::identity::join::{self, JoinState};
use crate::node::identity::peer_addresses::PeerAddresses;
use crate::node::recovery::RecoveryConfirmation;
use crate::node::stop_signal::StopSignal;
use crate::routing::{
    HttpNodeClient, LocalGroups, MAX_RPC_BYTES, MapCell, Pool, Router, RpcServer, Service, peer_router,
};

/// The parts of a node that exist before it has a cluster.
pub(super) struct Startup {
    settings: ServerSettings,
    me: JoinRequest,
    map: MapCell,
    faults: Faults,
    peers: Arc<PeerAddresses>,
    client: Arc<HttpNodeClient>,
    router: Router,
    formation: Arc<Formation>,
    node: Arc<ServerNode>,
}

/// What a started node holds. It must be ended in order.
pub(super) struct StartedNode {
    pub host: Host,
    /// The task that serves the peer port. It ends after the signal to stop peers.
    pub peers_served: JoinHandle<()>,
    pub indexers: Indexers,
}

impl Startup {
    /// Makes the parts that need no cluster: a router that finds no node yet, and a node that is `starting`.
    ///
    /// # Errors
    /// [`NodeError::Setup`] where no HTTP client can be made.
    pub fn new(settings: ServerSettings, me: JoinRequest, stop: StopSignal) -> Result<Self, NodeError> {
        // Map, addresses and faults are shared cells: what the start finds out reaches all parts through them.
        let (map, faults) = (MapCell::default(), Faults::default());
        let peers = Arc::new(PeerAddresses::new(map.clone()));
        let client = HttpNodeClient::new(peers.clone(), faults.clone())
            .map_err(|error| NodeError::setup("an HTTP client", error))?;
        let client = Arc::new(client);
        let router = Router::new(client.clone(), map.clone());
        let formation = Arc::new(Formation::new());
        let node = Arc::new(ServerNode {
            name: me.name.to_string(),
            stats: Arc::new(ProcessStats::new()),
            peers: peers.clone(),
            groups: Arc::new(LocalGroups::default()),
            formation: formation.clone(),
            stop,
            faults: settings.test_faults.then(|| faults.clone()),
            data_dir: settings.data_dir.clone(),
            phase: PhaseCell::new(),
        });
        Ok(Self { settings, me, map, faults, peers, client, router, formation, node })
    }

    /// What the process measures of itself.
    pub fn stats(&self) -> Arc<ProcessStats> {
        self.node.stats.clone()
    }

    /// The HTTP port's routes: the API, the endpoint of joiners, and the map for other processes.
    pub fn http_app(&self, belongs: Option<Uuid>) -> axum::Router {
        let limits = self.settings.limits.into();
        let state = GatewayState::new(self.router.clone(), self.node.clone(), limits);
        // A request under a name that is not this process's is refused: a page of another site may have sent it.
        let state = state.known_as(self.settings.hosts.iter().cloned().chain([self.settings.advertise.clone()]));
        let (formation, map) = (self.formation.clone(), self.map.clone());
        let join = join::router(JoinState { formation, me: self.me.clone(), map: map.clone(), belongs });
        gateway::router_with(state, join.merge(map_feed::map_router(map)))
    }

    /// Finds the cluster, opens the stores and the replicas, and leaves the background loops running.
    ///
    /// # Errors
    /// Why the node cannot start; each message names the way out.
    pub async fn start_node(
        &self,
        dir: &DataDir,
        mut identity: IdentityFile,
        peer_port: Port,
        peers_stop: StopSignal,
    ) -> Result<StartedNode, NodeError> {
        // The node's place in a cluster is on disk before anyone hears of it. Its stores belong to that place.
        let member = self.take_place(&mut identity).await?;
        let host = self.open_stores(dir, &mut identity, &member).await?;
        let service = self.serve_locally(&host)?;
        // Peers reach the node before its replicas open: groups need each other to elect a leader.
        let exchange = self.make_address_exchange(&host, dir);
        let app = self.peer_app(&host, service, exchange.clone());
        self.prepare_store_loops(&host, dir, exchange, &member).start();
        let (_, peers) = os_limits::split_connections(os_limits::raise_descriptor_limit());
        let peers_served = peer_port.serve(app, ConnectionLimit::new(peers), peers_stop, Duration::ZERO);
        // Vectors are indexed from the first open replica on.
        let effort = (self.settings.index_threads, self.settings.index_share);
        let indexers = Indexers::start(&self.node.groups, dir.path(), effort, &self.node.stop);
        let indexers = indexers.map_err(|error| NodeError::setup("the indexing threads", error))?;
        // The last loops need open replicas.
        let replicas = self.open_replicas(&host, dir, &member).await;
        self.prepare_replica_loops(identity, member.node, replicas).start();
        Ok(StartedNode { host, peers_served, indexers })
    }

    /// Takes this node's place in its cluster. Everything then starts from the map that comes with it.
    async fn take_place(&self, identity: &mut IdentityFile) -> Result<ClusterMembership, NodeError> {
        let member = cluster_place::take_place(&self.settings, &self.formation, &self.me, identity).await?;
        self.peers.start_from(member.first_map.clone());
        self.map.offer(Arc::new(member.first_map.clone()));
        self.formation.conclude(member.first_map.clone());
        Ok(member)
    }

    /// Opens the stores, which must not be empty if the node has used them before.
    async fn open_stores(
        &self,
        dir: &DataDir,
        identity: &mut IdentityFile,
        member: &ClusterMembership,
    ) -> Result<Host, NodeError> {
        let who = raft_groups::Identity {
            cluster: *member.cluster.as_bytes(),
            node: member.node,
            incarnation: *identity.identity.incarnation.as_bytes(),
            life: identity.identity.life,
        };
        let transport = HttpTransport::new(self.peers.clone());
        let transport = transport.map_err(|error| NodeError::setup("the peers' HTTP client", error))?;
        // Empty stores are accepted only before their first use.
        let disk = Disk::open(&dir.stores())?;
        let (is_new, timings) = (!member.started, member.timings_or(read_timings(&self.settings)));
        let settings = make_raft_settings(&self.settings, timings);
        let host = Host::open(who, settings, disk, Arc::new(transport), self.faults.clone(), is_new).await?;
        // From now on empty stores are a loss and not a beginning. A crash before this leaves stores that nobody relies
        // on.
        if is_new {
            identity.set_member(ClusterMembership { started: true, ..member.clone() })?;
        }
        Ok(host)
    }

    /// Lets this node answer calls for the replicas that it is going to have.
    fn serve_locally(&self, host: &Host) -> Result<Arc<Service>, NodeError> {
        let recording = self.node.faults.is_some().then(|| host.events().listen(None));
        let service = Arc::new(Service {
            node: host.identity().node,
            groups: self.node.groups.clone(),
            pool: Pool::new().map_err(|error| NodeError::setup("the query threads", error))?,
            measures: Arc::new(HostStats { process: self.node.stats.clone(), host: host.clone() }),
        });
        // From here on the router finds this node's own replicas without HTTP.
        self.client.serve_locally(service.clone());
        self.node.phase.open_stores(OpenNode { host: host.clone(), service: service.clone(), _recording: recording });
        Ok(service)
    }

    /// The claim of this node's address, as other members are told it.
    fn make_address_exchange(&self, host: &Host, dir: &DataDir) -> AddressExchange {
        let identity = host.identity();
        let me = AddressClaim {
            cluster: Uuid::from_bytes(identity.cluster),
            node: identity.node,
            incarnation: self.me.incarnation,
            life: identity.life.number,
            peer_addr: self.me.peer_addr.clone(),
        };
        AddressExchange { me, dir: dir.path().to_owned(), peers: self.peers.clone() }
    }

    /// The peer port's routes. Consensus has its own memory budget, so that client calls cannot starve it.
    fn peer_app(&self, host: &Host, service: Arc<Service>, exchange: AddressExchange) -> axum::Router {
        let server = RpcServer { cluster: host.identity().cluster, service, faults: self.faults.clone() };
        let memory = self.settings.limits.body_memory;
        let consensus = raft_groups::network::http::router(host.clone());
        let calls = peer_router(server).merge(address_exchange::router(exchange));
        let consensus = limit_body_memory(consensus, MAX_READ_BYTES, memory);
        consensus.merge(limit_body_memory(calls, MAX_RPC_BYTES, memory))
    }

    fn prepare_store_loops(
        &self,
        host: &Host,
        dir: &DataDir,
        exchange: AddressExchange,
        member: &ClusterMembership,
    ) -> StoreLoops {
        StoreLoops {
            host: host.clone(),
            dir: dir.path().to_owned(),
            exchange,
            told: if let Origin::Join(urls) = &self.settings.origin { urls.clone() } else { Vec::new() },
            seeds: [map_feed::list_urls(&member.first_map), member.seeds.clone()].concat(),
            map: self.map.clone(),
        }
    }

    /// Opens this node's replicas: that of the map's group at once, all others once there is a map.
    async fn open_replicas(&self, host: &Host, dir: &DataDir, member: &ClusterMembership) -> Replicas {
        let (host, groups) = (host.clone(), self.node.groups.clone());
        let dir = dir.path().to_owned();
        let (map, router) = (self.map.clone(), self.router.clone());
        let replicas = Replicas { host, dir, groups, map, router, replaced: Arc::default() };
        // A forming node also writes the first map, which this node itself waits for.
        if let Some(meta) = replicas.open_first_meta(&member.first_map).await
            && !member.first_map.is_formed()
        {
            let (first, map) = (member.first_map.clone(), self.map.clone());
            tokio::spawn(replicas::write_first_map(meta, first, map));
        }
        // Every other replica waits for a formed map, which says what this node holds.
        let map = map_feed::wait_until_formed(&self.map).await;
        replicas.open_all(&map).await;
        self.node.phase.open_replicas();
        replicas
    }

    fn prepare_replica_loops(&self, identity: IdentityFile, me: NodeId, replicas: Replicas) -> ReplicaLoops {
        let parts = || (self.node.groups.clone(), self.map.clone(), self.router.clone());
        let (groups, map, router) = parts();
        let (life, dir) = (identity.identity.life.number, replicas.dir.clone());
        let announcement = StartAnnouncement { me: self.me.clone(), node: me, life, dir, router, map };
        let recovery = RecoveryConfirmation { me, groups, router: self.router.clone(), map: self.map.clone() };
        let (groups, map, router) = parts();
        let membership = MembershipLoop { me, groups, map, router };
        let (groups, map, router) = parts();
        let settings = DriverSettings {
            lost_after: self.settings.node_lost_after,
            join_within: self.settings.join_within,
            moves: self.settings.moves,
        };
        let driver = Driver { settings, groups, router: router.clone() };
        let node = self.node.clone();
        ReplicaLoops { node, identity, replicas, announcement, recovery, membership, driver, router, map }
    }
}

#[cfg(test)]
mod tests;
