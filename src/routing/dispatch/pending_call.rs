//! One call on its way to an answer: whom to ask next, and what an outcome means. Pure, so that every turn is tested.
//!
//! The rule for safety: a write whose fate is in doubt is tried again only because its request id makes the repetition
//! harmless. Once in doubt, it is never reported as "certainly not done".

use std::collections::BTreeSet;
use std::time::Duration;

use raft_groups::mutants::{Mutant, is_planted};
use raft_groups::{NodeId, ReadMode};

use super::retry_timing;
use crate::engine::Reply;
use crate::placement::{ClusterMap, MetaReply, NodeName, ShardId};
use crate::routing::rpc::message::{Call, CallAnswer, CallError, RpcError};
use crate::routing::{Committed, RouteError};

/// A call with all that is known of it so far.
pub(in crate::routing) struct PendingCall {
    /// The shard it is for; `None` is the meta group.
    pub shard: Option<ShardId>,
    /// The call.
    pub call: Call,
    /// How often there was nobody left to ask at once.
    pub rounds: u32,
    /// Who was named as the leader by the last one that was asked.
    hint: Option<NodeId>,
    /// Asked since the last pause, in vain.
    asked: BTreeSet<NodeId>,
    /// Did not answer, whenever asked last.
    silent: BTreeSet<NodeId>,
    /// Why an earlier try may have been carried out.
    doubt: Option<String>,
    failure: Option<LastFailure>,
}

/// What stands in the way, as the tries so far have told.
#[derive(Debug, Clone)]
enum LastFailure {
    NoLeader,
    Busy(String),
    NoQuorum(String),
    Stale(Option<u64>),
    Behind(u64),
    Late(String),
    Stopped(String),
    Misdirected(NodeId),
    Unreadable(NodeId, String),
}

impl LastFailure {
    /// How much it explains: that nobody else answers says less than what a replica said of its own state. Of equal
    /// weight the last one counts.
    fn weight(&self) -> u8 {
        match self {
            Self::NoLeader | Self::Busy(_) => 0,
            Self::Misdirected(_) => 1,
            Self::NoQuorum(_) | Self::Stale(_) | Self::Behind(_) | Self::Late(_) | Self::Stopped(_) => 2,
            Self::Unreadable(..) => 3,
        }
    }
}

/// What to do after an outcome.
#[derive(Debug, PartialEq)]
pub(in crate::routing) enum Next {
    /// It is done.
    Done(CallAnswer),
    /// It has failed for good.
    Failed(RouteError),
    /// Another try, at once.
    Again,
    /// Another try, after a pause.
    Later,
}

/// What is known of the nodes when choosing among them.
pub(in crate::routing) struct ReplicaView<'a> {
    pub map: &'a ClusterMap,
    /// The node this process is, where it is one.
    pub me: Option<NodeId>,
    /// The last known leader of the call's group.
    pub leader: Option<NodeId>,
    /// Whether calls to a node have a fair chance.
    pub alive: &'a dyn Fn(NodeId) -> bool,
    /// Spreads reads over equally good replicas.
    pub spread: usize,
}

impl PendingCall {
    pub fn new(shard: Option<ShardId>, call: Call) -> Self {
        Self {
            shard,
            call,
            rounds: 0,
            hint: None,
            asked: BTreeSet::new(),
            silent: BTreeSet::new(),
            doubt: None,
            failure: None,
        }
    }

    /// Whom to ask next; `None` where the map names no replica.
    pub fn choose(&self, view: &ReplicaView<'_>) -> Option<NodeId> {
        let replicas = self.replicas(view.map);
        let local = view.me.filter(|me| replicas.contains(me));
        let named = [self.hint, view.leader];
        // The local replica knows its leader for free, so it is asked before guessing.
        let first: Vec<NodeId> = match self.needs_leader() || local.is_none() && self.leader_confirms() {
            true => named.into_iter().flatten().chain(local).collect(),
            false => local.into_iter().collect(),
        };
        // Further calls are spread over the replicas. Those that seem dead come last.
        let mut others: Vec<NodeId> = replicas.iter().copied().collect();
        if !others.is_empty() {
            let turn = view.spread % others.len();
            others.rotate_left(turn);
        }
        others.sort_by_key(|node| !(view.alive)(*node));
        // Once all have been asked, the first is asked again.
        let mut order = first.into_iter().chain(others).filter(|node| replicas.contains(node));
        order.find(|node| !self.asked.contains(node)).or_else(|| replicas.first().copied())
    }

    /// How long `node` may take for it where `left` is left in all. One that was silent when asked last gets no more
    /// than at first: a node that is merely slow says so in time.
    pub fn patience(&self, node: NodeId, left: Duration) -> Duration {
        match &self.call {
            _ if self.silent.contains(&node) => retry_timing::patience(left, 0),
            // To wait for the last voter takes what it takes; another try would only write the same once more.
            Call::Write { everywhere: true, .. } => left,
            _ => retry_timing::patience(left, self.rounds),
        }
    }

    /// What `from`'s answer to this call means.
    pub fn answered(&mut self, from: NodeId, outcome: Result<CallAnswer, CallError>, map: &ClusterMap) -> Next {
        self.silent.remove(&from);
        let error = match outcome {
            Ok(answer) => return self.done(answer),
            Err(error) => error,
        };
        match error {
            CallError::Lapsed { reason } => match self.shard {
                Some(shard) => Next::Failed(RouteError::TokenLapsed { shard, reason }),
                None => self.broken(reason),
            },
            CallError::Refused(refusal) => Next::Failed(RouteError::Refused { refusal }),
            CallError::Unfit { reason } | CallError::Broken { reason } => self.broken(reason),
            // The node is the right one and only busy, so the call waits instead of going elsewhere.
            CallError::Busy { limit } => {
                self.failure = Some(LastFailure::Busy(limit));
                self.pause()
            }
            CallError::NotLeader { leader } => {
                self.hint = leader.filter(|leader| *leader != from);
                self.elsewhere(from, LastFailure::NoLeader, map)
            }
            CallError::Indeterminate { reason } => {
                self.doubt = Some(reason);
                self.elsewhere(from, LastFailure::NoLeader, map)
            }
            CallError::NotHere { .. } => self.elsewhere(from, LastFailure::NoLeader, map),
            CallError::Stopped { reason } => self.elsewhere(from, LastFailure::Stopped(reason), map),
            CallError::NoQuorum { reason } => self.elsewhere(from, LastFailure::NoQuorum(reason), map),
            CallError::Behind { applied } => self.elsewhere(from, LastFailure::Behind(applied), map),
            CallError::Late { reason } => self.elsewhere(from, LastFailure::Late(reason), map),
            CallError::Stale { staleness_ms } => self.too_stale(from, staleness_ms, map),
            CallError::Undated { .. } => self.undated(from),
            CallError::Unreadable { reason } if is_planted(Mutant::UnreadableIsSilence) => {
                self.unanswered(from, &RpcError::Lost { reason }, map)
            }
            CallError::Unreadable { reason } => self.elsewhere(from, LastFailure::Unreadable(from, reason), map),
        }
    }

    /// What it means that `from` gave no answer to the request this call was in.
    pub fn unanswered(&mut self, from: NodeId, error: &RpcError, map: &ClusterMap) -> Next {
        // Nothing was carried out, and the node is the right one: the call waits a little.
        if let RpcError::Busy { .. } | RpcError::Crowded = error {
            self.failure = Some(LastFailure::Busy(error.to_string()));
            return self.pause();
        }
        if let RpcError::Unsendable { reason } = error {
            return self.broken(reason.clone());
        }
        if let RpcError::Unreadable { reason } = error {
            self.silent.remove(&from);
            return self.elsewhere(from, LastFailure::Unreadable(from, reason.clone()), map);
        }
        self.silent.insert(from);
        // A write without a time is never proposed, so its loss leaves no doubt.
        let may_be_done = self.call.is_write() && !self.call.is_unborn();
        if let (RpcError::Lost { reason } | RpcError::Unintelligible { reason }, true) = (error, may_be_done) {
            self.doubt = Some(format!("{}: {reason}", map.name_of(from)));
        }
        let failure = match error {
            RpcError::Misdirected => LastFailure::Misdirected(from),
            _ => LastFailure::NoLeader,
        };
        self.elsewhere(from, failure, map)
    }

    /// The last word when time is up.
    pub fn give_up(self, map: &ClusterMap) -> RouteError {
        let shard = self.shard;
        // A doubt comes first: the client must not repeat a write that may have been done as if it were new.
        if let Some(reason) = self.doubt {
            return RouteError::Unknown { shard, reason };
        }
        let missing = names(map, &self.silent);
        let late = |reason: String| RouteError::Deadline { committed: Committed::No, reason };
        match self.failure {
            None => late("no time was left to ask anyone".to_owned()),
            Some(LastFailure::NoLeader) => RouteError::NoLeader { shard, missing },
            Some(LastFailure::Busy(limit)) => RouteError::Overloaded { limit },
            Some(LastFailure::NoQuorum(reason)) => RouteError::NoQuorum { shard, reason, missing },
            Some(LastFailure::Stopped(reason)) => RouteError::Stopped { shard, reason },
            Some(LastFailure::Unreadable(node, reason)) => {
                RouteError::Unreadable { node: map.name_of(node), reason, committed: Committed::No }
            }
            Some(LastFailure::Misdirected(node)) => RouteError::WrongCluster { node: map.name_of(node) },
            Some(LastFailure::Stale(_)) => late("every replica that answers is too stale".to_owned()),
            Some(LastFailure::Late(reason)) => late(reason),
            Some(LastFailure::Behind(applied)) => {
                late(format!("a replica has applied index {applied}, which is not yet what the read is to see"))
            }
        }
    }

    fn replicas(&self, map: &ClusterMap) -> BTreeSet<NodeId> {
        let of_shard = self.shard.and_then(|shard| map.shards.get(&shard)).map(|entry| &entry.placement);
        of_shard.unwrap_or(&map.meta).homes().collect()
    }

    fn needs_leader(&self) -> bool {
        matches!(&self.call, Call::Write { .. } | Call::Read { mode: ReadMode::Lease, .. })
    }

    /// Whether another replica would ask the leader itself: one hop more than going there.
    fn leader_confirms(&self) -> bool {
        matches!(&self.call, Call::Read { mode: ReadMode::Linearizable, .. })
    }

    /// The end, with an answer. After a try whose fate is in doubt a refusal is the last word only where it stays: one that
    /// may be another tomorrow says nothing of the copies that are still under way.
    fn done(&self, answer: CallAnswer) -> Next {
        // A doubt ends only with a reply that holds for all copies of the write.
        match (&self.doubt, &answer) {
            (Some(reason), CallAnswer::Written { reply, .. })
                if !self.call.may_repeat() && !is_last_word(self.shard, reply) =>
            {
                Next::Failed(RouteError::Unknown { shard: self.shard, reason: reason.clone() })
            }
            _ => Next::Done(answer),
        }
    }

    /// The write has no lifetime, or it is over. It gets another where no copy of it can be under way.
    fn undated(&mut self, from: NodeId) -> Next {
        if let Some(reason) = self.doubt.clone() {
            return Next::Failed(RouteError::Unknown { shard: self.shard, reason });
        }
        self.call.undate();
        self.hint = Some(from);
        Next::Again
    }

    /// Another replica may be fresher.
    fn too_stale(&mut self, from: NodeId, staleness_ms: Option<u64>, map: &ClusterMap) -> Next {
        let best = match self.failure {
            Some(LastFailure::Stale(Some(known))) => Some(staleness_ms.map_or(known, |new| new.min(known))),
            _ => staleness_ms,
        };
        self.elsewhere(from, LastFailure::Stale(best), map)
    }

    /// Asks someone else, at once while there is someone who was not asked yet.
    fn elsewhere(&mut self, from: NodeId, failure: LastFailure, map: &ClusterMap) -> Next {
        // The client is told the failure that explains most.
        if self.failure.as_ref().is_none_or(|known| failure.weight() >= known.weight()) {
            self.failure = Some(failure);
        }
        self.asked.insert(from);
        match self.replicas(map).iter().all(|node| self.asked.contains(node)) {
            true => self.verdict(map).unwrap_or_else(|| self.pause()),
            false => Next::Again,
        }
    }

    /// The end of a call for which waiting would change nothing. All replicas were asked, and either the best of them
    /// was too stale, or one could not read the call and will not read it next time.
    fn verdict(&self, map: &ClusterMap) -> Option<Next> {
        match (&self.failure, self.shard, &self.call) {
            (Some(LastFailure::Stale(best)), Some(shard), Call::Read { max_staleness_ms: Some(bound_ms), .. }) => {
                Some(Next::Failed(RouteError::Stale { shard, staleness_ms: *best, bound_ms: *bound_ms }))
            }
            (Some(LastFailure::Unreadable(node, reason)), ..) => {
                let (node, reason, committed) = (map.name_of(*node), reason.clone(), self.committed());
                Some(Next::Failed(RouteError::Unreadable { node, reason, committed }))
            }
            _ => None,
        }
    }

    /// Another try would end the same way.
    fn broken(&self, reason: String) -> Next {
        Next::Failed(RouteError::Internal { reason, committed: self.committed() })
    }

    /// What is known of the effect of all tries so far.
    fn committed(&self) -> Committed {
        if self.doubt.is_some() { Committed::Unknown } else { Committed::No }
    }

    fn pause(&mut self) -> Next {
        self.asked.clear();
        self.rounds += 1;
        Next::Later
    }
}

/// Returns `true` if a reply says what came of a write, whatever becomes of its other copies.
fn is_last_word(shard: Option<ShardId>, reply: &[u8]) -> bool {
    match shard {
        Some(_) => !matches!(Reply::decode(reply), Ok(Reply::Refused(refusal)) if !refusal.is_final()),
        None => !matches!(MetaReply::decode(reply), Ok(MetaReply::Expired | MetaReply::TooManyChanges { .. })),
    }
}

/// The names of nodes, as far as the map knows them.
pub(in crate::routing) fn names(map: &ClusterMap, nodes: &BTreeSet<NodeId>) -> Vec<NodeName> {
    nodes.iter().filter_map(|node| map.nodes.get(node)).map(|entry| entry.name.clone()).collect()
}
