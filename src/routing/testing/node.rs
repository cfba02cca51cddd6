//! One node of the cluster in memory: how it answers the calls that come to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use raft_groups::NodeId;

use super::{Fault, State};
use crate::engine::Lifetime;
use crate::placement::{META, ShardId};
use crate::routing::NodeReport;
use crate::routing::rpc::message::{Call, CallAnswer, CallError, QueryAnswer, RpcError, RpcResult};
use crate::routing::serve::proposal::{self, ForShard};
use crate::routing::serve::query::tests::part;
use crate::routing::serve::query::{parts, whole};
use crate::routing::serve::report;

impl State {
    /// What node `to` answers to a request.
    pub(super) fn serve(&mut self, cluster: [u8; 16], to: NodeId, calls: Vec<Call>) -> RpcResult {
        if cluster != self.meta.machine().map().cluster {
            return Err(RpcError::Misdirected);
        }
        *self.requests.entry(to).or_default() += 1;
        let fault = self.faults.get_mut(&to).and_then(VecDeque::pop_front);
        match fault {
            _ if self.down.contains(&to) => Err(RpcError::NotSent { reason: "connection refused".to_owned() }),
            Some(Fault::Answers(error)) => Ok(calls.iter().map(|_| Err(error.clone())).collect()),
            Some(Fault::AnswerLost) => {
                self.all(to, calls);
                Err(RpcError::Lost { reason: "connection reset".to_owned() })
            }
            None => self.serve_unless_lost(to, calls),
        }
    }

    /// Carries calls out, keeps copies of writes and loses answers, as the test has asked.
    fn serve_unless_lost(&mut self, to: NodeId, calls: Vec<Call>) -> RpcResult {
        let to_shards = |call: &&Call| call.is_write() && call.group() != Some(META);
        let copies: Vec<_> = calls.iter().filter(to_shards).cloned().collect();
        let answers = self.all(to, calls);
        // What was not carried out is tried again anyway: a copy of it, or its loss, would be nothing new.
        if copies.is_empty() || !answers.iter().any(Result::is_ok) {
            return Ok(answers);
        }
        if std::mem::take(&mut self.keeps_copy) {
            self.copies.extend(copies);
        }
        match std::mem::take(&mut self.loses_answer) {
            true => Err(RpcError::Lost { reason: "connection reset".to_owned() }),
            false => Ok(answers),
        }
    }

    fn all(&mut self, to: NodeId, calls: Vec<Call>) -> Vec<Result<CallAnswer, CallError>> {
        calls.into_iter().map(|call| self.one(to, call)).collect()
    }

    /// What `me` answers to one call.
    pub(super) fn one(&mut self, me: NodeId, call: Call) -> Result<CallAnswer, CallError> {
        if call.group().is_some_and(|group| group != META) {
            self.last_call = Some(call.clone());
        }
        let staleness = self.staleness.get(&me).copied().unwrap_or_default();
        match call {
            Call::Report => Ok(CallAnswer::Report(Box::new(self.report(me)))),
            Call::Write { group: META, command, lifetime, .. } => {
                let lifetime = self.dated(lifetime, self.meta.time_ms);
                let written = self.meta.write(me, &command, lifetime);
                self.written(written, false)
            }
            Call::Write { group, command, everywhere, lifetime } => {
                let time_ms = self.shards.get(&group).ok_or_else(not_here)?.time_ms;
                let lifetime = self.dated(lifetime, time_ms);
                let shard = self.shards.get_mut(&group).ok_or_else(not_here)?;
                let written = match proposal::for_shard(command)? {
                    ForShard::Entry(command) => shard.write(me, &command, lifetime),
                    ForShard::Deletion(deletion) => shard.delete(me, &deletion, lifetime),
                };
                self.written(written, everywhere)
            }
            Call::Read { group: META, mode, .. } => {
                let point = self.meta.point(me, mode, staleness)?;
                let machine = self.meta.machine_of(me).ok_or_else(not_here)?;
                Ok(CallAnswer::Read { point, found: QueryAnswer::Map(machine.map()) })
            }
            Call::Read { group, mode, after, max_staleness_ms, query, room } => {
                let shard = self.shards.get(&group).ok_or_else(not_here)?;
                let machine = shard.machine_of(me).ok_or_else(not_here)?;
                let point = shard.point(me, mode, staleness)?;
                if after.is_some_and(|after| after.index > shard.index) {
                    return Err(CallError::Behind { applied: shard.index });
                }
                if max_staleness_ms.is_some_and(|bound| staleness.as_millis() > u128::from(bound)) {
                    return Err(CallError::Stale { staleness_ms: Some(staleness.as_millis() as u64) });
                }
                let room = room.map_or(usize::MAX, |room| room as usize);
                whole((0..parts(&query)).map(|place| part(machine, &query, place, room)))
                    .map(|found| CallAnswer::Read { point, found })
            }
        }
    }

    /// The answer to a write, with the voters that lag where all are waited for. A replica that stops is wrong, whatever
    /// made it stop.
    fn written(&mut self, result: Result<CallAnswer, CallError>, everywhere: bool) -> Result<CallAnswer, CallError> {
        match result {
            Ok(CallAnswer::Written { index, term, reply, time_ms, .. }) => {
                let lagging = if everywhere { self.lagging.clone() } else { BTreeSet::new() };
                Ok(CallAnswer::Written { index, term, reply, lagging, time_ms })
            }
            Err(CallError::Stopped { reason }) => {
                self.note(Err(reason.clone()));
                Err(CallError::Stopped { reason })
            }
            other => other,
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

    pub(super) fn note(&mut self, result: Result<(), String>) {
        if let Err(wrong) = result {
            self.wrong.get_or_insert(wrong);
        }
    }

    /// What `me` says of itself.
    pub(super) fn report(&self, me: NodeId) -> NodeReport {
        let shards = self.shards.iter().filter_map(|(group, shard)| {
            let machine = shard.machine_of(me)?;
            Some(report::of_replica(ShardId::of_group(*group)?, shard.status(*group, me), machine))
        });
        NodeReport {
            node: me,
            uptime_seconds: 12,
            load: 0.25,
            memory_bytes: 10,
            disk_bytes: 20,
            epoch: self.meta.machine().map().epoch,
            meta: self.meta.machine_of(me).map(|_| self.meta.status(META, me)),
            replicas: shards.collect(),
            quarantined: Vec::new(),
            round_trips_ms: BTreeMap::new(),
        }
    }
}

fn not_here() -> CallError {
    CallError::NotHere { reason: "no such replica".to_owned() }
}
