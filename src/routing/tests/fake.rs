//! A cluster without consensus: one true state per group, and a leader and an order of faults that the test sets.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use raft_groups::{Changes, GroupId, Machine, MemoryState, NodeId, Position, ReadMode, ReadPoint, Role};
use tokio::time::Instant;

use crate::engine::{CollectionId, Engine, Entry, Lifetime};
use crate::placement::tests::map_of;
use crate::placement::{ClusterMap, META, MetaCommand, MetaMachine};
use crate::routing::group_time::may_be_proposed;
use crate::routing::rpc::message::{Call, CallAnswer, CallError, NodeClient, QueryAnswer, RpcError, RpcResult};
use crate::routing::serve::query::tests::part;
use crate::routing::serve::query::{parts, whole};
use crate::routing::{MapCell, Router};

/// What happens to the next calls a node gets, beside what its state makes of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// It carries the calls out, and the answer is lost.
    AnswerLost,
    /// Every call is answered so.
    Answers(CallError),
}

struct Group<M> {
    machine: M,
    index: u64,
    leader: Option<NodeId>,
    time_ms: u64,
}

pub struct State {
    meta: Group<MetaMachine>,
    shards: BTreeMap<GroupId, Group<Engine>>,
    /// Nodes that answer nothing, for good.
    pub down: BTreeSet<NodeId>,
    pub faults: BTreeMap<NodeId, VecDeque<Fault>>,
    /// Staleness of each node's follower reads.
    pub staleness: BTreeMap<NodeId, Duration>,
    /// Voters that do not apply in time.
    pub lagging: BTreeSet<NodeId>,
    /// How many requests each node got.
    pub requests: BTreeMap<NodeId, u64>,
    /// Whether a leader refuses writes of who does not know its group's time, as a real one does.
    pub asks_for_dates: bool,
}

#[derive(Clone)]
pub struct FakeCluster(pub Arc<Mutex<State>>);

impl<M: Machine> Group<M> {
    fn new(leader: NodeId) -> Self {
        let machine = M::open(&M::Setup::default(), &MemoryState::default()).unwrap();
        Self { machine, index: 0, leader: Some(leader), time_ms: 1 }
    }

    fn write(
        &mut self,
        me: NodeId,
        command: &[u8],
        lifetime: Option<Lifetime>,
        lagging: BTreeSet<NodeId>,
    ) -> Result<CallAnswer, CallError> {
        if self.leader != Some(me) {
            return Err(CallError::NotLeader { leader: self.leader });
        }
        let time_ms = self.time_ms;
        if lifetime.is_some_and(|lifetime| !may_be_proposed(lifetime, time_ms)) {
            return Err(CallError::Undated { time_ms });
        }
        self.index += 1;
        let at = Position { index: self.index, term: 1 };
        let entry = Entry { time_ms, lifetime, command }.encode();
        let reply = self.machine.apply(at, &entry, &mut Changes::default()).unwrap();
        Ok(CallAnswer::Written { index: self.index, term: 1, reply, lagging, time_ms })
    }

    fn point(&self, me: NodeId, mode: ReadMode, staleness: Duration) -> Result<ReadPoint, CallError> {
        let leads = self.leader == Some(me);
        if mode == ReadMode::Lease && !leads || mode == ReadMode::Linearizable && self.leader.is_none() {
            return Err(CallError::NotLeader { leader: self.leader });
        }
        let role = if leads { Role::Leader } else { Role::Follower };
        Ok(ReadPoint { role, term: 1, index: self.index, leader_contact: Some(staleness) })
    }
}

impl FakeCluster {
    pub fn new(nodes: u64, shards: u32) -> Self {
        let first = map_of(nodes, shards, nodes as usize);
        let groups = first.shards.iter().map(|(shard, entry)| (shard.group(), Group::new(entry.preferred))).collect();
        let mut meta = Group::new(1);
        meta.write(1, &MetaCommand::Form { map: first }.encode(), None, BTreeSet::new()).unwrap();
        Self(Arc::new(Mutex::new(State {
            meta,
            shards: groups,
            down: BTreeSet::new(),
            faults: BTreeMap::new(),
            staleness: BTreeMap::new(),
            lagging: BTreeSet::new(),
            requests: BTreeMap::new(),
            asks_for_dates: false,
        })))
    }

    /// A router with the map as it is now, in node `me` or in a gateway.
    pub fn router(&self, me: Option<NodeId>) -> Router {
        self.router_over(me, self.map())
    }

    /// A router with a map of its own.
    pub fn router_over(&self, me: Option<NodeId>, newest: Arc<ClusterMap>) -> Router {
        let map = MapCell::default();
        map.offer(newest);
        Router::new(Arc::new(FakeNodeClient { cluster: self.clone(), me }), map)
    }

    pub fn map(&self) -> Arc<ClusterMap> {
        self.0.lock().meta.machine.map()
    }

    pub fn lead(&self, group: GroupId, leader: Option<NodeId>) {
        let mut state = self.0.lock();
        match group {
            META => state.meta.leader = leader,
            shard => state.shards.get_mut(&shard).unwrap().leader = leader,
        }
    }

    pub fn lead_all(&self, leader: Option<NodeId>) {
        let groups: Vec<GroupId> = self.0.lock().shards.keys().copied().collect();
        groups.into_iter().for_each(|group| self.lead(group, leader));
    }

    pub fn fault(&self, node: NodeId, fault: Fault) {
        self.0.lock().faults.entry(node).or_default().push_back(fault);
    }

    /// The log index of a shard's group: how many commands it has seen.
    pub fn index(&self, group: GroupId) -> u64 {
        self.0.lock().shards[&group].index
    }

    /// Changes the map as if a process beside had asked for it.
    pub fn change_map(&self, command: &MetaCommand) {
        let mut state = self.0.lock();
        let leader = state.meta.leader.unwrap();
        state.meta.write(leader, &command.encode(), None, BTreeSet::new()).unwrap();
    }

    /// Lets time pass in every group.
    pub fn pass(&self, time: Duration) {
        let mut state = self.0.lock();
        let passed = time.as_millis() as u64;
        state.meta.time_ms += passed;
        state.shards.values_mut().for_each(|group| group.time_ms += passed);
    }

    pub fn points(&self) -> u64 {
        self.0.lock().shards.values().map(|group| group.machine.points()).sum()
    }

    /// The version of the payload schema of a collection in each shard; `None` where a shard does not know it.
    pub fn schema_versions(&self, collection: CollectionId) -> Vec<Option<u64>> {
        let version = |group: &Group<Engine>| {
            let known = group.machine.collections().into_iter().find(|stats| stats.collection == collection);
            known.map(|stats| stats.schema_version)
        };
        self.0.lock().shards.values().map(version).collect()
    }

    pub fn requests(&self) -> u64 {
        self.0.lock().requests.values().sum()
    }
}

impl State {
    fn serve(&mut self, cluster: [u8; 16], to: NodeId, calls: &[Call]) -> RpcResult {
        if cluster != self.meta.machine.map().cluster {
            return Err(RpcError::Misdirected);
        }
        *self.requests.entry(to).or_default() += 1;
        let fault = self.faults.get_mut(&to).and_then(VecDeque::pop_front);
        match fault {
            _ if self.down.contains(&to) => Err(RpcError::NotSent { reason: "connection refused".to_owned() }),
            Some(Fault::Answers(error)) => Ok(calls.iter().map(|_| Err(error.clone())).collect()),
            Some(Fault::AnswerLost) => {
                calls.iter().for_each(|call| drop(self.one(to, call)));
                Err(RpcError::Lost { reason: "connection reset".to_owned() })
            }
            None => Ok(calls.iter().map(|call| self.one(to, call)).collect()),
        }
    }

    /// What the tests of other things need not care for: who writes to a group for the first time knows its time.
    fn dated(&self, lifetime: Option<Lifetime>, time_ms: u64) -> Option<Lifetime> {
        match lifetime {
            Some(unborn) if unborn.born_ms == 0 && !self.asks_for_dates => {
                Some(Lifetime { born_ms: time_ms, lasts_ms: 60_000, ..unborn })
            }
            given => given,
        }
    }

    fn one(&mut self, me: NodeId, call: &Call) -> Result<CallAnswer, CallError> {
        let staleness = self.staleness.get(&me).copied().unwrap_or_default();
        match call {
            Call::Report => Err(CallError::Unfit { reason: "no reports here".to_owned() }),
            Call::Write { group: META, command, lifetime, .. } => {
                self.meta.write(me, command, self.dated(*lifetime, self.meta.time_ms), BTreeSet::new())
            }
            Call::Write { group, command, everywhere, lifetime } => {
                let lagging = if *everywhere { self.lagging.clone() } else { BTreeSet::new() };
                let lifetime = self.dated(*lifetime, self.shards[group].time_ms);
                self.shards.get_mut(group).unwrap().write(me, command, lifetime, lagging)
            }
            Call::Read { group: META, mode, .. } => {
                let point = self.meta.point(me, *mode, staleness)?;
                Ok(CallAnswer::Read { point, found: QueryAnswer::Map(self.meta.machine.map()) })
            }
            Call::Read { group, mode, after, max_staleness_ms, query, room } => {
                let group = &self.shards[group];
                let point = group.point(me, *mode, staleness)?;
                if after.is_some_and(|after| after.index > group.index) {
                    return Err(CallError::Behind { applied: group.index });
                }
                if max_staleness_ms.is_some_and(|bound| staleness.as_millis() > u128::from(bound)) {
                    return Err(CallError::Stale { staleness_ms: Some(staleness.as_millis() as u64) });
                }
                let room = room.map_or(usize::MAX, |room| room as usize);
                whole((0..parts(query)).map(|place| part(&group.machine, query, place, room)))
                    .map(|found| CallAnswer::Read { point, found })
            }
        }
    }
}

fn lags(answers: &[Result<CallAnswer, CallError>]) -> bool {
    let lags = |answer: &_| matches!(answer, Ok(CallAnswer::Written { lagging, .. }) if !lagging.is_empty());
    answers.iter().any(lags)
}

fn catch_up(answer: &mut Result<CallAnswer, CallError>, still: &BTreeSet<NodeId>) {
    if let Ok(CallAnswer::Written { lagging, .. }) = answer {
        lagging.retain(|node| still.contains(node));
    }
}

struct FakeNodeClient {
    cluster: FakeCluster,
    me: Option<NodeId>,
}

#[async_trait]
impl NodeClient for FakeNodeClient {
    async fn call(&self, cluster: [u8; 16], to: NodeId, calls: Vec<Call>, deadline: Instant) -> RpcResult {
        let moment = Duration::from_millis(1);
        tokio::time::sleep(moment).await;
        let mut result = self.cluster.0.lock().serve(cluster, to, &calls);
        while result.as_ref().is_ok_and(|answers| lags(answers)) && Instant::now() + moment * 2 < deadline {
            tokio::time::sleep(moment).await;
            let still = self.cluster.0.lock().lagging.clone();
            result.iter_mut().flatten().for_each(|answer| catch_up(answer, &still));
        }
        result
    }

    fn looks_alive(&self, node: NodeId) -> bool {
        !self.cluster.0.lock().down.contains(&node)
    }

    fn me(&self) -> Option<NodeId> {
        self.me
    }
}
