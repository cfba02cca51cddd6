//! The serving side: carries calls out on this node's replicas.
//!
//! Writes go through the group's log. Reads wait until the replica is fresh enough, then look at its machine on threads
//! of their own: a search would delay the heartbeats of every group if it ran on the async workers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{join, join_all};
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt as _};
use raft_groups::{Group, GroupId, Machine, NodeId, ReadMode, ReadPoint, Role, WriteError};
use tokio::time::Instant;

use super::freshness::{Freshness, read_error};
use super::pool::Pool;
use super::proposal::ForShard;
use super::query_failure::QueryFailure;
use super::report::NodeMeasures;
use super::{proposal, report};
use crate::engine::{Engine, Entry, Lifetime, Meter};
use crate::placement::{META, MetaMachine, ShardId, group_name};
use crate::routing::NodeReport;
use crate::routing::group_time::may_be_proposed;
use crate::routing::rpc::message::{Call, CallAnswer, CallError, MAX_CALLS, Query, QueryAnswer};
use crate::routing::serve::local_groups::LocalGroups;
use crate::routing::serve::query::{PartAnswer, long_part, parts, try_part, whole};

/// How long calls of one request wait for each other before they go to the query threads.
const SETTLE: Duration = Duration::from_millis(1);

/// Vectors of one shard that writers may leave waiting to be indexed before its leader takes no more writes. A search
/// compares each of them: these take it about 1.5 ms.
pub const MAX_WAITING_VECTORS: u64 = 50_000;

/// Carries out calls on this node's replicas.
pub struct Service {
    /// This node.
    pub node: NodeId,
    /// Its replicas.
    pub groups: Arc<LocalGroups>,
    /// Where queries run.
    pub pool: Pool,
    /// What it measures of itself.
    pub measures: Arc<dyn NodeMeasures>,
}

impl Service {
    /// Carries out `calls` side by side; the answers are in their order.
    pub async fn execute(&self, calls: Vec<Call>, deadline: Instant) -> Vec<Result<CallAnswer, CallError>> {
        // All calls begin at once.
        let mut answers: Vec<_> = calls.iter().map(|_| None).collect();
        let steps = calls.into_iter().enumerate().map(|(place, call)| async move {
            let step = self.begin(call, deadline).await;
            (place, step)
        });
        let mut steps: FuturesUnordered<_> = steps.collect();
        // Calls that are ready soon go to the query threads together. Each later one goes by itself.
        let settled = settle(&mut steps).await;
        let first = self.look_at(settled, deadline);
        let later = steps.map(|step| self.look_at(vec![step], deadline)).buffer_unordered(MAX_CALLS);
        let (first, later) = join(first, later.collect::<Vec<_>>()).await;
        // An answer goes to the place of its call.
        for (place, answer) in later.into_iter().flatten().chain(first) {
            answers[place] = Some(answer);
        }
        let lost = || CallError::Broken { reason: "a call had no end".to_owned() };
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(lost()))).collect()
    }

    /// What this node says of itself now.
    pub fn report(&self) -> NodeReport {
        report::of_node(self.node, &self.groups, &*self.measures)
    }

    /// Goes with a call as far as it goes without a query thread.
    async fn begin(&self, call: Call, deadline: Instant) -> CallStep {
        match call {
            Call::Read { group, mode, after, max_staleness_ms, query, room } if group != META => {
                let wanted = Freshness { mode, after, max_staleness_ms };
                // A read without a bound has all the room that there is.
                let room = room.and_then(|room| room.try_into().ok()).unwrap_or(usize::MAX);
                self.fresh(group, wanted, (query, room), deadline)
                    .await
                    .map_or_else(|error| CallStep::Done(Err(error)), CallStep::FreshMachine)
            }
            call => CallStep::Done(self.one(call, deadline).await),
        }
    }

    /// Carries a call out that looks at no shard.
    async fn one(&self, call: Call, deadline: Instant) -> Result<CallAnswer, CallError> {
        match call {
            Call::Report => Ok(CallAnswer::Report(Box::new(self.report()))),
            Call::Write { group, command, everywhere, lifetime } if group == META => {
                let proposal = Proposal { command: proposal::for_map(command)?, lifetime, everywhere };
                self.write(&self.meta()?, proposal, deadline).await
            }
            Call::Write { group, command, everywhere, lifetime } => {
                let replica = self.shard(group)?.1;
                let command = proposal::for_shard(command)?;
                // Nothing is appended while too many vectors wait for the index.
                room_for_more(replica.machine().backlog())?;
                match command {
                    ForShard::Entry(command) => {
                        self.write(&replica, Proposal { command, lifetime, everywhere }, deadline).await
                    }
                    // A deletion by a filter finds its points here, and proposes them slice by slice.
                    ForShard::Deletion(deletion) => {
                        let begin = Proposal { command: deletion.begin(), lifetime, everywhere };
                        self.delete_matches(&replica, deletion, begin, deadline).await
                    }
                }
            }
            Call::Read { group, mode, query, .. } if group == META && *query == Query::Map => {
                self.read_map(mode, deadline).await
            }
            Call::Read { group, .. } => Err(self.not_here(group)),
        }
    }

    /// Has a group this node leads commit a command, with the group's time.
    pub(in crate::routing) async fn write<M: TimedMachine>(
        &self,
        group: &Group<M>,
        proposal: Proposal,
        deadline: Instant,
    ) -> Result<CallAnswer, CallError> {
        let time_ms = || self.groups.time_ms(group.id(), group.watch().borrow().term, group.machine().time_ms());
        let Proposal { command, lifetime, everywhere } = proposal;
        // A write that is too old must not get into the log, nor one whose sender does not know the time.
        let now_ms = time_ms();
        if lifetime.is_some_and(|lifetime| !may_be_proposed(lifetime, now_ms)) {
            let status = group.status();
            return Err(match status.role {
                Role::Leader => CallError::Undated { time_ms: now_ms },
                _ => CallError::NotLeader { leader: status.leader },
            });
        }
        // The entry carries the time, so that every replica decides by the same.
        let entry = Entry { time_ms: now_ms, lifetime, command: &command }.encode();
        // The entry holds these bytes, so a large command is not kept twice while the group commits it.
        drop(command);
        let written = group.write(entry, deadline).await.map_err(write_error)?;
        // Only a write at level ALL waits for each voter. It stands even where some voters lag.
        let lagging = match everywhere {
            true => group.wait_applied_everywhere(written.index, deadline).await.err().unwrap_or_default(),
            false => BTreeSet::new(),
        };
        let (index, term, time_ms) = (written.index, written.term, time_ms());
        Ok(CallAnswer::Written { index, term, reply: written.reply, lagging, time_ms })
    }

    async fn read_map(&self, mode: ReadMode, deadline: Instant) -> Result<CallAnswer, CallError> {
        let meta = self.meta()?;
        let point = meta.read(mode, deadline).await.map_err(|error| read_error(error, &meta))?;
        Ok(CallAnswer::Read { point, found: QueryAnswer::Map(meta.machine().map()) })
    }

    /// Waits until the replica of `group` is as fresh as wanted for a query, given with the room of its answer.
    async fn fresh(
        &self,
        group: GroupId,
        wanted: Freshness,
        (query, room): (Arc<Query>, usize),
        deadline: Instant,
    ) -> Result<FreshMachine, CallError> {
        let (_, replica) = self.shard(group)?;
        let point = wanted.wait(&replica, deadline).await?;
        Ok(FreshMachine { point, machine: replica.machine(), query, room })
    }

    /// Looks at all machines that are ready, side by side where the pool finds it worthwhile.
    async fn look_at(&self, steps: Vec<(usize, CallStep)>, deadline: Instant) -> Vec<(usize, CallResult)> {
        let (mut answers, mut looks) = (Vec::new(), Vec::new());
        for (place, step) in steps {
            match step {
                CallStep::Done(answer) => answers.push((place, answer)),
                CallStep::FreshMachine(look) => looks.push((place, look)),
            }
        }
        if looks.is_empty() {
            return answers;
        }
        // Each part is tried, and one that turns out to be long is carried out apart.
        let units: Vec<(FreshMachine, usize)> = looks.iter().flat_map(|(_, look)| look.units()).collect();
        let work = |(look, place): (FreshMachine, usize)| try_part(&look.machine, &look.query, place, look.room);
        let tried = self.pool.each(deadline, units.clone(), work).await;
        let found = units.into_iter().zip(tried).map(|(unit, tried)| self.at_length(unit, tried, deadline));
        let mut found = join_all(found).await.into_iter();
        for (place, FreshMachine { point, query, .. }) in looks {
            // All of them are taken, whatever the first of them says: the next look's begin behind.
            let parts: Vec<_> = found.by_ref().take(parts(&query)).collect();
            answers.push((place, whole(parts.into_iter()).map(|found| CallAnswer::Read { point, found })));
        }
        answers
    }

    /// What a part comes to that was tried: one that is long is carried out now.
    async fn at_length(
        &self,
        (look, place): (FreshMachine, usize),
        tried: Result<Result<Option<PartAnswer>, CallError>, QueryFailure>,
        deadline: Instant,
    ) -> Result<PartAnswer, CallError> {
        // Most parts are not long, and the try has found all of them.
        if let Some(part) = tried?? {
            return Ok(part);
        }
        let long = move |meter: &Meter<'_>| long_part(&look.machine, &look.query, place, meter, look.room).transpose();
        self.pool.run_long(deadline, long).await?
    }

    fn meta(&self) -> Result<Group<MetaMachine>, CallError> {
        self.groups.meta().ok_or_else(|| self.not_here(META))
    }

    fn shard(&self, group: GroupId) -> Result<(ShardId, Group<Engine>), CallError> {
        let shard = ShardId::of_group(group).ok_or_else(|| self.not_here(group))?;
        self.groups.shard(shard).map(|replica| (shard, replica)).ok_or_else(|| self.not_here(group))
    }

    fn not_here(&self, group: GroupId) -> CallError {
        let closed = self.groups.closed(group);
        CallError::NotHere {
            reason: closed.unwrap_or_else(|| format!("no replica of {} is open here", group_name(group))),
        }
    }
}

/// A command that is to be committed.
pub(in crate::routing) struct Proposal {
    pub(in crate::routing) command: Bytes,
    pub(in crate::routing) lifetime: Option<Lifetime>,
    /// Whether to wait until every voter has applied it.
    pub(in crate::routing) everywhere: bool,
}

/// A machine that counts its group's time.
pub(in crate::routing) trait TimedMachine: Machine {
    /// The greatest time that a command has carried.
    fn time_ms(&self) -> u64;
}

impl TimedMachine for Engine {
    fn time_ms(&self) -> u64 {
        Engine::time_ms(self)
    }
}

impl TimedMachine for MetaMachine {
    fn time_ms(&self) -> u64 {
        MetaMachine::time_ms(self)
    }
}

/// A call on its way.
enum CallStep {
    /// It is at its end.
    Done(CallResult),
    /// Its replica is ready.
    FreshMachine(FreshMachine),
}

type CallResult = Result<CallAnswer, CallError>;

/// A machine fresh enough to be looked at, and what for.
#[derive(Clone)]
struct FreshMachine {
    /// How fresh it is.
    point: ReadPoint,
    machine: Arc<Engine>,
    query: Arc<Query>,
    /// Bytes of payloads and vectors that the answer may carry.
    room: usize,
}

impl FreshMachine {
    /// The parts of the look, by their places.
    fn units(&self) -> impl Iterator<Item = (Self, usize)> {
        (0..parts(&self.query)).map(|place| (self.clone(), place))
    }
}

/// Collects the steps that come at once. Replicas under a lease are ready within microseconds of each other, and one
/// call to the query threads for all of them costs less than one for each. A replica that takes longer holds up no
/// other.
async fn settle<S: Stream<Item = T> + Unpin, T>(steps: &mut S) -> Vec<T> {
    // Take what is ready within the time, and leave the rest.
    let mut settled = Vec::new();
    let mut soon = std::pin::pin!(tokio::time::sleep(SETTLE));
    loop {
        tokio::select! {
            biased;
            step = steps.next() => match step {
                Some(step) => settled.push(step),
                None => return settled,
            },
            () = &mut soon => return settled,
        }
    }
}

/// Checks that a shard takes more vectors while `waiting` of its vectors wait to be indexed.
///
/// # Errors
/// [`CallError::Busy`] where too many wait. Nothing was appended then.
fn room_for_more(waiting: u64) -> Result<(), CallError> {
    if waiting < MAX_WAITING_VECTORS {
        return Ok(());
    }
    Err(CallError::Busy {
        limit: format!(
            "{waiting} vectors of this shard wait to be indexed, the limit is {MAX_WAITING_VECTORS}: write more slowly, \
             or give the nodes more --index-threads or a greater --index-share"
        ),
    })
}

fn write_error(error: WriteError) -> CallError {
    match error {
        WriteError::NotLeader { leader } => CallError::NotLeader { leader },
        WriteError::Busy => CallError::Busy { limit: error.to_string() },
        WriteError::Indeterminate { reason } => CallError::Indeterminate { reason },
        WriteError::Stopped { reason } => CallError::Stopped { reason },
    }
}

#[cfg(test)]
mod tests;
