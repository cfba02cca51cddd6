//! One group: one order of commands, carried out by the replica of each node for itself.
//!
//! After each command the replicas are held against each other: what they answer, and the hash of what they hold. One of
//! them stores what commands change only when it is looked at, so that many commands make one change, as under load.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use raft_groups::{
    Changes, GroupId, GroupStatus, Machine, MemoryState, NodeId, Position, ReadMode, ReadPoint, Role, StateReader,
};

use crate::engine::{Deletion, Engine, Entry, Lifetime, Matches, Meter, PointId};
use crate::routing::group_time::may_be_proposed;
use crate::routing::rpc::message::{CallAnswer, CallError};
use crate::routing::serve::deletion::under_way;

/// The node that stores what changes only when it must.
const LAZY: NodeId = 3;

/// Every pair of a stored state, in order.
type StoredPairs = Vec<(Vec<u8>, Bytes)>;

/// The replica of one node: its machine, what it has stored, and what waits to be.
struct FakeReplica<M: Machine> {
    machine: M,
    state: MemoryState,
    waiting: Changes,
}

impl<M: Machine> FakeReplica<M> {
    fn open(setup: &M::Setup, state: MemoryState) -> std::io::Result<Self> {
        Ok(Self { machine: M::open(setup, &state)?, state, waiting: Changes::default() })
    }

    /// What is stored, with all that waited.
    fn stored(&mut self) -> MemoryState {
        self.state.commit(&std::mem::take(&mut self.waiting));
        self.state.clone()
    }
}

/// A group, with the replica of each node.
pub(super) struct FakeGroup<M: Machine> {
    replicas: BTreeMap<NodeId, FakeReplica<M>>,
    /// How many commands it has seen.
    pub index: u64,
    pub leader: Option<NodeId>,
    /// The group's time.
    pub time_ms: u64,
}

impl<M: Machine> FakeGroup<M>
where
    M::Setup: Default,
{
    /// A group of `nodes` that has seen no command.
    pub(super) fn new(nodes: &BTreeSet<NodeId>, leader: NodeId) -> Self {
        let replica = |id: &NodeId| {
            (*id, FakeReplica::open(&M::Setup::default(), MemoryState::default()).expect("nothing is stored"))
        };
        Self { replicas: nodes.iter().map(replica).collect(), index: 0, leader: Some(leader), time_ms: 1 }
    }

    /// The machine of any replica: they are alike.
    pub(super) fn machine(&self) -> &M {
        &self.replicas.values().next().expect("a group has replicas").machine
    }

    /// The machine of the replica of `me`, where it has one.
    pub(super) fn machine_of(&self, me: NodeId) -> Option<&M> {
        self.replicas.get(&me).map(|replica| &replica.machine)
    }

    /// Has `me` propose a command, as a leader does.
    pub(super) fn write(
        &mut self,
        me: NodeId,
        command: &[u8],
        lifetime: Option<Lifetime>,
    ) -> Result<CallAnswer, CallError> {
        if self.leader != Some(me) {
            return Err(CallError::NotLeader { leader: self.leader });
        }
        self.time_ms += 1;
        let time_ms = self.time_ms;
        if lifetime.is_some_and(|lifetime| !may_be_proposed(lifetime, time_ms)) {
            return Err(CallError::Undated { time_ms });
        }
        let entry = Entry { time_ms, lifetime, command }.encode();
        let reply = self.commit(&entry).map_err(|reason| CallError::Stopped { reason })?;
        Ok(CallAnswer::Written { index: self.index, term: 1, reply, lagging: BTreeSet::new(), time_ms })
    }

    /// Carries an entry out everywhere; what the leader answers, or how the replicas differ.
    fn commit(&mut self, entry: &[u8]) -> Result<Bytes, String> {
        self.index += 1;
        let (at, mut replies) = (Position { index: self.index, term: 1 }, Vec::new());
        for (id, replica) in &mut self.replicas {
            let reply = replica.machine.apply(at, entry, &mut replica.waiting);
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
    pub(super) fn open_from(&mut self, to: NodeId, from: NodeId) -> Result<(), String> {
        let (state, digest) = match self.replicas.get_mut(&from) {
            Some(replica) => (replica.stored(), replica.machine.digest()),
            None => return Ok(()),
        };
        let opened = FakeReplica::<M>::open(&M::Setup::default(), state).map_err(|error| error.to_string())?;
        let found = opened.machine.digest();
        if found != digest {
            return Err(format!("opened from what node {from} stored at {}: {found:?}, not {digest:?}", self.index));
        }
        self.replicas.insert(to, opened);
        self.alike()
    }

    /// Holds what the replicas have stored against each other.
    pub(super) fn stored_alike(&mut self) -> Result<(), String> {
        let pairs: Vec<StoredPairs> = self.replicas.values_mut().map(|replica| pairs(&replica.stored())).collect();
        let differs = pairs.iter().any(|pairs_of_one| *pairs_of_one != pairs[0]);
        if differs { Err("the replicas have stored different states".to_owned()) } else { Ok(()) }
    }

    /// At which point `me` may be read, having last heard of the leader `staleness` ago.
    pub(super) fn point(&self, me: NodeId, mode: ReadMode, staleness: Duration) -> Result<ReadPoint, CallError> {
        let leads = self.leader == Some(me);
        if mode == ReadMode::Lease && !leads || mode == ReadMode::Linearizable && self.leader.is_none() {
            return Err(CallError::NotLeader { leader: self.leader });
        }
        let role = if leads { Role::Leader } else { Role::Follower };
        Ok(ReadPoint { role, term: 1, index: self.index, leader_contact: Some(staleness) })
    }

    /// The status of `group`, which this is, as the replica of `me` sees it.
    pub(super) fn status(&self, group: GroupId, me: NodeId) -> GroupStatus {
        let role = if self.leader == Some(me) { Role::Leader } else { Role::Follower };
        let voters = self.replicas.keys().copied().collect();
        GroupStatus { role, leader: self.leader, voters, ..status(group, self.index) }
    }
}

impl FakeGroup<Engine> {
    /// Has `me` delete what a filter means, as a leader does, in slices of few points.
    pub(super) fn delete(
        &mut self,
        me: NodeId,
        deletion: &Deletion,
        lifetime: Option<Lifetime>,
    ) -> Result<CallAnswer, CallError> {
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

fn pairs(state: &MemoryState) -> StoredPairs {
    let mut pairs = Vec::new();
    let mut take = |key: &[u8], value: &[u8]| {
        pairs.push((key.to_vec(), Bytes::copy_from_slice(value)));
        std::ops::ControlFlow::Continue(())
    };
    state.scan(b"", &mut take).expect("memory does not fail");
    pairs
}

/// The status of a lone voter, node 1, that leads and has applied so many entries.
pub(crate) fn status(group: GroupId, applied: u64) -> GroupStatus {
    GroupStatus {
        group,
        role: Role::Leader,
        term: 3,
        leader: Some(1),
        last_log: applied,
        committed: applied,
        applied,
        snapshot: 0,
        purged: 0,
        voters: BTreeSet::from([1]),
        learners: BTreeSet::new(),
        leader_contact: Some(Duration::ZERO),
        joint: false,
        silent: BTreeSet::new(),
        members_at: Some(0),
        catching_up: false,
        matched: BTreeMap::from([(1, applied)]),
        stopped: None,
        digests: BTreeMap::new(),
    }
}
