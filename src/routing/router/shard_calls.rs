//! Calls to the shards of one collection, and the cure where a shard does not know the collection.

use tokio::time::Instant;

use super::Router;
use crate::engine::{Refusal, Reply};
use crate::placement::{CollectionEntry, ShardId};
use crate::routing::dispatch::pending_call::PendingCall;
use crate::routing::dispatch::scatter::CallOutcome;
use crate::routing::rpc::message::{Call, CallAnswer};
use crate::routing::{Collection, Committed, RouteError};

impl Router {
    /// Carries out one call per shard. A shard that does not know the collection is told of it and asked again, if the
    /// collection still exists.
    ///
    /// # Errors
    /// [`RouteError::CollectionNotFound`] where the collection is gone, or why the map could not be read, and no shard
    /// has done or may have done anything; what shards failed at is otherwise in the outcomes.
    pub(super) async fn on_shards(
        &self,
        collection: &Collection,
        calls: Vec<(ShardId, Call)>,
        deadline: Instant,
    ) -> Result<Vec<(ShardId, CallOutcome)>, RouteError> {
        let pending = calls.iter().map(|(shard, call)| PendingCall::new(Some(*shard), call.clone())).collect();
        let mut outcomes = self.scatter.run(pending, deadline).await;
        // A shard may have missed the creation of the collection. That is mended, and no failure.
        let strangers: Vec<usize> = (0..outcomes.len()).filter(|place| is_stranger(&outcomes[*place])).collect();
        if !strangers.is_empty() {
            match self.still_there(collection, deadline).await {
                Ok(entry) => {
                    for (place, outcome) in self.cure(&entry, &calls, strangers, deadline).await {
                        outcomes[place] = outcome;
                    }
                }
                Err(error) if outcomes.iter().all(is_certainly_undone) => return Err(error),
                // What other shards have done, or may have, must not be hidden behind one error.
                Err(error) => strangers.into_iter().for_each(|place| outcomes[place] = Err(error.clone())),
            }
        }
        Ok(calls.into_iter().map(|(shard, _)| shard).zip(outcomes).collect())
    }

    /// The collection's entry in the map as it is now.
    ///
    /// # Errors
    /// [`RouteError::CollectionNotFound`] where it is gone from there and from every shard.
    async fn still_there(&self, collection: &Collection, deadline: Instant) -> Result<CollectionEntry, RouteError> {
        let map = self.fresh_map(deadline).await?;
        match map.collections.get(&collection.name) {
            Some(entry) if entry.id == collection.entry.id => Ok(entry.clone()),
            _ => {
                // The client may hear that the collection is gone only once no shard has it.
                self.free_name(&map, &collection.name, deadline).await?;
                Err(RouteError::CollectionNotFound { name: collection.name.clone() })
            }
        }
    }

    /// Introduces the collection to the shards at `places` and repeats their calls, which then must see it.
    async fn cure(
        &self,
        entry: &CollectionEntry,
        calls: &[(ShardId, Call)],
        places: Vec<usize>,
        deadline: Instant,
    ) -> Vec<(usize, CallOutcome)> {
        let shards: Vec<ShardId> = places.iter().map(|place| calls[*place].0).collect();
        let known_from = self.introduce(&shards, entry, deadline).await;
        // A repeated call must see the collection, so it waits for the entry that introduced it.
        let (mut cured, mut retried, mut pending) = (Vec::new(), Vec::new(), Vec::new());
        for (place, point) in places.into_iter().zip(known_from) {
            let (shard, call) = &calls[place];
            match point {
                Ok(point) => {
                    retried.push(place);
                    pending.push(PendingCall::new(Some(*shard), call.clone().not_before(point)));
                }
                Err(error) => cured.push((place, Err(error))),
            }
        }
        cured.extend(retried.into_iter().zip(self.scatter.run(pending, deadline).await));
        cured
    }
}

/// Whether the shard answered that it does not know the collection.
fn is_stranger(outcome: &CallOutcome) -> bool {
    // A shard refuses a read by an error, and a write by a reply from its log.
    match outcome {
        Err(RouteError::Refused { refusal }) => matches!(refusal, Refusal::CollectionNotFound { .. }),
        Ok((_, CallAnswer::Written { reply, .. })) => {
            matches!(Reply::decode(reply), Ok(Reply::Refused(Refusal::CollectionNotFound { .. })))
        }
        _ => false,
    }
}

/// Whether the shard has given nothing and certainly changed nothing.
fn is_certainly_undone(outcome: &CallOutcome) -> bool {
    match outcome {
        Err(error) => error.committed() == Committed::No,
        Ok((_, CallAnswer::Written { reply, .. })) => matches!(Reply::decode(reply), Ok(Reply::Refused(_))),
        Ok(_) => false,
    }
}

/// A shard's failure in the words of the request: one that does not know the collection after all means it is gone.
pub(super) fn in_words(error: RouteError, collection: &Collection) -> RouteError {
    match error {
        RouteError::Refused { refusal: Refusal::CollectionNotFound { .. } | Refusal::CollectionDropped { .. } } => {
            RouteError::CollectionNotFound { name: collection.name.clone() }
        }
        other => other,
    }
}
