//! A cluster in memory, without consensus: for the tests of this room and of those above it.
//!
//! Each group has one order of commands, and each node a replica that carries them out for itself. A test says who leads,
//! who is down, and which answers are lost. A [`Router`] calls the nodes through one fake
//! [`NodeClient`](crate::routing::rpc::NodeClient), which sends the bytes that nodes exchange.

mod group;
mod node;
mod node_client;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use raft_groups::{GroupId, NodeId};

use self::group::FakeGroup;
use self::node_client::FakeNodeClient;
use crate::engine::{CollectionId, Engine};
use crate::placement::tests::map_of;
use crate::placement::{ClusterMap, META, MetaCommand, MetaMachine};
use crate::routing::rpc::message::{Call, CallError};
use crate::routing::{MapCell, NodeReport, Router};

pub(crate) use self::group::status;

/// What happens to the next calls a node gets, beside what its state makes of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// It carries the calls out, and the answer is lost.
    AnswerLost,
    /// Every call is answered so.
    Answers(CallError),
}

pub(crate) struct State {
    meta: FakeGroup<MetaMachine>,
    shards: BTreeMap<GroupId, FakeGroup<Engine>>,
    /// Nodes that answer nothing, for good.
    pub down: BTreeSet<NodeId>,
    pub faults: BTreeMap<NodeId, VecDeque<Fault>>,
    /// Staleness of each node's follower reads.
    pub staleness: BTreeMap<NodeId, Duration>,
    /// Voters that do not apply in time.
    pub lagging: BTreeSet<NodeId>,
    /// How many requests each node got.
    pub requests: BTreeMap<NodeId, u64>,
    /// The last call to a shard.
    pub last_call: Option<Call>,
    /// Whether a leader refuses writes of who does not know its group's time, as a real one does.
    pub asks_for_dates: bool,
    /// The next write of points is carried out, and its answer lost.
    loses_answer: bool,
    /// The next calls that write to shards are kept, to come once more.
    keeps_copy: bool,
    copies: Vec<Call>,
    /// The first thing that must not be.
    wrong: Option<String>,
}

/// The cluster; clones share it.
#[derive(Clone)]
pub(crate) struct FakeCluster(pub Arc<Mutex<State>>);

impl FakeCluster {
    /// So many nodes that all have a replica of each of so many shards.
    pub(crate) fn new(nodes: u64, shards: u32) -> Self {
        Self::of_map(map_of(nodes, shards, nodes as usize))
    }

    /// The nodes of a map that nobody has changed yet. Each of them has a replica of every group.
    pub(crate) fn of_map(map: ClusterMap) -> Self {
        let nodes: BTreeSet<NodeId> = map.nodes.keys().copied().collect();
        let shards = map.shards.iter();
        let shards = shards.map(|(shard, entry)| (shard.group(), FakeGroup::new(&nodes, entry.preferred)));
        let (shards, mut meta) = (shards.collect(), FakeGroup::new(&nodes, 1));
        meta.write(1, &MetaCommand::Form { map }.encode(), None).unwrap();
        Self(Arc::new(Mutex::new(State {
            meta,
            shards,
            down: BTreeSet::new(),
            faults: BTreeMap::new(),
            staleness: BTreeMap::new(),
            lagging: BTreeSet::new(),
            requests: BTreeMap::new(),
            last_call: None,
            asks_for_dates: false,
            loses_answer: false,
            keeps_copy: false,
            copies: Vec::new(),
            wrong: None,
        })))
    }

    /// A router with the map as it is now, in node `me` or in a gateway.
    pub(crate) fn router(&self, me: Option<NodeId>) -> Router {
        self.router_over(me, self.map())
    }

    /// A router with a map of its own.
    pub(crate) fn router_over(&self, me: Option<NodeId>, newest: Arc<ClusterMap>) -> Router {
        let map = MapCell::default();
        map.offer(newest);
        Router::new(Arc::new(FakeNodeClient { cluster: self.clone(), me }), map)
    }

    pub(crate) fn map(&self) -> Arc<ClusterMap> {
        self.0.lock().meta.machine().map()
    }

    /// What `node` says of itself.
    pub(crate) fn report(&self, node: NodeId) -> NodeReport {
        self.0.lock().report(node)
    }

    pub(crate) fn lead(&self, group: GroupId, leader: Option<NodeId>) {
        let mut state = self.0.lock();
        match group {
            META => state.meta.leader = leader,
            shard => state.shards.get_mut(&shard).unwrap().leader = leader,
        }
    }

    /// Every shard has this leader from now on.
    pub(crate) fn lead_all(&self, leader: Option<NodeId>) {
        self.0.lock().shards.values_mut().for_each(|shard| shard.leader = leader);
    }

    pub(crate) fn fault(&self, node: NodeId, fault: Fault) {
        self.0.lock().faults.entry(node).or_default().push_back(fault);
    }

    /// The log index of a shard's group: how many commands it has seen.
    pub(crate) fn index(&self, group: GroupId) -> u64 {
        self.0.lock().shards[&group].index
    }

    /// Changes the map as if a process beside had asked for it.
    pub(crate) fn change_map(&self, command: &MetaCommand) {
        let mut state = self.0.lock();
        let leader = state.meta.leader.unwrap();
        state.meta.write(leader, &command.encode(), None).unwrap();
    }

    /// Lets time pass in every group.
    pub(crate) fn pass(&self, time: Duration) {
        let mut state = self.0.lock();
        let passed = time.as_millis() as u64;
        state.meta.time_ms += passed;
        state.shards.values_mut().for_each(|shard| shard.time_ms += passed);
    }

    pub(crate) fn points(&self) -> u64 {
        self.0.lock().shards.values().map(|shard| shard.machine().points()).sum()
    }

    /// The version of the payload schema of a collection in each shard; `None` where a shard does not know it.
    pub(crate) fn schema_versions(&self, collection: CollectionId) -> Vec<Option<u64>> {
        let version = |shard: &FakeGroup<Engine>| {
            let known = shard.machine().collections().into_iter().find(|stats| stats.collection == collection);
            known.map(|stats| stats.schema_version)
        };
        self.0.lock().shards.values().map(version).collect()
    }

    pub(crate) fn requests(&self) -> u64 {
        self.0.lock().requests.values().sum()
    }

    /// The first thing that must not be, if anything was.
    pub(crate) fn wrong(&self) -> Option<String> {
        self.0.lock().wrong.clone()
    }

    /// The answer to the next write of points is lost, after the write.
    pub(crate) fn lose_answer(&self) {
        self.0.lock().loses_answer = true;
    }

    /// The network keeps a copy of the next request that writes to shards.
    pub(crate) fn keep_copies(&self) {
        self.0.lock().keeps_copy = true;
    }

    /// The copies that were kept come, each to whoever leads.
    pub(crate) fn deliver_copies(&self) {
        let mut state = self.0.lock();
        for call in std::mem::take(&mut state.copies) {
            let leader = call.group().and_then(|group| state.shards.get(&group)?.leader);
            // Whoever waited for an answer has gone.
            let _ = leader.map(|leader| state.one(leader, call));
        }
    }

    /// Looks for collections in shards that the map does not know.
    pub(crate) fn find_zombies(&self) {
        let mut state = self.0.lock();
        let map = state.meta.machine().map();
        let known: Vec<_> = map.collections.values().map(|entry| entry.id).collect();
        let held = state.shards.values().flat_map(|shard| shard.machine().collections());
        let zombie = held.map(|held| held.collection).find(|id| !known.contains(id));
        let wrong = |id| Err(format!("a shard holds collection {id:?}, which the map does not know"));
        state.note(zombie.map_or(Ok(()), wrong));
    }

    /// Opens all replicas of `to` anew from what those of `from` have stored: a restart, where both are the same node, or
    /// a snapshot.
    pub(crate) fn open_from(&self, to: NodeId, from: NodeId) {
        let mut state = self.0.lock();
        let results: Vec<_> = state.shards.values_mut().map(|shard| shard.open_from(to, from)).collect();
        let meta = state.meta.open_from(to, from);
        state.note(results.into_iter().chain([meta]).collect());
    }

    /// Holds what the replicas have stored against each other.
    pub(crate) fn compare_stored(&self) {
        let mut state = self.0.lock();
        let results: Result<Vec<()>, String> = state.shards.values_mut().map(FakeGroup::stored_alike).collect();
        state.note(results.map(drop));
    }
}
