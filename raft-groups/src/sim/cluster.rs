//! A whole cluster in one thread, on simulated disks, a simulated network and tokio's paused clock.
//!
//! Everything that happens follows from one seed, so a seed replays a failure. After every message [`Invariants`]
//! are checked on all replicas. Call it only on a current-thread runtime with a paused clock, one cluster per
//! thread.
//!
//! A node's clock may run at another rate than true time ([`SimPlan::clock_rates`]). A process uses only differences
//! of its clock, and compares them with its settings. So a node on a clock of rate `r` behaves as a node on a true
//! clock whose durations are divided by `r`, and that is how it is simulated. Deadlines of single calls are not
//! scaled: they bound a wait, and no promise rests on them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::disk::{DiskCopy, SimDisk};
use super::invariants::{Invariants, Sightings};
use super::network::{LinkConditions, SimNet};
use crate::network::faults::Faults;
use crate::{
    Disk, Group, GroupId, Host, Identity, Machine, NodeId, OpenError, RaftSettings, Role, StoppedNode, seed_this_thread,
};

/// Longest delay of a message one way, and of a sync, without any fault.
const MESSAGE_DELAY: Duration = Duration::from_millis(10);
const SYNC_DELAY: Duration = Duration::from_millis(5);

/// The setup of a simulated cluster.
#[derive(Debug, Clone)]
pub struct SimPlan {
    /// The seed from which all random choices follow.
    pub seed: u64,
    /// Nodes that are the group's first members, numbered from 1.
    pub founders: u64,
    /// Further nodes, which run but are not members yet.
    pub spares: u64,
    /// The settings of all nodes that have none of their own.
    pub settings: RaftSettings,
    /// Settings of single nodes, from their next start on.
    pub own_settings: BTreeMap<NodeId, RaftSettings>,
    /// What the network does to messages without any fault.
    pub conditions: LinkConditions,
    /// The rates of the nodes' clocks, for those that do not run at true time (1).
    pub clock_rates: BTreeMap<NodeId, f64>,
    /// `true` if the founders hold a second group beside the first, on the same disks. Its members never change.
    pub second_group: bool,
}

impl SimPlan {
    /// Returns a plan of `founders` nodes on true clocks, with a network that only delays.
    pub fn new(seed: u64, founders: u64, settings: RaftSettings) -> Self {
        let conditions = LinkConditions { delay: MESSAGE_DELAY, loss: 0.0, repeats: 0.0 };
        Self {
            seed,
            founders,
            spares: 0,
            settings,
            own_settings: BTreeMap::new(),
            conditions,
            clock_rates: BTreeMap::new(),
            second_group: false,
        }
    }
}

/// A cluster of nodes that share one group.
pub struct SimCluster<M: Machine> {
    /// The network between the nodes.
    pub net: SimNet,
    plan: SimPlan,
    nodes: BTreeMap<NodeId, SimNode<M>>,
    watched: Arc<Mutex<WatchedReplicas<M>>>,
}

/// A node. Its disks outlive its crashes.
pub struct SimNode<M: Machine> {
    /// The disk of logs and votes.
    pub log: SimDisk,
    /// The disk of the machine's state.
    pub state: SimDisk,
    running: Option<RunningNode<M>>,
    /// How often it was started.
    starts: u64,
    /// The number of starts in its directory, which may be an older copy.
    life: u64,
}

/// What runs on a node.
struct RunningNode<M: Machine> {
    host: Host,
    group: Group<M>,
    second: Option<Group<M>>,
}

/// An older copy of all that a node's directory holds.
#[derive(Debug, Clone)]
pub struct NodeCopy {
    log: DiskCopy,
    state: DiskCopy,
    life: u64,
}

/// What is checked after every message.
struct WatchedReplicas<M: Machine> {
    groups: BTreeMap<(GroupId, NodeId), Group<M>>,
    invariants: BTreeMap<GroupId, Invariants>,
}

impl<M: Machine> WatchedReplicas<M> {
    fn check_all(&mut self) {
        for ((of, node), group) in &self.groups {
            self.invariants.entry(*of).or_default().check_replica(*node, group);
        }
    }

    fn add(&mut self, node: NodeId, running: &RunningNode<M>) {
        self.groups.insert((SimCluster::<M>::GROUP, node), running.group.clone());
        if let Some(second) = &running.second {
            self.groups.insert((SimCluster::<M>::SECOND, node), second.clone());
        }
    }

    fn crashed(&mut self, node: NodeId) {
        self.check_all();
        self.groups.retain(|(_, of), _| *of != node);
        self.invariants.values_mut().for_each(|invariants| invariants.crashed(node));
    }
}

impl<M: Machine> SimCluster<M> {
    /// The group of the cluster.
    pub const GROUP: GroupId = GroupId(1);
    /// The second group, if the plan has one. Its keys come right after those of the first.
    pub const SECOND: GroupId = GroupId(2);

    /// Starts the nodes of `plan`, and writes the first membership of their group.
    ///
    /// # Errors
    /// An error if a node cannot start. On empty disks that is a bug.
    pub async fn start(plan: SimPlan) -> Result<Self, OpenError> {
        seed_this_thread(plan.seed);
        let net = SimNet::new(plan.seed, plan.conditions);
        let node = |id| {
            let disk = |salt| SimDisk::new(plan.seed.wrapping_mul(31).wrapping_add(id * 2 + salt));
            (id, SimNode { log: disk(0), state: disk(1), running: None, starts: 0, life: 0 })
        };
        let nodes: BTreeMap<_, _> = (1..=plan.founders + plan.spares).map(node).collect();
        // The invariants are checked after every message, before the next one is delivered.
        let watched = Arc::new(Mutex::new(WatchedReplicas { groups: BTreeMap::new(), invariants: BTreeMap::new() }));
        let looks_on = watched.clone();
        net.observe(move || looks_on.lock().check_all());
        let mut cluster = Self { net, plan, nodes, watched };
        for id in cluster.ids() {
            cluster.restart(id).await?;
        }
        for first in [cluster.group(1), cluster.second(1)].into_iter().flatten() {
            if let Err(error) = first.initialize((1..=cluster.plan.founders).collect()).await {
                return Err(OpenError::Settings(error.to_string()));
            }
        }
        Ok(cluster)
    }

    /// Closes and erases a node's replica, which must not be a member any more, and opens a new one in its place.
    ///
    /// # Errors
    /// An error if its disk fails.
    pub async fn replace_replica(&mut self, id: NodeId) -> Result<(), OpenError> {
        let node = self.nodes.get_mut(&id).expect("a node of this cluster");
        let Some(running) = &mut node.running else { return Ok(()) };
        self.watched.lock().groups.remove(&(Self::GROUP, id));
        running.host.close_group(Self::GROUP).await;
        running.host.erase_group(Self::GROUP).await?;
        running.group = running.host.open_newcomer(Self::GROUP, M::Setup::default()).await?;
        let mut watched = self.watched.lock();
        watched.invariants.entry(Self::GROUP).or_default().erased(id);
        watched.add(id, running);
        Ok(())
    }

    /// Returns all nodes, running or not.
    pub fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    /// Returns a node, with its disks.
    pub fn node(&self, id: NodeId) -> &SimNode<M> {
        &self.nodes[&id]
    }

    /// Returns the host of a running node.
    pub fn host(&self, id: NodeId) -> Option<Host> {
        self.nodes[&id].running.as_ref().map(|running| running.host.clone())
    }

    /// Returns a running node's replica.
    pub fn group(&self, id: NodeId) -> Option<Group<M>> {
        self.nodes[&id].running.as_ref().map(|running| running.group.clone())
    }

    /// Returns a running node's replica of the second group, if it holds one.
    pub fn second(&self, id: NodeId) -> Option<Group<M>> {
        self.nodes[&id].running.as_ref()?.second.clone()
    }

    /// Returns the replicas of all running nodes.
    pub fn groups(&self) -> impl Iterator<Item = (NodeId, &Group<M>)> {
        self.nodes.iter().filter_map(|(id, node)| node.running.as_ref().map(|running| (*id, &running.group)))
    }

    /// Returns the running node that leads in the newest term, if any says that it leads.
    pub fn leader(&self) -> Option<NodeId> {
        let leaders = self.groups().map(|(id, group)| (group.status(), id));
        leaders
            .filter(|(status, _)| status.role == Role::Leader)
            .max_by_key(|(status, _)| status.term)
            .map(|(_, id)| id)
    }

    /// Returns the first invariant that was seen broken.
    pub fn violation(&self) -> Option<String> {
        let watched = self.watched.lock();
        let mut broken =
            watched.invariants.iter().filter_map(|(of, seen)| Some(format!("{of}: {}", seen.violation()?)));
        broken.next()
    }

    /// Returns what the invariants have seen happen in the first group.
    pub fn sightings(&self) -> Sightings {
        self.watched.lock().invariants.get(&Self::GROUP).map(Invariants::sightings).unwrap_or_default()
    }

    /// Cuts a node's power. Of what its disks had not synced, the seed decides what is lost.
    pub async fn crash(&mut self, id: NodeId) {
        let node = self.nodes.get_mut(&id).expect("a node of this cluster");
        let Some(running) = node.running.take() else { return };
        self.watched.lock().crashed(id);
        self.net.leave(id);
        // The disks lose power first: nothing that the host does while it stops reaches them.
        node.log.crash();
        node.state.crash();
        running.host.stop().await;
    }

    /// Opens the stores of a crashed node.
    ///
    /// # Errors
    /// An error if what they hold is damaged.
    pub async fn stopped(&self, id: NodeId) -> Result<StoppedNode, OpenError> {
        let node = &self.nodes[&id];
        StoppedNode::open(
            identity(id, node.life, node.starts),
            Disk::simulated(&node.log, &node.state, self.plan.seed, SYNC_DELAY),
        )
        .await
    }

    /// Gives a node its own settings, from its next start on.
    pub fn set_settings(&mut self, id: NodeId, settings: RaftSettings) {
        self.plan.own_settings.insert(id, settings);
    }

    /// Starts a stopped node on its disks.
    ///
    /// # Errors
    /// An error if what its disks hold is damaged.
    pub async fn restart(&mut self, id: NodeId) -> Result<(), OpenError> {
        self.start_node(id).await?;
        self.watched.lock().add(id, self.nodes[&id].running.as_ref().expect("was just started"));
        Ok(())
    }

    /// Copies what a stopped node's directory holds.
    pub fn copy(&self, id: NodeId) -> NodeCopy {
        let node = &self.nodes[&id];
        NodeCopy { log: node.log.copy(), state: node.state.copy(), life: node.life }
    }

    /// Starts a stopped node on an older copy of its directory. The invariants do not watch it, because it has
    /// forgotten promises.
    ///
    /// # Errors
    /// An error if what the copy holds is damaged.
    pub async fn restart_from(&mut self, id: NodeId, copy: &NodeCopy) -> Result<(), OpenError> {
        let node = self.nodes.get_mut(&id).expect("a node of this cluster");
        node.log.restore(&copy.log);
        node.state.restore(&copy.state);
        node.life = copy.life;
        self.start_node(id).await
    }

    /// Returns `true` if a running node learns within `patience` that others have seen a later life of it.
    pub async fn is_overtaken(&self, id: NodeId, patience: Duration) -> bool {
        match &self.nodes[&id].running {
            Some(running) => tokio::time::timeout(patience, running.host.overtaken()).await.is_ok(),
            None => false,
        }
    }

    async fn start_node(&mut self, id: NodeId) -> Result<(), OpenError> {
        let node = self.nodes.get_mut(&id).expect("a node of this cluster");
        let seed = self.plan.seed.wrapping_add(id << 32).wrapping_add(node.starts);
        let is_new = node.starts == 0;
        node.starts += 1;
        node.life += 1;
        // Each start of a node draws other delays, as the seed decides.
        let disk = Disk::simulated(&node.log, &node.state, seed, SYNC_DELAY);
        let rate = self.plan.clock_rates.get(&id).copied().unwrap_or(1.0);
        let settings = self.plan.own_settings.get(&id).unwrap_or(&self.plan.settings);
        let (settings, transport) = (on_clock(settings, rate), self.net.transport(id));
        let who = identity(id, node.life, node.starts);
        let host = Host::open(who, settings, disk, transport, Faults::default(), is_new).await?;
        let group = match id <= self.plan.founders {
            true => host.open_group(Self::GROUP, M::Setup::default()).await?,
            false => host.open_newcomer(Self::GROUP, M::Setup::default()).await?,
        };
        let second = match self.plan.second_group && id <= self.plan.founders {
            true => Some(host.open_group(Self::SECOND, M::Setup::default()).await?),
            false => None,
        };
        self.net.join(host.clone());
        node.running = Some(RunningNode { host, group, second });
        Ok(())
    }
}

impl<M: Machine> Drop for SimCluster<M> {
    fn drop(&mut self) {
        self.net.disband();
    }
}

/// Returns `settings` in true time, for a node whose clock runs at `rate` of true time.
fn on_clock(settings: &RaftSettings, rate: f64) -> RaftSettings {
    let kept = |duration: Duration| duration.div_f64(rate);
    RaftSettings {
        heartbeat: kept(settings.heartbeat),
        election_min: kept(settings.election_min),
        election_max: kept(settings.election_max),
        clock_rate: rate,
        ..settings.clone()
    }
}

/// Returns who a node is: `number` is the life that its directory counts, `start` its start in the simulation.
fn identity(node: NodeId, number: u64, start: u64) -> Identity {
    let life = crate::Life { number, start: [start as u8; 16] };
    Identity { cluster: [1; 16], node, incarnation: [node as u8; 16], life }
}
