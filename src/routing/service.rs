//! The serving side: carries calls out on this node's replicas.
//!
//! Writes go through the group's log. Reads wait until the replica is fresh enough, then look at its machine on threads
//! of their own: a search would delay the heartbeats of every group if it ran on the async workers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use raft_groups::{Group, GroupId, Machine, NodeId, ReadError, ReadMode, ReadPoint, Role, WriteError};
use tokio::time::Instant;

use super::local::LocalGroups;
use super::pool::{Full, Pool};
use super::rpc::{Call, CallAnswer, CallError, Found, Query};
use super::{NodeReport, report};
use crate::engine::{Engine, Refusal};
use crate::placement::{META, ShardId};

/// What a node measures of itself; the composition root knows how.
pub trait Vitals: Send + Sync + 'static {
    /// How busy the process is, 0 to 1.
    fn load(&self) -> f32;
    /// Bytes on disk of logs and state.
    fn disk_bytes(&self) -> u64;
    /// How long the process has run.
    fn uptime(&self) -> Duration;
}

/// Carries out calls on this node's replicas.
pub struct Service {
    /// This node.
    pub node: NodeId,
    /// Its replicas.
    pub groups: Arc<LocalGroups>,
    /// Where queries run.
    pub pool: Pool,
    /// What it measures of itself.
    pub vitals: Arc<dyn Vitals>,
}

impl Service {
    /// Carries out `calls` side by side; the answers are in their order.
    pub async fn execute(&self, calls: Vec<Call>, deadline: Instant) -> Vec<Result<CallAnswer, CallError>> {
        join_all(calls.into_iter().map(|call| self.one(call, deadline))).await
    }

    /// What this node says of itself now.
    pub fn report(&self) -> NodeReport {
        report::of(self)
    }

    async fn one(&self, call: Call, deadline: Instant) -> Result<CallAnswer, CallError> {
        match call {
            Call::Report => Ok(CallAnswer::Report(Box::new(self.report()))),
            Call::Write { group, command, everywhere } if group == META => {
                write(&self.meta()?, command, everywhere, deadline).await
            }
            Call::Write { group, command, everywhere } => {
                write(&self.shard(group)?.1, command, everywhere, deadline).await
            }
            Call::Read { group, mode, query: Query::Map, .. } if group == META => self.read_map(mode, deadline).await,
            Call::Read { group, mode, after, max_staleness_ms, query } => {
                let wanted = Wanted { mode, after, max_staleness_ms };
                self.read_shard(group, wanted, query, deadline).await
            }
        }
    }

    async fn read_map(&self, mode: ReadMode, deadline: Instant) -> Result<CallAnswer, CallError> {
        let meta = self.meta()?;
        let point = meta.read(mode, deadline).await.map_err(|error| read_error(error, &meta))?;
        Ok(CallAnswer::Read { point, found: Found::Map(meta.machine().map()) })
    }

    async fn read_shard(
        &self,
        group: GroupId,
        wanted: Wanted,
        query: Query,
        deadline: Instant,
    ) -> Result<CallAnswer, CallError> {
        let (_, replica) = self.shard(group)?;
        let point = wanted.wait(&replica, deadline).await?;
        let machine = replica.machine();
        let found = self.pool.run(deadline, move || look(&machine, &query)).await.map_err(not_run)??;
        Ok(CallAnswer::Read { point, found })
    }

    fn meta(&self) -> Result<Group<crate::placement::MetaMachine>, CallError> {
        self.groups.meta().ok_or_else(|| self.not_here(META))
    }

    fn shard(&self, group: GroupId) -> Result<(ShardId, Group<Engine>), CallError> {
        let shard = ShardId::of_group(group).ok_or_else(|| self.not_here(group))?;
        self.groups.shard(shard).map(|replica| (shard, replica)).ok_or_else(|| self.not_here(group))
    }

    fn not_here(&self, group: GroupId) -> CallError {
        let closed = self.groups.closed(group);
        CallError::NotHere { reason: closed.unwrap_or_else(|| format!("no replica of {group} is open here")) }
    }
}

/// How fresh a replica must be for a read.
struct Wanted {
    mode: ReadMode,
    after: Option<u64>,
    max_staleness_ms: Option<u64>,
}

impl Wanted {
    async fn wait(&self, replica: &Group<Engine>, deadline: Instant) -> Result<ReadPoint, CallError> {
        let fail = |error| read_error(error, replica);
        let mut point = replica.read(self.mode, deadline).await.map_err(fail)?;
        if self.mode == ReadMode::Follower && point.role == Role::Learner {
            // It is being filled: what it shows may be older than anything this client has seen, or nothing at all.
            let reason = "this replica is still being filled".to_owned();
            return Err(CallError::NotHere { reason });
        }
        if let Some(after) = self.after.filter(|after| *after > point.index) {
            point = replica.wait_applied(after, deadline).await.map_err(fail)?;
        }
        match self.max_staleness_ms {
            Some(bound) if self.mode == ReadMode::Follower => within(point, bound),
            _ => Ok(point),
        }
    }
}

fn within(point: ReadPoint, bound_ms: u64) -> Result<ReadPoint, CallError> {
    let staleness_ms = point.leader_contact.map(|since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    match staleness_ms {
        Some(staleness) if staleness <= bound_ms => Ok(point),
        _ => Err(CallError::Stale { staleness_ms }),
    }
}

async fn write<M: Machine>(
    group: &Group<M>,
    command: Bytes,
    everywhere: bool,
    deadline: Instant,
) -> Result<CallAnswer, CallError> {
    let written = group.write(command, deadline).await.map_err(write_error)?;
    let lagging = match everywhere {
        true => group.wait_applied_everywhere(written.index, deadline).await.err().unwrap_or_default(),
        false => BTreeSet::new(),
    };
    Ok(CallAnswer::Written { index: written.index, term: written.term, reply: written.reply, lagging })
}

fn look(machine: &Engine, query: &Query) -> Result<Found, CallError> {
    let found = match query {
        Query::Search(query) => machine.search(query).map(Found::Hits),
        Query::Get(query) => machine.get(query).map(Found::Records),
        Query::Scroll(query) => machine.scroll(query).map(Found::Page),
        Query::Count(query) => machine.count(query).map(Found::Count),
        Query::Map => return Err(CallError::Unfit { reason: "only the meta group holds the map".to_owned() }),
    };
    found.map_err(|refusal: Refusal| CallError::Refused(refusal))
}

fn write_error(error: WriteError) -> CallError {
    match error {
        WriteError::NotLeader { leader } => CallError::NotLeader { leader },
        WriteError::Busy => CallError::Busy { limit: error.to_string() },
        WriteError::Indeterminate { reason } => CallError::Indeterminate { reason },
        WriteError::Stopped { reason } => CallError::Stopped { reason },
    }
}

fn read_error<M: Machine>(error: ReadError, group: &Group<M>) -> CallError {
    match error {
        ReadError::NotLeader { leader } => CallError::NotLeader { leader },
        ReadError::NoQuorum { reason } => CallError::NoQuorum { reason },
        ReadError::Deadline => CallError::Behind { applied: group.status().applied },
        ReadError::Stopped { reason } => CallError::Stopped { reason },
    }
}

fn not_run(error: Full) -> CallError {
    let reason = error.to_string();
    match error {
        Full::Queue => CallError::Busy { limit: reason },
        Full::Time => CallError::Late { reason },
        Full::Panic => CallError::Broken { reason },
    }
}
