//! Shards of three replicas each, without consensus: one order of commands a shard, carried out by each replica for itself.
//!
//! A call goes through the bytes that nodes exchange, a command through the bytes that a log holds. After each command the
//! replicas are held against each other: what they answer, and the hash of what they hold. One of them stores what
//! commands change at once, one only when it is looked at, so that many commands make one change, as under load.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use raft_groups::{Changes, GroupId, Machine, MemoryState, NodeId, Position, ReadMode, ReadPoint, Role, StateReader};
use tokio::time::Instant;

use crate::engine::{Deletion, Engine, Entry, Lifetime, Matches, Meter, PointId};
use crate::placement::tests::map_of;
use crate::placement::{META, MetaCommand, MetaMachine};
use crate::routing::group_time::may_be_proposed;
use crate::routing::rpc::message::{
    Call, CallAnswer, CallError, NodeClient, QueryAnswer, RouteRequest, RpcError, RpcResult,
};
use crate::routing::rpc::wire;
use crate::routing::serve::deletion::under_way;
use crate::routing::serve::proposal;
use crate::routing::serve::proposal::ForShard;
use crate::routing::serve::query::tests::part;
use crate::routing::serve::query::{parts, whole};
use crate::routing::{MapCell, Router};

const NODES: u64 = 3;

/// The node that stores what changes only when it must.
const LAZY: NodeId = 3;

/// Every pair of a stored state, in order.
type Pairs = Vec<(Vec<u8>, Bytes)>;

struct Replica<M: Machine> {
    machine: M,
    state: MemoryState,
    waiting: Changes,
}

impl<M: Machine> Replica<M> {
    fn open(setup: &M::Setup, state: MemoryState) -> std::io::Result<Self> {
        Ok(Self { machine: M::open(setup, &state)?, state, waiting: Changes::default() })
    }

    /// What is stored, with all that waited.
    fn stored(&mut self) -> MemoryState {
        self.state.commit(&std::mem::take(&mut self.waiting));
        self.state.clone()
    }
}

struct Shard<M: Machine> {
    replicas: BTreeMap<NodeId, Replica<M>>,
    index: u64,
    leader: NodeId,
    /// The group's time.
    time_ms: u64,
}

impl<M: Machine> Shard<M>
where
    M::Setup: Default,
{
    fn new() -> Self {
        let replica = |id| (id, Replica::open(&M::Setup::default(), MemoryState::default()).unwrap());
        Self { replicas: (1..=NODES).map(replica).collect(), index: 0, leader: 1, time_ms: 1 }
    }

    /// Has `me` propose a command, as a leader does.
    fn write(&mut self, me: NodeId, command: &[u8], lifetime: Option<Lifetime>) -> Result<CallAnswer, CallError> {
        if self.leader != me {
            return Err(CallError::NotLeader { leader: Some(self.leader) });
        }
        self.time_ms += 1;
        let time_ms = self.time_ms;
        if lifetime.is_some_and(|lifetime| !may_be_proposed(lifetime, time_ms)) {
            return Err(CallError::Undated { time_ms });
        }
        let entry = Entry { time_ms, lifetime, command }.encode();
        let reply = self.commit(&entry).map_err(|reason| CallError::Stopped { reason })?;
        Ok(CallAnswer::Written { index: self.index, term: 1, reply, lagging: [].into(), time_ms })
    }

    /// Carries an entry out everywhere; what the leader answers, or how the replicas differ.
    fn commit(&mut self, command: &[u8]) -> Result<Bytes, String> {
        self.index += 1;
        let (at, mut replies) = (Position { index: self.index, term: 1 }, Vec::new());
        for (id, replica) in &mut self.replicas {
            let reply = replica.machine.apply(at, command, &mut replica.waiting);
            replies.push(reply.map_err(|broken| format!("node {id} stops at {}: {}", self.index, broken.0))?);
            if *id != LAZY {
                replica.stored();
            }
        }
        if replies.iter().any(|reply| *reply != replies[0]) {
            return Err(format!("the replicas answer differently at {}: {replies:?}", self.index));
        }
        self.alike()?;
        Ok(replies.swap_remove(0))
    }

    fn alike(&self) -> Result<(), String> {
        let hashes: Vec<_> = self.replicas.values().map(|replica| replica.machine.digest()).collect();
        match hashes.iter().all(|hash| *hash == hashes[0]) {
            true => Ok(()),
            false => Err(format!("the replicas hold different states at {}: {hashes:?}", self.index)),
        }
    }

    /// Opens the replica of `to` anew, from what that of `from` has stored.
    fn open_from(&mut self, to: NodeId, from: NodeId) -> Result<(), String> {
        let (state, digest) = match self.replicas.get_mut(&from) {
            Some(replica) => (replica.stored(), replica.machine.digest()),
            None => return Ok(()),
        };
        let opened = Replica::<M>::open(&M::Setup::default(), state).map_err(|error| error.to_string())?;
        let found = opened.machine.digest();
        if found != digest {
            return Err(format!("opened from what node {from} stored at {}: {found:?}, not {digest:?}", self.index));
        }
        self.replicas.insert(to, opened);
        self.alike()
    }

    fn stored_alike(&mut self) -> Result<(), String> {
        let pairs: Vec<Pairs> = self.replicas.values_mut().map(|replica| pairs(&replica.stored())).collect();
        let differs = pairs.iter().any(|pairs_of_one| *pairs_of_one != pairs[0]);
        if differs { Err("the replicas have stored different states".to_owned()) } else { Ok(()) }
    }

    fn point(&self, me: NodeId, mode: ReadMode) -> Result<ReadPoint, CallError> {
        let leads = self.leader == me;
        if mode == ReadMode::Lease && !leads {
            return Err(CallError::NotLeader { leader: Some(self.leader) });
        }
        let role = if leads { Role::Leader } else { Role::Follower };
        Ok(ReadPoint { role, term: 1, index: self.index, leader_contact: Some(Duration::ZERO) })
    }
}

impl Shard<Engine> {
    /// Has `me` delete what a filter means, as a leader does, in slices of few points.
    fn delete(&mut self, me: NodeId, deletion: &Deletion, lifetime: Option<Lifetime>) -> Result<CallAnswer, CallError> {
        const SLICE: usize = 3;
        let mut answer = self.write(me, &deletion.begin(), lifetime)?;
        while let Some(progress) = under_way(&answer) {
            let (machine, range) = (&self.replicas[&me].machine, (progress.from, progress.begin));
            let found = machine.find_matches(deletion.collection, &deletion.filter, range, &Meter::unlimited());
            let Matches { found, next } = found.map_err(CallError::Refused)?.expect("its meter never ends");
            let mut ids: Vec<PointId> = found.into_iter().map(|(id, _)| id).collect();
            let next = ids.get(SLICE).copied().or(next);
            ids.truncate(SLICE);
            answer = self.write(me, &deletion.slice(progress, ids, next), None)?;
        }
        Ok(answer)
    }
}

fn pairs(state: &MemoryState) -> Pairs {
    let mut pairs = Vec::new();
    let mut take = |key: &[u8], value: &[u8]| {
        pairs.push((key.to_vec(), Bytes::copy_from_slice(value)));
        std::ops::ControlFlow::Continue(())
    };
    state.scan(b"", &mut take).expect("memory does not fail");
    pairs
}

struct State {
    meta: Shard<MetaMachine>,
    shards: BTreeMap<GroupId, Shard<Engine>>,
    /// The next write of points is carried out, and its answer lost.
    loses_answer: bool,
    /// The next calls that write to shards are kept, to come once more.
    keeps_copy: bool,
    copies: Vec<Call>,
    /// The first thing that must not be.
    wrong: Option<String>,
}

/// Three nodes with all shards; clones share them.
#[derive(Clone)]
pub(crate) struct Replicas(Arc<Mutex<State>>);

impl Replicas {
    /// Three nodes that share so many shards.
    pub(crate) fn new(shards: u32) -> Self {
        let first = map_of(NODES, shards, NODES as usize);
        let groups = first.shards.keys().map(|shard| (shard.group(), Shard::new())).collect();
        let mut meta = Shard::<MetaMachine>::new();
        meta.write(1, &MetaCommand::Form { map: first }.encode(), None).unwrap();
        Self(Arc::new(Mutex::new(State {
            meta,
            shards: groups,
            loses_answer: false,
            keeps_copy: false,
            copies: Vec::new(),
            wrong: None,
        })))
    }

    /// A router in node `me`, or in a gateway.
    pub(crate) fn router(&self, me: Option<NodeId>) -> Router {
        let map = MapCell::default();
        map.offer(self.0.lock().meta.replicas[&1].machine.map());
        Router::new(Arc::new(Wire { replicas: self.clone(), me }), map)
    }

    /// The first thing that must not be, if anything was.
    pub(crate) fn wrong(&self) -> Option<String> {
        self.0.lock().wrong.clone()
    }

    /// `node` leads every shard from now on.
    pub(crate) fn lead(&self, node: NodeId) {
        self.0.lock().shards.values_mut().for_each(|shard| shard.leader = node);
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
            let leader = call.group().and_then(|group| Some(state.shards.get(&group)?.leader));
            // Whoever waited for an answer has gone.
            let _ = leader.map(|leader| state.one(leader, call));
        }
    }

    /// Looks for collections in shards that the map does not know.
    pub(crate) fn find_zombies(&self) {
        let mut state = self.0.lock();
        let map = state.meta.replicas[&1].machine.map();
        let known: Vec<_> = map.collections.values().map(|entry| entry.id).collect();
        let held = state.shards.values().flat_map(|shard| shard.replicas[&1].machine.collections());
        let zombie = held.map(|held| held.collection).find(|id| !known.contains(id));
        state.note(
            zombie.map_or(Ok(()), |id| Err(format!("a shard holds collection {id:?}, which the map does not know"))),
        );
    }

    /// Lets time pass in every group.
    pub(crate) fn pass(&self, time: Duration) {
        let mut state = self.0.lock();
        let passed = time.as_millis() as u64;
        state.meta.time_ms += passed;
        state.shards.values_mut().for_each(|shard| shard.time_ms += passed);
    }

    /// Opens all replicas of `to` anew from what those of `from` have stored: a restart, where both are the same node, or a snapshot.
    pub(crate) fn open_from(&self, to: NodeId, from: NodeId) {
        let mut state = self.0.lock();
        let results: Vec<_> = state.shards.values_mut().map(|shard| shard.open_from(to, from)).collect();
        let meta = state.meta.open_from(to, from);
        state.note(results.into_iter().chain([meta]).collect());
    }

    /// Holds what the replicas have stored against each other.
    pub(crate) fn compare_stored(&self) {
        let mut state = self.0.lock();
        let results: Result<Vec<()>, String> = state.shards.values_mut().map(Shard::stored_alike).collect();
        state.note(results.map(drop));
    }
}

impl State {
    fn note(&mut self, result: Result<(), String>) {
        if let Err(wrong) = result {
            self.wrong.get_or_insert(wrong);
        }
    }

    /// A replica that stops is wrong, whatever made it stop.
    fn written(&mut self, result: Result<CallAnswer, CallError>) -> Result<CallAnswer, CallError> {
        if let Err(CallError::Stopped { reason }) = &result {
            self.note(Err(reason.clone()));
        }
        result
    }

    fn one(&mut self, me: NodeId, call: Call) -> Result<CallAnswer, CallError> {
        match call {
            Call::Write { group: META, command, lifetime, .. } => {
                let result = self.meta.write(me, &command, lifetime);
                self.written(result)
            }
            Call::Write { group, command, lifetime, .. } => {
                let Some(shard) = self.shards.get_mut(&group) else { return Err(not_here()) };
                let result = match proposal::for_shard(command)? {
                    ForShard::Entry(command) => shard.write(me, &command, lifetime),
                    ForShard::Deletion(deletion) => shard.delete(me, &deletion, lifetime),
                };
                self.written(result)
            }
            Call::Read { group: META, mode, .. } => {
                let point = self.meta.point(me, mode)?;
                Ok(CallAnswer::Read { point, found: QueryAnswer::Map(self.meta.replicas[&me].machine.map()) })
            }
            Call::Read { group, mode, after, query, .. } => {
                let Some(shard) = self.shards.get(&group) else { return Err(not_here()) };
                let point = shard.point(me, mode)?;
                if after.is_some_and(|after| after.index > shard.index) {
                    return Err(CallError::Behind { applied: shard.index });
                }
                let machine = &shard.replicas[&me].machine;
                whole((0..parts(&query)).map(|place| part(machine, &query, place, usize::MAX)))
                    .map(|found| CallAnswer::Read { point, found })
            }
            _ => Err(CallError::Unfit { reason: "no reports here".to_owned() }),
        }
    }
}

fn not_here() -> CallError {
    CallError::NotHere { reason: "no such shard".to_owned() }
}

struct Wire {
    replicas: Replicas,
    me: Option<NodeId>,
}

#[async_trait]
impl NodeClient for Wire {
    async fn call(&self, cluster: [u8; 16], to: NodeId, calls: Vec<Call>, _: Instant) -> RpcResult {
        let mut state = self.replicas.0.lock();
        let writes = calls.iter().any(|call| call.is_write() && call.group() != Some(META));
        let request = RouteRequest { cluster, from: self.me, to, timeout_ms: 1, calls };
        let bytes = wire::encode(request).map_err(|reason| RpcError::Unsendable { reason })?;
        let calls = match wire::decode(&bytes) {
            Ok(request) => request.calls,
            Err(reason) => {
                state.note(Err(format!("a call that the other side cannot read: {reason}")));
                return Err(RpcError::NotSent { reason });
            }
        };
        let to_shards = |call: &&Call| call.is_write() && call.group() != Some(META);
        let copies: Vec<_> = calls.iter().filter(to_shards).filter(|_| state.keeps_copy).cloned().collect();
        let answers: Vec<_> = calls.into_iter().map(|call| state.one(to, call)).collect();
        let done = answers.iter().any(Result::is_ok);
        if writes && done {
            state.keeps_copy &= copies.is_empty();
            state.copies.extend(copies);
        }
        if writes && done && std::mem::take(&mut state.loses_answer) {
            return Err(RpcError::Lost { reason: "connection reset".to_owned() });
        }
        let bytes = postcard::to_stdvec(&answers).map_err(|error| RpcError::Lost { reason: error.to_string() })?;
        postcard::from_bytes(&bytes).map_err(|error| {
            state.note(Err(format!("an answer that the asking side cannot read: {error}")));
            RpcError::Lost { reason: error.to_string() }
        })
    }

    fn looks_alive(&self, _: NodeId) -> bool {
        true
    }

    fn me(&self) -> Option<NodeId> {
        self.me
    }
}
