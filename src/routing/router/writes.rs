//! Writing and deleting points: split by shard, one log entry per shard, all or nothing in each.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use raft_groups::{NodeId, ReadMode, ReadPoint, Role};
use uuid::Uuid;

use super::shard_calls::in_words;
use super::{Router, unfit_answer};
use crate::engine::{CollectionId, Command, Lifetime, PointId, PointWrite, Reply, RequestId, Selector};
use crate::placement::ShardId;
use crate::routing::dispatch::pending_call::names;
use crate::routing::dispatch::scatter::CallOutcome;
use crate::routing::rpc::message::{Call, CallAnswer};
use crate::routing::{
    Acknowledge, CallOptions, Collection, Committed, DeleteOutcome, LogPoint, Ring, RouteError, SessionToken,
    ShardEvidence, WriteOutcome, WrittenPoint,
};

/// One shard's part of a write, and the places of its items in the request.
struct ShardWrite {
    command: Bytes,
    places: Vec<usize>,
}

/// What the shards made of a write.
#[derive(Default)]
struct WriteTally {
    /// Written points with their places in the request.
    points: Vec<(usize, WrittenPoint)>,
    deleted: u64,
    done: Vec<ShardId>,
    token: SessionToken,
    /// Who committed each part, and where in its log.
    took: Vec<(ShardId, NodeId, ReadPoint)>,
    /// Nodes that have not applied their part in time.
    lagging: BTreeSet<NodeId>,
    failed: Vec<(ShardId, Box<RouteError>)>,
}

impl Router {
    /// Writes points: in each shard all of them or none.
    ///
    /// # Errors
    /// Positions in a refusal are those in `points`. [`RouteError::PartialWrite`] where shards differ.
    pub async fn upsert(
        &self,
        collection: &Collection,
        points: Vec<PointWrite>,
        acknowledge: Acknowledge,
        options: CallOptions,
    ) -> Result<WriteOutcome, RouteError> {
        self.on_successor(collection, |collection| self.upsert_into(collection, &points, acknowledge, options)).await
    }

    /// Deletes points: in each shard all that are selected or none.
    ///
    /// # Errors
    /// As [`Router::upsert`].
    pub async fn delete(
        &self,
        collection: &Collection,
        selector: Selector,
        acknowledge: Acknowledge,
        options: CallOptions,
    ) -> Result<DeleteOutcome, RouteError> {
        self.on_successor(collection, |collection| self.delete_from(collection, &selector, acknowledge, options)).await
    }

    async fn upsert_into(
        &self,
        collection: Collection,
        points: &[PointWrite],
        acknowledge: Acknowledge,
        options: CallOptions,
    ) -> Result<WriteOutcome, RouteError> {
        let id = collection.entry.id;
        // Each shard gets its points as one command, under one name.
        let split = self.split(id, points.iter().map(|point| point.id))?;
        let request = Some(scoped(options.request_id, id));
        let command = |places: &[usize]| {
            let points: Vec<&PointWrite> = places.iter().map(|place| &points[*place]).collect();
            Command::encode_upsert(id, request, &points)
        };
        let parts = split
            .into_iter()
            .map(|(shard, places)| (shard, ShardWrite { command: command(&places), places }))
            .collect();
        // The answer lists the points in the order of the request.
        let mut tally = self.write(&collection, parts, acknowledge, options).await?;
        tally.points.sort_by_key(|(place, _)| *place);
        let results = tally.points.into_iter().map(|(_, point)| point).collect();
        Ok(WriteOutcome { results, token: tally.token, shards: self.took(tally.took) })
    }

    async fn delete_from(
        &self,
        collection: Collection,
        selector: &Selector,
        acknowledge: Acknowledge,
        options: CallOptions,
    ) -> Result<DeleteOutcome, RouteError> {
        let id = collection.entry.id;
        // Each shard gets its part as one command, under one name.
        let request = Some(scoped(options.request_id, id));
        let part = |selector, places| {
            let command = Command::Delete { collection: id, request, selector }.encode();
            ShardWrite { command, places }
        };
        // Ids go to the shards that have them, a filter to all.
        let parts = match selector {
            Selector::Ids(ids) => {
                let pick = |places: &[usize]| Selector::Ids(places.iter().map(|place| ids[*place]).collect());
                let split = self.split(id, ids.iter().copied())?;
                split.into_iter().map(|(shard, places)| (shard, part(pick(&places), places))).collect()
            }
            Selector::Guarded(ids) => {
                let pick = |places: &[usize]| Selector::Guarded(places.iter().map(|place| ids[*place]).collect());
                let split = self.split(id, ids.iter().map(|(id, _)| *id))?;
                split.into_iter().map(|(shard, places)| (shard, part(pick(&places), places))).collect()
            }
            Selector::Filter(_) => {
                let shards = self.formed()?.shards.keys().copied().collect::<Vec<_>>();
                shards.into_iter().map(|shard| (shard, part(selector.clone(), Vec::new()))).collect()
            }
        };
        let tally = self.write(&collection, parts, acknowledge, options).await?;
        Ok(DeleteOutcome { deleted: tally.deleted, token: tally.token, shards: self.took(tally.took) })
    }

    /// The places of the points that belong to each shard.
    pub(super) fn split(
        &self,
        collection: CollectionId,
        ids: impl Iterator<Item = PointId>,
    ) -> Result<BTreeMap<ShardId, Vec<usize>>, RouteError> {
        let ring = Ring::of(&*self.formed()?).ok_or(RouteError::NotFormed)?;
        let mut split = BTreeMap::<ShardId, Vec<usize>>::new();
        for (place, id) in ids.enumerate() {
            split.entry(ring.shard(collection, id)).or_default().push(place);
        }
        Ok(split)
    }

    async fn write(
        &self,
        collection: &Collection,
        parts: BTreeMap<ShardId, ShardWrite>,
        acknowledge: Acknowledge,
        options: CallOptions,
    ) -> Result<WriteTally, RouteError> {
        // One call a shard. It gets a time of its group when it is sent.
        let everywhere = acknowledge == Acknowledge::AppliedEverywhere;
        let call = |shard: &ShardId, part: &ShardWrite| Call::Write {
            group: shard.group(),
            command: part.command.clone(),
            everywhere,
            lifetime: Some(Lifetime::unborn(options.made_by)),
        };
        let calls = parts.iter().map(|(shard, part)| (*shard, call(shard, part))).collect();
        // Count what each shard did, by the places of its items in the request.
        let mut tally = WriteTally::default();
        for (shard, outcome) in self.on_shards(collection, calls, options.deadline).await? {
            let places = parts.get(&shard).map_or(&[][..], |part| &part.places);
            tally.take(shard, places, outcome, collection);
        }
        tally.verdict(self)
    }

    /// The evidence of a write, which is never stale.
    fn took(&self, took: Vec<(ShardId, NodeId, ReadPoint)>) -> Vec<ShardEvidence> {
        let row = |(shard, leader, point): (ShardId, NodeId, ReadPoint)| {
            self.evidence(shard, leader, &point, ReadMode::Linearizable)
        };
        took.into_iter().map(row).collect()
    }
}

impl WriteTally {
    fn take(&mut self, shard: ShardId, places: &[usize], outcome: CallOutcome, collection: &Collection) {
        if let Err(error) = self.count(shard, places, outcome) {
            self.failed.push((shard, Box::new(in_words(error, collection))));
        }
    }

    fn count(&mut self, shard: ShardId, places: &[usize], outcome: CallOutcome) -> Result<(), RouteError> {
        let (leader, CallAnswer::Written { index, term, reply, lagging, .. }) = outcome? else {
            return Err(unfit_answer(Committed::Unknown));
        };
        match Reply::decode(&reply) {
            Ok(Reply::Upserted(versions)) if versions.len() == places.len() => {
                let point = |(id, version)| WrittenPoint { id, shard, version };
                self.points.extend(places.iter().copied().zip(versions.into_iter().map(point)));
            }
            Ok(Reply::Deleted { count, .. }) => self.deleted += count,
            Ok(Reply::Refused(refusal)) => {
                // The shard names an item by its place in the part, the client by its place in the request.
                let in_request = |place: usize| places.get(place).copied().unwrap_or(place);
                let refusal = refusal.with_position(|place| place.map(in_request));
                return Err(RouteError::Refused { refusal });
            }
            _ => return Err(unfit_answer(Committed::Unknown)),
        }
        // The token makes later reads of this client see the write.
        self.done.push(shard);
        self.token.raise(shard, LogPoint::new(term, index));
        let point = ReadPoint { role: Role::Leader, term, index, leader_contact: None };
        self.took.push((shard, leader, point));
        self.lagging.extend(lagging);
        Ok(())
    }

    fn verdict(mut self, router: &Router) -> Result<Self, RouteError> {
        // All shards have written. At level ALL some voter may not have applied it in time.
        if self.failed.is_empty() {
            if self.lagging.is_empty() {
                return Ok(self);
            }
            return Err(RouteError::NotEverywhere { missing: names(&router.map(), &self.lagging) });
        }
        if self.done.is_empty() {
            // Nothing is known to be done; if one shard is in doubt, so is the whole.
            let doubtful = self.failed.iter().position(|(_, error)| error.committed() != Committed::No);
            let (_, error) = self.failed.swap_remove(doubtful.unwrap_or_default());
            return Err(*error);
        }
        // The client learns which points are written, in the order of its request, and which shards failed.
        self.points.sort_by_key(|(place, _)| *place);
        let done = self.points.into_iter().map(|(_, point)| point).collect();
        Err(RouteError::PartialWrite { done, done_shards: self.done, failed: self.failed })
    }
}

/// The request id as shards know it, which depends on the collection. Where a collection was dropped and made anew
/// under the same name, its request is repeated on the new one. There it must not pass for a reuse of the same id.
fn scoped(request: RequestId, collection: CollectionId) -> RequestId {
    /// Odd, so that multiplying by it maps different numbers to different ones; 2^128 over the golden ratio.
    const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    RequestId(Uuid::from_u128(request.0.as_u128() ^ u128::from(collection.0).wrapping_mul(SPREAD)))
}
