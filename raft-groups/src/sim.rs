//! A whole cluster in one thread, on simulated disks, a simulated network and tokio's paused clock.
//!
//! Everything that happens follows from one seed, so a failure is replayed by its seed. Call it only on a
//! current-thread runtime with a paused clock, one cluster per thread.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::network::faults::Faults;
use crate::network::sim::SimNet;
use crate::storage::sim_disk::SimDisk;
use crate::{
    Disk, Group, GroupId, Host, Identity, Machine, NodeId, OpenError, RaftSettings, Role, StoppedNode, seed_this_thread,
};

/// Longest delay of a message one way, and of a sync.
const MESSAGE_DELAY: Duration = Duration::from_millis(10);
const SYNC_DELAY: Duration = Duration::from_millis(5);

/// Nodes that share one group.
pub struct SimCluster<M: Machine> {
    /// The network between the nodes.
    pub net: SimNet,
    seed: u64,
    settings: RaftSettings,
    /// Nodes up to this one are the group's first members.
    founders: u64,
    nodes: BTreeMap<NodeId, SimNode<M>>,
}

/// A node: its disks outlive its crashes.
pub struct SimNode<M: Machine> {
    /// The disk of logs and votes.
    pub log: SimDisk,
    /// The disk of the machine's state.
    pub state: SimDisk,
    running: Option<(Host, Group<M>)>,
    lives: u64,
}

impl<M: Machine> SimCluster<M> {
    /// The one group of the cluster.
    pub const GROUP: GroupId = GroupId(1);

    /// Starts `count` nodes, numbered from 1, whose network loses a share `loss` of all messages.
    ///
    /// # Errors
    /// Where a node cannot start, which empty disks give no reason for.
    pub async fn start(seed: u64, count: u64, settings: RaftSettings, loss: f64) -> Result<Self, OpenError> {
        Self::start_with_spares(seed, count, 0, settings, loss).await
    }

    /// [`SimCluster::start`], with `spares` further nodes that run but are no members yet.
    ///
    /// # Errors
    /// As for `start`.
    pub async fn start_with_spares(
        seed: u64,
        count: u64,
        spares: u64,
        settings: RaftSettings,
        loss: f64,
    ) -> Result<Self, OpenError> {
        seed_this_thread(seed);
        let net = SimNet::new(seed, MESSAGE_DELAY, loss);
        let node = |id| {
            let disk = |salt| SimDisk::new(seed.wrapping_mul(31).wrapping_add(id * 2 + salt));
            (id, SimNode { log: disk(0), state: disk(1), running: None, lives: 0 })
        };
        let mut cluster =
            Self { founders: count, net, seed, settings, nodes: (1..=count + spares).map(node).collect() };
        for id in cluster.ids() {
            cluster.restart(id).await?;
        }
        let first = cluster.group(1).expect("was just started");
        if let Err(error) = first.initialize((1..=count).collect()).await {
            return Err(OpenError::Settings(error.to_string()));
        }
        Ok(cluster)
    }

    /// Closes and erases a node's replica, which must be no member any more, and opens a new one in its place.
    ///
    /// # Errors
    /// Where its disk fails.
    pub async fn replace_replica(&mut self, id: NodeId) -> Result<(), OpenError> {
        let node = self.nodes.get_mut(&id).expect("a node of this cluster");
        let Some((host, _)) = node.running.take() else { return Ok(()) };
        host.close_group(Self::GROUP).await;
        host.erase_group(Self::GROUP).await?;
        let group = host.open_newcomer(Self::GROUP, M::Setup::default()).await?;
        node.running = Some((host, group));
        Ok(())
    }

    /// All nodes, running or not.
    pub fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    /// A node's disks.
    pub fn node(&self, id: NodeId) -> &SimNode<M> {
        &self.nodes[&id]
    }

    /// A running node's replica.
    pub fn group(&self, id: NodeId) -> Option<Group<M>> {
        self.nodes[&id].running.as_ref().map(|(_, group)| group.clone())
    }

    /// The replicas of all running nodes.
    pub fn groups(&self) -> impl Iterator<Item = (NodeId, &Group<M>)> {
        self.nodes.iter().filter_map(|(id, node)| node.running.as_ref().map(|(_, group)| (*id, group)))
    }

    /// The running node that leads the newest term, if any says it does.
    pub fn leader(&self) -> Option<NodeId> {
        let leaders = self.groups().map(|(id, group)| (group.status(), id));
        leaders
            .filter(|(status, _)| status.role == Role::Leader)
            .max_by_key(|(status, _)| status.term)
            .map(|(_, id)| id)
    }

    /// Cuts a node's power: what its disks had not synced is lost as the seed decides.
    pub async fn crash(&mut self, id: NodeId) {
        let node = self.nodes.get_mut(&id).expect("a node of this cluster");
        let Some((host, _)) = node.running.take() else { return };
        self.net.leave(id);
        node.log.crash();
        node.state.crash();
        host.stop().await;
    }

    /// The stores of a crashed node.
    ///
    /// # Errors
    /// Where what they hold is damaged.
    pub async fn stopped(&self, id: NodeId) -> Result<StoppedNode, OpenError> {
        let node = &self.nodes[&id];
        StoppedNode::open(identity(id), Disk::simulated(&node.log, &node.state, self.seed, SYNC_DELAY)).await
    }

    /// Starts a stopped node on its disks.
    ///
    /// # Errors
    /// Where what its disks hold is damaged.
    pub async fn restart(&mut self, id: NodeId) -> Result<(), OpenError> {
        let node = self.nodes.get_mut(&id).expect("a node of this cluster");
        let seed = self.seed.wrapping_add(id << 32).wrapping_add(node.lives);
        let is_new = node.lives == 0;
        node.lives += 1;
        let disk = Disk::simulated(&node.log, &node.state, seed, SYNC_DELAY);
        let (settings, transport) = (self.settings.clone(), self.net.transport(id));
        let host = Host::open(identity(id), settings, disk, transport, Faults::default(), is_new).await?;
        let group = match id <= self.founders {
            true => host.open_group(Self::GROUP, M::Setup::default()).await?,
            false => host.open_newcomer(Self::GROUP, M::Setup::default()).await?,
        };
        self.net.join(host.clone());
        node.running = Some((host, group));
        Ok(())
    }
}

fn identity(node: NodeId) -> Identity {
    Identity { cluster: [1; 16], node, incarnation: [node as u8; 16] }
}
