//! Whole nodes in one thread: stores on simulated disks, peers on a simulated network, and all code that places
//! replicas as in production. Only HTTP is left out: calls and maps pass directly between the nodes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use raft_groups::network::faults::Faults;
use raft_groups::sim::{LinkConditions, SimDisk, SimNet};
use raft_groups::{Disk, GroupStatus, Host, Identity, NodeId, RaftSettings, Role, seed_this_thread};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use crate::node::control::driver::{Driver, DriverSettings};
use crate::node::control::map_feed;
use crate::node::control::membership::MembershipLoop;
use crate::node::control::replicas::{self, Replicas};
use crate::placement::tests::{map_of, nodes};
use crate::placement::{ClusterMap, NodeEntry, ShardId};
use crate::routing::rpc::{Call, NodeClient, RpcError, RpcResult};
use crate::routing::{LocalGroups, MapCell, NodeMeasures, Pool, Router, Service};

/// How long a call between nodes takes one way, and the longest that a Raft message and a sync take.
const CALL_DELAY: Duration = Duration::from_millis(3);
const MESSAGE_DELAY: Duration = Duration::from_millis(8);
const SYNC_DELAY: Duration = Duration::from_millis(4);

/// Pause between two looks at the other nodes' maps.
const MAP_EVERY: Duration = Duration::from_millis(300);

type Services = Arc<Mutex<BTreeMap<NodeId, Arc<Service>>>>;

/// Passes calls to the services of the nodes that run.
struct SimNodeClient {
    me: NodeId,
    services: Services,
}

#[async_trait]
impl NodeClient for SimNodeClient {
    async fn call(&self, _: [u8; 16], to: NodeId, calls: Vec<Call>, deadline: Instant) -> RpcResult {
        sleep(CALL_DELAY).await;
        let service = self.services.lock().get(&to).cloned();
        let Some(service) = service else { return Err(RpcError::NotSent { reason: "it is down".to_owned() }) };
        let lost = || RpcError::Lost { reason: "no answer".to_owned() };
        // The call is spawned: what has arrived is carried out even if its caller gives up.
        let (at_work, until) = (service.clone(), deadline);
        let answers = tokio::spawn(async move { at_work.execute(calls, until).await });
        let answers = timeout_at(deadline, answers).await.map_err(|_| lost())?.map_err(|_| lost())?;
        sleep(CALL_DELAY).await;
        let lives = self.services.lock().get(&to).is_some_and(|now| Arc::ptr_eq(now, &service));
        if lives { Ok(answers) } else { Err(lost()) }
    }

    fn looks_alive(&self, node: NodeId) -> bool {
        self.services.lock().contains_key(&node)
    }

    fn me(&self) -> Option<NodeId> {
        Some(self.me)
    }
}

struct NoStats;

impl NodeMeasures for NoStats {
    fn load(&self) -> f32 {
        0.0
    }

    fn disk_bytes(&self) -> u64 {
        0
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }

    fn round_trips(&self) -> BTreeMap<NodeId, Duration> {
        BTreeMap::new()
    }
}

/// A node: its disks outlive its crashes.
struct SimulatedNode {
    log: SimDisk,
    state: SimDisk,
    lives: u64,
    running: Option<RunningNode>,
}

/// One life of a node.
struct RunningNode {
    host: Host,
    groups: Arc<LocalGroups>,
    map: MapCell,
    router: Router,
    tasks: Vec<JoinHandle<()>>,
}

/// A cluster of simulated nodes.
pub struct SimulatedNodes {
    net: SimNet,
    services: Services,
    nodes: BTreeMap<NodeId, SimulatedNode>,
    seed: u64,
    first: ClusterMap,
    /// Where nodes look for saved graphs; there are none.
    dir: PathBuf,
    pool: Pool,
}

impl SimulatedNodes {
    /// Starts three nodes that form a cluster of `shards` shards, each on all nodes. Returns when the map is formed.
    pub async fn start(seed: u64, shards: u32) -> Self {
        seed_this_thread(seed);
        let mut world = Self {
            net: SimNet::new(seed, LinkConditions { delay: MESSAGE_DELAY, loss: 0.0, repeats: 0.0 }),
            services: Services::default(),
            nodes: BTreeMap::new(),
            seed,
            first: map_of(3, shards, 3),
            dir: std::env::temp_dir().join("quiver-no-graphs"),
            pool: Pool::new().expect("threads"),
        };
        for node in 1..=3 {
            world.start_node(node).await;
        }
        while !world.map().is_formed() {
            sleep(Duration::from_millis(10)).await;
        }
        world
    }

    /// The introduction of the node of this number.
    pub fn entry(number: NodeId) -> NodeEntry {
        let mut entry = nodes(number).remove(&number).expect("there are so many");
        entry.incarnation = [number as u8; 16];
        entry
    }

    /// Starts a node, new or on the disks that it had. A new node that is no founder knows the cluster as it is now.
    pub async fn start_node(&mut self, id: NodeId) {
        let (seed, founder) = (self.seed.wrapping_mul(31).wrapping_add(id * 2), id <= 3);
        let first = if founder { self.first.clone() } else { ClusterMap::clone(&self.map()) };
        let fresh =
            || SimulatedNode { log: SimDisk::new(seed), state: SimDisk::new(seed + 1), lives: 0, running: None };
        let node = self.nodes.entry(id).or_insert_with(fresh);
        let disk = Disk::simulated(&node.log, &node.state, seed + (node.lives << 16), SYNC_DELAY);
        let is_new = node.lives == 0;
        node.lives += 1;
        let life = raft_groups::Life { number: node.lives, start: [id as u8; 16] };
        let identity = Identity { cluster: first.cluster, node: id, incarnation: [id as u8; 16], life };
        let (settings, transport) = (settings(), self.net.transport(id));
        let host = Host::open(identity, settings, disk, transport, Faults::default(), is_new).await;
        let host = host.expect("a crash damages nothing");
        self.net.join(host.clone());
        let life = self.run_node(id, host, first);
        self.nodes.get_mut(&id).expect("it was just made").running = Some(life);
    }

    /// Starts what `node::process::startup` starts, without its ports.
    fn run_node(&self, id: NodeId, host: Host, first: ClusterMap) -> RunningNode {
        let (groups, map) = (Arc::new(LocalGroups::default()), MapCell::default());
        map.offer(Arc::new(first.clone()));
        let client = SimNodeClient { me: id, services: self.services.clone() };
        let router = Router::new(Arc::new(client), map.clone());
        let (pool, measures) = (self.pool.clone(), Arc::new(NoStats));
        self.services.lock().insert(id, Arc::new(Service { node: id, groups: groups.clone(), pool, measures }));
        let replicas = Replicas {
            host: host.clone(),
            dir: self.dir.clone(),
            groups: groups.clone(),
            map: map.clone(),
            router: router.clone(),
            replaced: Arc::default(),
        };
        let lost_after = Duration::from_secs(600);
        let driver = DriverSettings { lost_after, join_within: lost_after, moves: 2 };
        let mut tasks = vec![
            tokio::spawn(
                MembershipLoop { me: id, groups: groups.clone(), map: map.clone(), router: router.clone() }
                    .move_groups(),
            ),
            tokio::spawn(
                Driver { settings: driver, groups: groups.clone(), router: router.clone() }.decide_while_leading(),
            ),
            tokio::spawn(look_at_map(self.services.clone(), map.clone())),
        ];
        let cell = map.clone();
        tasks.push(tokio::spawn(async move {
            if let Some(meta) = replicas.open_first_meta(&first).await
                && !first.is_formed()
            {
                tokio::spawn(replicas::write_first_map(meta, first, cell.clone()));
            }
            let map = map_feed::wait_until_formed(&cell).await;
            replicas.open_all(&map).await;
            replicas.keep_as_mapped().await;
        }));
        RunningNode { host, groups, map, router, tasks }
    }

    /// Cuts a node's power. What its disks have not synced is lost as the seed decides.
    pub async fn crash(&mut self, id: NodeId) {
        let node = self.nodes.get_mut(&id).expect("a node of this world");
        let Some(life) = node.running.take() else { return };
        self.services.lock().remove(&id);
        self.net.leave(id);
        life.tasks.iter().for_each(JoinHandle::abort);
        node.log.crash();
        node.state.crash();
        life.host.stop().await;
    }

    fn running(&self) -> impl Iterator<Item = (NodeId, &RunningNode)> {
        self.nodes.iter().filter_map(|(id, node)| Some((*id, node.running.as_ref()?)))
    }

    /// The newest map that any node has.
    pub fn map(&self) -> Arc<ClusterMap> {
        self.running().map(|(_, life)| life.map.get()).max_by_key(|map| map.epoch).unwrap_or_default()
    }

    /// The router of each node that runs.
    pub fn routers(&self) -> Vec<Router> {
        self.running().map(|(_, life)| life.router.clone()).collect()
    }

    /// Every open replica's status, by node. `None` stands for the map's own group.
    pub fn statuses(&self) -> Vec<(NodeId, Option<ShardId>, GroupStatus)> {
        let of = |(id, life): (NodeId, &RunningNode)| {
            let meta = life.groups.meta().map(|meta| (id, None, meta.status()));
            let shards = life.groups.shards().into_iter().map(move |(shard, group)| (id, Some(shard), group.status()));
            meta.into_iter().chain(shards).collect::<Vec<_>>()
        };
        self.running().flat_map(of).collect()
    }

    /// The node that leads a group: of the replicas that call themselves leader, the one with the highest term.
    pub fn leader(&self, shard: Option<ShardId>) -> Option<NodeId> {
        let leaders = self.statuses().into_iter().filter(|(_, of, status)| *of == shard && status.role == Role::Leader);
        leaders.max_by_key(|(_, _, status)| status.term).map(|(id, ..)| id)
    }

    /// The replicas of a shard.
    pub fn groups(&self, shard: ShardId) -> BTreeMap<NodeId, raft_groups::Group<crate::engine::Engine>> {
        self.running().filter_map(|(id, life)| Some((id, life.groups.shard(shard)?))).collect()
    }
}

/// Takes snapshots now and then and keeps no entries behind them, so that a new replica gets a copy of the state.
fn settings() -> RaftSettings {
    RaftSettings {
        heartbeat: Duration::from_millis(50),
        election_min: Duration::from_millis(200),
        election_max: Duration::from_millis(400),
        snapshot_after: 20,
        keep_entries: 0,
        ..RaftSettings::default()
    }
}

/// Gives a node newer maps from any node that has one, as the HTTP poll does in production.
async fn look_at_map(services: Services, cell: MapCell) {
    loop {
        let running: Vec<Arc<Service>> = services.lock().values().cloned().collect();
        for service in running {
            if let Some(meta) = service.groups.meta() {
                cell.offer(meta.machine().map());
            }
        }
        sleep(MAP_EVERY).await;
    }
}
