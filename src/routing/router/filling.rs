//! Payloads and vectors of the points that an answer shows, and of no others.
//!
//! A shard cannot know which of its hits are among the best of all, so it sends only a little with each of them at
//! once. The rest is fetched afterwards for the points that are shown, from the same states. A point that has changed
//! since makes the whole answer void, and the answer is asked for anew. No answer carries more than [`MOST`], and all
//! shards together are given no more room than that.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use raft_groups::mutants::{Mutant, is_planted};
use raft_groups::recoveries;
use tokio::time::{Instant, timeout_at};

use super::read_shards::ShardQuestion;
use super::{Router, unfit_answer};
use crate::engine::{Carried, GetQuery, Hit, PayloadSelector, PointId, Record, VectorSelector};
use crate::placement::ShardId;
use crate::routing::answer::AnswerPlace;
use crate::routing::rpc::message::{Query, QueryAnswer};
use crate::routing::{
    Answer, Collection, Committed, Held, LogPoint, PageSearch, ReadOptions, RouteError, SessionToken, ShardEvidence,
};

/// Bytes of payloads and vectors that one answer may carry.
pub const MOST: u64 = 64 << 20;
/// Bytes that a shard sends at once with the hits of a search. Where there are many shards, each sends less.
const AT_ONCE: u64 = 128 << 10;
/// Bytes of vectors from which a search takes its place among the large answers before any shard is asked. Otherwise a
/// crowd of such searches would take the shards' time at once, and then wait for places with the vectors in memory.
const LARGE_FROM: usize = 1 << 20;
/// Large answers that are put together at once. Each may take several times its bytes meanwhile.
pub(super) const LARGE_AT_ONCE: usize = 1;
/// How long a large answer may wait for its shards. A client may allow itself more, but not those that wait behind it.
const LARGE_WITHIN: Duration = Duration::from_secs(30);
/// How often an answer is asked for if its points change meanwhile.
pub(super) const TRIES: u32 = 4;

/// A point that is shown.
pub(super) trait Shown {
    fn id(&self) -> PointId;
    fn version(&self) -> u64;
    fn weight(&self) -> usize;
    /// Returns `true` if something that is wanted of it has found no room.
    fn is_bare(&self, wanted: Carried<'_>) -> bool;
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

            fn is_bare(&self, (payload, vector): Carried<'_>) -> bool {
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
        // The client's own token may ask for a later state than the answer has shown.
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
        wanted: Carried<'_>,
        (spent, held): (&mut u64, &mut Held),
        options: &ReadOptions,
    ) -> Result<Filled, RouteError> {
        // What the shards have sent at once counts as well.
        *spent += points.iter().map(|(_, point)| point.weight() as u64).sum::<u64>();
        let mut bare: Vec<(ShardId, &mut T)> = points.into_iter().filter(|(_, point)| point.is_bare(wanted)).collect();
        // Each round fetches points for which the shards had no room before.
        while !bare.is_empty() && *spent <= MOST {
            let options = &self.become_large(held, options).await?;
            let asked = asked(collection, &bare, wanted, MOST - *spent);
            let mut found = Fetched::of(self.read(collection, asked, options).await?, &bare)?;
            let before = bare.len();
            let mut still = Vec::new();
            for (shard, point) in bare {
                match found.take(point.id()) {
                    Some(record) if record.version == point.version() || is_planted(Mutant::MixesStates) => {
                        point.fill(record);
                        *spent += point.weight() as u64;
                        if point.is_bare(wanted) {
                            still.push((shard, point));
                        }
                    }
                    // The point is gone or is of a later state: a mixture of states must not be shown.
                    _ => return Ok(Filled::Void),
                }
                if *spent > MOST {
                    break;
                }
            }
            bare = still;
            // Were there room for all, there would be for all of some shard.
            if bare.len() == before {
                return Err(RouteError::AnswerTooLarge { limit: MOST });
            }
        }
        match *spent > MOST {
            true => Err(RouteError::AnswerTooLarge { limit: MOST }),
            false => Ok(Filled::Whole),
        }
    }
}

/// The records that shards have sent, each with the number of places where it is shown.
struct Fetched(HashMap<PointId, (Record, usize)>);

impl Fetched {
    fn of<T: Shown>(
        answer: Answer<Vec<(ShardId, QueryAnswer)>>,
        shown: &[(ShardId, &mut T)],
    ) -> Result<Self, RouteError> {
        let mut found = HashMap::new();
        for (_, part) in answer.value {
            let QueryAnswer::Records(records) = part else { return Err(unfit_answer(Committed::No)) };
            found.extend(records.into_iter().map(|record| (record.id, (record, 0))));
        }
        // A point may be shown in several places, and each of them gets its record.
        for (_, point) in shown {
            found.entry(point.id()).and_modify(|(_, places)| *places += 1);
        }
        Ok(Self(found))
    }

    /// The record of a point, for one of its places: a copy, unless it is the last of them.
    fn take(&mut self, id: PointId) -> Option<Record> {
        let (record, places) = self.0.get_mut(&id)?;
        *places -= 1;
        if *places > 0 { Some(record.clone()) } else { self.0.remove(&id).map(|(record, _)| record) }
    }
}

impl Router {
    /// Waits until the answer may be large. Gives the options of its reads from then on.
    ///
    /// # Errors
    /// [`RouteError::Overloaded`] where it may not be by the deadline.
    pub(super) async fn become_large(&self, held: &mut Held, options: &ReadOptions) -> Result<ReadOptions, RouteError> {
        // The answer keeps its place, however often it asks its shards.
        let until = match &held.0 {
            Some(place) => place.until,
            None => {
                let place = timeout_at(options.deadline, Arc::clone(&self.large).acquire_owned()).await;
                let Ok(Ok(permit)) = place else { return Err(too_many_large()) };
                let until = match is_planted(Mutant::WaitsAsLongAsClients) {
                    true => options.deadline,
                    false => options.deadline.min(Instant::now() + LARGE_WITHIN),
                };
                held.0 = Some(AnswerPlace { _permit: Arc::new(permit), until });
                until
            }
        };
        Ok(ReadOptions { deadline: until, ..options.clone() })
    }
}

fn too_many_large() -> RouteError {
    let limit = format!("{LARGE_AT_ONCE} answers of more than {} KiB a shard are put together at once", AT_ONCE >> 10);
    RouteError::Overloaded { limit }
}

/// Returns `true` if the vectors that `searches` want come to [`LARGE_FROM`] where each finds as many points as it may.
/// Payloads may have any size, and count once they have come.
pub(super) fn asks_for_much(collection: &Collection, searches: &[PageSearch]) -> bool {
    let bytes = |PageSearch { query, limit, .. }: &PageSearch| {
        let shown = |name: &str| match &query.with_vector {
            VectorSelector::None => false,
            VectorSelector::All => true,
            VectorSelector::Names(names) => names.contains(name),
        };
        // The numbers are the client's, so the sums stop at the largest number.
        let vectors = collection.entry.config.vectors.iter().filter(|(name, _)| shown(name));
        let components = vectors.map(|(_, params)| params.size).fold(0, usize::saturating_add);
        components.saturating_mul(size_of::<f32>()).saturating_mul(*limit)
    };
    searches.iter().map(bytes).fold(0, usize::saturating_add) >= LARGE_FROM && !is_planted(Mutant::AsksAllAtOnce)
}

/// What each shard is asked for, each point once however often it is shown, and with its share of the room.
fn asked<T: Shown>(
    collection: &Collection,
    bare: &[(ShardId, &mut T)],
    (payload, vector): Carried<'_>,
    room: u64,
) -> Vec<ShardQuestion> {
    // Ask for each point once.
    let mut by_shard = BTreeMap::<ShardId, BTreeSet<PointId>>::new();
    for (shard, point) in bare {
        by_shard.entry(*shard).or_default().insert(point.id());
    }
    // Divide the room by the number of points.
    let all: usize = by_shard.values().map(BTreeSet::len).sum();
    let of_shard = |(shard, ids): (ShardId, BTreeSet<PointId>)| {
        let room = (room * ids.len() as u64).div_ceil(all as u64);
        let (ids, with_payload, with_vector) = (ids.into_iter().collect(), payload.clone(), vector.clone());
        let query = GetQuery { collection: collection.entry.id, ids, with_payload, with_vector };
        ShardQuestion { shard, query: Query::Get(query).into(), room: Some(room) }
    };
    by_shard.into_iter().map(of_shard).collect()
}

/// The room of each shard, in bytes, before it is known which points are shown. A further `attempt` asks for more at
/// once, so that less can change before the rest is fetched.
pub(super) fn at_once(shards: usize, attempt: u32) -> u64 {
    (AT_ONCE << (3 * attempt.min(TRIES))).min(share(shards))
}

/// The part of each shard in the largest answer, in bytes.
pub(super) fn share(shards: usize) -> u64 {
    MOST / shards.max(1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_given_no_more_together_than_an_answer_may_carry() {
        for shards in [1, 2, 8, 511, 512, 513, 4_096] {
            let rooms = (0..2 * TRIES).map(|attempt| at_once(shards, attempt) * shards as u64);
            assert!(rooms.collect::<Vec<_>>().windows(2).all(|pair| pair[0] <= pair[1] && pair[1] <= MOST));
            assert!(share(shards) > 0);
        }
        assert_eq!((at_once(8, 0), at_once(8, 1), at_once(8, 2)), (128 << 10, 1 << 20, 8 << 20));
        assert_eq!(at_once(4_096, 0), 16 << 10);
    }
}
