//! One read of several shards: what each is asked, the evidence of who answered, and when an answer may do without some.

use std::sync::Arc;
use std::time::Duration;

use raft_groups::{NodeId, ReadMode, ReadPoint};

use super::shard_calls::in_words;
use super::{Router, unfit_answer};
use crate::placement::{NodeName, ShardId};
use crate::routing::dispatch::scatter::CallOutcome;
use crate::routing::rpc::message::{Call, CallAnswer, Query, QueryAnswer};
use crate::routing::{Answer, Collection, Committed, Held, ReadOptions, RouteError, ShardEvidence};

/// What a shard is asked.
#[derive(Clone)]
pub(super) struct ShardQuestion {
    pub(super) shard: ShardId,
    pub(super) query: Arc<Query>,
    /// Bytes of payloads and vectors that the answer may carry.
    pub(super) room: Option<u64>,
}

impl Router {
    /// The same query for every shard, each with its room.
    pub(super) fn everywhere(
        &self,
        query: &Arc<Query>,
        room: impl Fn(ShardId) -> Option<u64>,
    ) -> Result<Vec<ShardQuestion>, RouteError> {
        let asked = |shard: &ShardId| ShardQuestion { shard: *shard, query: query.clone(), room: room(*shard) };
        Ok(self.formed()?.shards.keys().map(asked).collect())
    }

    pub(super) async fn read(
        &self,
        collection: &Collection,
        asked: Vec<ShardQuestion>,
        options: &ReadOptions,
    ) -> Result<Answer<Vec<(ShardId, QueryAnswer)>>, RouteError> {
        let calls = asked.into_iter().map(|asked| (asked.shard, call(asked, options))).collect();
        let mut answer = Answer { value: Vec::new(), shards: Vec::new(), missing: Vec::new(), held: Held::default() };
        let mut first_error = None;
        for (shard, outcome) in self.on_shards(collection, calls, options.deadline).await? {
            match self.part(shard, outcome, options.mode) {
                Ok((evidence, found)) => {
                    answer.shards.push(evidence);
                    answer.value.push((shard, found));
                }
                // No other shard can answer for these: they are about the request, not about the shard.
                Err(error @ (RouteError::Refused { .. } | RouteError::CollectionNotFound { .. })) => {
                    return Err(in_words(error, collection));
                }
                Err(error) => {
                    answer.missing.push((shard, error.to_string()));
                    first_error.get_or_insert(error);
                }
            }
        }
        // Where a partial answer is not allowed, or no shard has answered, the first failure is the answer.
        match first_error {
            Some(error) if !options.allow_partial || answer.value.is_empty() => Err(error),
            _ => Ok(answer),
        }
    }

    fn part(
        &self,
        shard: ShardId,
        outcome: CallOutcome,
        mode: ReadMode,
    ) -> Result<(ShardEvidence, QueryAnswer), RouteError> {
        match outcome? {
            (node, CallAnswer::Read { point, found }) => Ok((self.evidence(shard, node, &point, mode), found)),
            _ => Err(unfit_answer(Committed::No)),
        }
    }

    pub(super) fn evidence(&self, shard: ShardId, node: NodeId, point: &ReadPoint, mode: ReadMode) -> ShardEvidence {
        let known = self.map().nodes.get(&node).map(|entry| entry.name.clone());
        // It may have left the map since it answered, and the answer is as good as before.
        let served_by = known.unwrap_or_else(|| NodeName::departed(node));
        let staleness_ms = match mode {
            ReadMode::Follower => point.leader_contact.map(millis),
            ReadMode::Lease | ReadMode::Linearizable => Some(0),
        };
        ShardEvidence { shard, served_by, role: point.role, term: point.term, index: point.index, staleness_ms }
    }
}

fn call(ShardQuestion { shard, query, room }: ShardQuestion, options: &ReadOptions) -> Call {
    let after = options.after.as_ref().and_then(|token| token.0.get(&shard)).copied();
    let max_staleness_ms = options.max_staleness.map(millis);
    Call::Read { group: shard.group(), mode: options.mode, after, max_staleness_ms, query, room }
}

/// Whether an answer without what could not be fetched may be tried for: who asks anew learns which shards are missing.
pub(super) fn may_be_partial(error: &RouteError, options: &ReadOptions) -> bool {
    options.allow_partial && !matches!(error, RouteError::AnswerTooLarge { .. })
}

/// The points of an answer were changed again and again while it was put together.
pub(super) fn restless() -> RouteError {
    RouteError::Overloaded { limit: "its points change faster than they can be read; ask for fewer at once".to_owned() }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
