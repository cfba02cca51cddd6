//! Payloads and vectors of the points that an answer shows, and of no others.
//!
//! A shard cannot know which of its hits are among the best of all, so it sends only a little with them at once. What is
//! still wanted of those that are shown is fetched afterwards, from the same states: a point that has changed since makes
//! the whole answer void, and it is asked for anew. No answer carries more than [`MOST`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use raft_groups::mutants::{Mutant, is_planted};
use raft_groups::recoveries;
use tokio::time::{Instant, timeout_at};

use super::super::rpc::{Found, Query};
use super::{Router, unfit_answer};
use crate::engine::{GetQuery, Hit, PayloadSelector, PointId, Record, VectorSelector};
use crate::placement::ShardId;
use crate::routing::{Collection, Committed, Held, LogPoint, ReadOptions, RouteError, SessionToken, ShardEvidence};

/// Bytes of payloads and vectors that one answer may carry.
pub(super) const MOST: u64 = 64 << 20;
/// Bytes that a shard sends with the hits of a search at once.
pub(super) const AT_ONCE: u64 = 128 << 10;
/// Answers that are put together at once of those that carry more: each may take several times its bytes meanwhile.
pub(super) const LARGE_AT_ONCE: usize = 1;
/// How often an answer is asked for whose points change meanwhile.
pub(super) const TRIES: u32 = 4;

/// What of each point is wanted.
pub(super) type Wanted<'a> = (&'a PayloadSelector, &'a VectorSelector);

/// A point that is shown.
pub(super) trait Shown {
    fn id(&self) -> PointId;
    fn version(&self) -> u64;
    fn weight(&self) -> usize;
    /// Whether something that is wanted of it has found no room.
    fn is_bare(&self, wanted: Wanted<'_>) -> bool;
    fn fill(&mut self, record: Record);
}

macro_rules! shown {
    ($type:ty) => {
        impl Shown for $type {
            fn id(&self) -> PointId {
                self.id
            }

            fn version(&self) -> u64 {
                self.version
            }

            fn weight(&self) -> usize {
                <$type>::weight(self)
            }

            fn is_bare(&self, (payload, vector): Wanted<'_>) -> bool {
                *payload != PayloadSelector::None && self.payload.is_none()
                    || *vector != VectorSelector::None && self.vectors.is_none()
            }

            fn fill(&mut self, record: Record) {
                (self.payload, self.vectors) = (record.payload, record.vectors);
            }
        }
    };
}

shown!(Hit);
shown!(Record);

/// Whether an answer that was filled is one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filled {
    Whole,
    /// A point has changed since.
    Void,
}

/// The options of a read that sees the states that `shards` tell of, or later ones. It fails where a shard does.
pub(super) fn not_before(options: &ReadOptions, shards: &[ShardEvidence]) -> ReadOptions {
    let mut after = options.after.clone().unwrap_or_else(|| SessionToken(BTreeMap::new()));
    for shard in shards {
        let seen = LogPoint { recovered: recoveries(shard.term), index: shard.index };
        let point = after.0.entry(shard.shard).or_insert(seen);
        *point = (*point).max(seen);
    }
    ReadOptions { after: Some(after), allow_partial: false, ..options.clone() }
}

impl Router {
    /// Fetches what is wanted of those of `points` that are bare; `spent` counts the bytes of the whole answer.
    /// A place among the large answers is taken into `held` where one is needed.
    ///
    /// # Errors
    /// [`RouteError::AnswerTooLarge`], or why a shard could not serve.
    pub(super) async fn fill<T: Shown>(
        &self,
        collection: &Collection,
        points: Vec<(ShardId, &mut T)>,
        wanted: Wanted<'_>,
        (spent, held): (&mut u64, &mut Held),
        options: &ReadOptions,
    ) -> Result<Filled, RouteError> {
        *spent += points.iter().map(|(_, point)| point.weight() as u64).sum::<u64>();
        let mut bare: Vec<(ShardId, &mut T)> = points.into_iter().filter(|(_, point)| point.is_bare(wanted)).collect();
        while !bare.is_empty() {
            if *spent >= MOST {
                return Err(RouteError::AnswerTooLarge { limit: MOST });
            }
            self.become_large(held, options.deadline).await?;
            let calls = calls(collection, &bare, wanted, MOST - *spent);
            let answer = self.read(collection, calls, options).await?;
            let mut found = HashMap::new();
            for (_, part) in answer.value {
                let Found::Records(records) = part else { return Err(unfit_answer(Committed::No)) };
                found.extend(records.into_iter().map(|record| (record.id, record)));
            }
            let mut still = Vec::new();
            for (shard, point) in bare {
                match found.remove(&point.id()) {
                    Some(record) if record.version == point.version() || is_planted(Mutant::MixesStates) => {
                        *spent += record.weight() as u64;
                        point.fill(record);
                        if point.is_bare(wanted) {
                            still.push((shard, point));
                        }
                    }
                    _ => return Ok(Filled::Void),
                }
            }
            bare = still;
        }
        match *spent > MOST {
            true => Err(RouteError::AnswerTooLarge { limit: MOST }),
            false => Ok(Filled::Whole),
        }
    }
}

impl Router {
    /// Waits until the answer may be large.
    ///
    /// # Errors
    /// [`RouteError::Overloaded`] where it may not be by the deadline.
    pub(super) async fn become_large(&self, held: &mut Held, deadline: Instant) -> Result<(), RouteError> {
        if held.0.is_some() {
            return Ok(());
        }
        match timeout_at(deadline, Arc::clone(&self.large).acquire_owned()).await {
            Ok(Ok(place)) => {
                held.0 = Some(Arc::new(place));
                Ok(())
            }
            Ok(Err(_)) | Err(_) => {
                let limit = format!(
                    "{LARGE_AT_ONCE} answers of more than {} KiB a shard are put together at once",
                    AT_ONCE >> 10
                );
                Err(RouteError::Overloaded { limit })
            }
        }
    }
}

/// One call for each shard, each with its share of the room.
fn calls<T: Shown>(
    collection: &Collection,
    bare: &[(ShardId, &mut T)],
    (payload, vector): Wanted<'_>,
    room: u64,
) -> Vec<super::reads::Asked> {
    let mut by_shard = BTreeMap::<ShardId, Vec<PointId>>::new();
    for (shard, point) in bare {
        by_shard.entry(*shard).or_default().push(point.id());
    }
    let of_shard = |(shard, ids): (ShardId, Vec<PointId>)| {
        let room = share(room, ids.len(), bare.len());
        let (with_payload, with_vector) = (payload.clone(), vector.clone());
        let query = GetQuery { collection: collection.entry.id, ids, with_payload, with_vector };
        super::reads::Asked { shard, query: Query::Get(query).into(), room: Some(room) }
    };
    by_shard.into_iter().map(of_shard).collect()
}

/// The room of a shard that has so many of all points.
pub(super) fn share(room: u64, points: usize, all: usize) -> u64 {
    (room.saturating_mul(points as u64) / (all.max(1) as u64)).max(AT_ONCE)
}
