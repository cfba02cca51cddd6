//! Carries calls to their ends: one request per node for all that go there, answers as they come, retries in between.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use raft_groups::{GroupId, NodeId, ReadMode, Role};
use tokio::time::Instant;

use super::leader_cache::LeaderCache;
use super::retry_timing;
use crate::placement::ClusterMap;
use crate::routing::dispatch::pending_call::{Next, PendingCall, ReplicaView};
use crate::routing::group_time::KnownTimes;
use crate::routing::map_cell::MapCell;
use crate::routing::rpc::message::{Call, CallAnswer, CallError, NodeClient, RpcError, RpcResult};
use crate::routing::{Committed, RouteError};

/// A call's end: who carried it out, and the answer.
pub(in crate::routing) type CallOutcome = Result<(NodeId, CallAnswer), RouteError>;

/// Sends calls out and waits for them.
pub(in crate::routing) struct Scatter {
    pub client: Arc<dyn NodeClient>,
    pub map: MapCell,
    pub leaders: LeaderCache,
    pub times: KnownTimes,
    /// Counts up, to spread reads.
    pub turn: AtomicUsize,
}

/// Calls under way, by their place in the request; those that are done are empty.
struct Run<'a> {
    scatter: &'a Scatter,
    pending: Vec<Option<PendingCall>>,
    outcomes: Vec<Option<CallOutcome>>,
    under_way: FuturesUnordered<ScatterFuture>,
    deadline: Instant,
}

type ScatterFuture = Pin<Box<dyn Future<Output = ScatterEvent> + Send>>;

enum ScatterEvent {
    /// A pause is over.
    Rested(Vec<usize>),
    /// A node answered, or did not.
    Answered(NodeId, Vec<usize>, RpcResult),
}

impl Scatter {
    /// Carries out all calls; the outcomes are in their order.
    pub async fn run(&self, pending: Vec<PendingCall>, deadline: Instant) -> Vec<CallOutcome> {
        // Send all calls at once, then follow each until it ends.
        let mut run = Run {
            scatter: self,
            outcomes: pending.iter().map(|_| None).collect(),
            pending: pending.into_iter().map(Some).collect(),
            under_way: FuturesUnordered::new(),
            deadline,
        };
        run.send((0..run.pending.len()).collect());
        while let Some(event) = run.under_way.next().await {
            run.take(event);
        }
        run.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(without_end)).collect()
    }

    /// Carries out one call.
    pub async fn run_one(&self, pending: PendingCall, deadline: Instant) -> CallOutcome {
        self.run(vec![pending], deadline).await.pop().unwrap_or_else(without_end)
    }

    /// Learns from an answer who leads and whether the map is right. Only who has just proved to lead is believed: a
    /// deposed leader still calls itself one, and names others as late.
    fn learn(&self, group: GroupId, mode: Option<ReadMode>, from: NodeId, outcome: &Result<CallAnswer, CallError>) {
        // A write and a confirmed read prove who leads. A node that refused does not lead.
        match outcome {
            Ok(CallAnswer::Written { term, time_ms, .. }) => {
                self.leaders.learn(group, from, *term);
                self.times.learn(group, *time_ms, Instant::now());
            }
            Err(CallError::Undated { time_ms }) => self.times.learn(group, *time_ms, Instant::now()),
            Ok(CallAnswer::Read { point, .. }) if point.role == Role::Leader && mode != Some(ReadMode::Follower) => {
                self.leaders.learn(group, from, point.term);
            }
            Err(
                CallError::NotLeader { .. }
                | CallError::Indeterminate { .. }
                | CallError::Stopped { .. }
                | CallError::NoQuorum { .. },
            ) => self.leaders.forget(group, from),
            Err(CallError::NotHere { .. }) => {
                self.leaders.forget(group, from);
                self.map.doubt();
            }
            _ => {}
        }
    }
}

/// The outcome of a call that was forgotten, which is a bug of this file.
fn without_end() -> CallOutcome {
    Err(RouteError::Internal { reason: "a call had no end".to_owned(), committed: Committed::Unknown })
}

impl Run<'_> {
    fn take(&mut self, event: ScatterEvent) {
        match event {
            ScatterEvent::Rested(places) => self.send(places),
            ScatterEvent::Answered(from, places, result) => {
                let (again, later) = self.settle(from, places, result);
                self.send(again);
                self.rest(later);
            }
        }
    }

    /// Sends each call to whom it should go now, all for one node in one request.
    fn send(&mut self, places: Vec<usize>) {
        // Choose a node for each call, or end it where no node is left to ask.
        let map = self.scatter.map.get();
        let now = Instant::now();
        let mut by_node = BTreeMap::<NodeId, Vec<usize>>::new();
        for place in places {
            let chosen =
                self.pending[place].as_ref().filter(|_| now < self.deadline).and_then(|e| self.choose(e, &map));
            match chosen {
                Some(node) => by_node.entry(node).or_default().push(place),
                None => self.give_up(place, &map),
            }
        }
        // One request a node.
        for (node, places) in by_node {
            self.call(node, places, map.cluster, now);
        }
    }

    fn choose(&self, pending: &PendingCall, map: &ClusterMap) -> Option<NodeId> {
        let scatter = self.scatter;
        let leader = pending.call.group().and_then(|group| scatter.leaders.get(group));
        let alive = |node| scatter.client.looks_alive(node);
        let spread = scatter.turn.fetch_add(1, Ordering::Relaxed);
        pending.choose(&ReplicaView { map, me: scatter.client.me(), leader, alive: &alive, spread })
    }

    fn call(&mut self, node: NodeId, places: Vec<usize>, cluster: [u8; 16], now: Instant) {
        let left = self.deadline.saturating_duration_since(now);
        // A write gets a time of its group when it is sent.
        for place in &places {
            if let Some(pending) = self.pending[*place].as_mut() {
                let times = &self.scatter.times;
                pending.call.date(|group, made_by| times.lifetime(group, made_by, left, now));
            }
        }
        let pending = places.iter().filter_map(|place| self.pending[*place].as_ref());
        let calls: Vec<Call> = pending.map(|pending| pending.call.clone()).collect();
        let pending = places.iter().filter_map(|place| self.pending[*place].as_ref());
        // The call with the least patience decides how long the whole request may take.
        let until = now + pending.map(|pending| pending.patience(node, left)).min().unwrap_or(left);
        let client = Arc::clone(&self.scatter.client);
        self.under_way.push(Box::pin(async move {
            let asked = calls.len();
            let result = client.call(cluster, node, calls, until).await;
            ScatterEvent::Answered(node, places, checked(result, asked))
        }));
    }

    /// Ends the calls that are done, and tells which others want another try at once, and which after a pause.
    fn settle(&mut self, from: NodeId, places: Vec<usize>, result: RpcResult) -> (Vec<usize>, Vec<usize>) {
        let map = self.scatter.map.get();
        let turns: Vec<Option<Next>> = match result {
            Ok(answers) => {
                places.iter().zip(answers).map(|(place, answer)| self.answered(*place, from, answer, &map)).collect()
            }
            // Where the request has no answer, no call in it has one.
            Err(error) => places.iter().map(|place| self.unanswered(*place, from, &error, &map)).collect(),
        };
        let (mut again, mut later) = (Vec::new(), Vec::new());
        for (place, turn) in places.into_iter().zip(turns) {
            match turn {
                Some(Next::Done(answer)) => self.end(place, Ok((from, answer))),
                Some(Next::Failed(error)) => self.end(place, Err(error)),
                Some(Next::Again) => again.push(place),
                Some(Next::Later) => later.push(place),
                None => {}
            }
        }
        (again, later)
    }

    fn answered(
        &mut self,
        place: usize,
        from: NodeId,
        answer: Result<CallAnswer, CallError>,
        map: &ClusterMap,
    ) -> Option<Next> {
        let pending = self.pending[place].as_mut()?;
        self.scatter.learn(pending.call.group()?, pending.call.mode(), from, &answer);
        Some(pending.answered(from, answer, map))
    }

    fn unanswered(&mut self, place: usize, from: NodeId, error: &RpcError, map: &ClusterMap) -> Option<Next> {
        let pending = self.pending[place].as_mut()?;
        // What this process itself did not send, or the node cannot read, says nothing of who leads.
        let mute = matches!(
            error,
            RpcError::Busy { .. } | RpcError::Crowded | RpcError::Unsendable { .. } | RpcError::Unreadable { .. }
        );
        if !mute {
            self.scatter.leaders.forget(pending.call.group()?, from);
        }
        if *error == RpcError::Misdirected {
            self.scatter.map.doubt();
        }
        Some(pending.unanswered(from, error, map))
    }

    fn end(&mut self, place: usize, outcome: CallOutcome) {
        self.pending[place] = None;
        self.outcomes[place] = Some(outcome);
    }

    fn give_up(&mut self, place: usize, map: &ClusterMap) {
        if let Some(pending) = self.pending[place].take() {
            self.outcomes[place] = Some(Err(pending.give_up(map)));
        }
    }

    fn rest(&mut self, places: Vec<usize>) {
        let rounds =
            places.iter().filter_map(|place| self.pending[*place].as_ref()).map(|pending| pending.rounds).max();
        let Some(rounds) = rounds else { return };
        // The calls rest together, for as long as the one with the most tries does.
        let until = (Instant::now() + retry_timing::pause(rounds, rand::random())).min(self.deadline);
        self.under_way.push(Box::pin(async move {
            tokio::time::sleep_until(until).await;
            ScatterEvent::Rested(places)
        }));
    }
}

/// A peer that answers another number of calls than it was asked is not to be trusted with any of them.
fn checked(result: RpcResult, asked: usize) -> RpcResult {
    match result {
        Ok(answers) if answers.len() != asked => {
            Err(RpcError::Lost { reason: format!("{} answers came to {asked} calls", answers.len()) })
        }
        other => other,
    }
}
