//! What comes back from the shards, merged, with the evidence of who served it.

use std::sync::Arc;

use raft_groups::Role;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::{Collection, SessionToken};
use crate::engine::{Explain, Hit, PointId, Record};
use crate::placement::{NodeName, ShardId};

/// A read's answer.
#[derive(Debug, Clone)]
pub struct Answer<T> {
    /// The merged result.
    pub value: T,
    /// Who served each shard and at which state, by shard.
    pub shards: Vec<ShardEvidence>,
    /// Shards that are not in the answer, and why; empty unless the request allowed it.
    pub missing: Vec<(ShardId, String)>,
    /// Kept as long as the answer is.
    pub held: Held,
}

/// The place that a large answer holds, since only few are put together at once. Any other answer holds nothing.
#[derive(Debug, Clone, Default)]
pub struct Held(pub(super) Option<AnswerPlace>);

/// A place among the large answers.
#[derive(Debug, Clone)]
pub(super) struct AnswerPlace {
    pub _permit: Arc<OwnedSemaphorePermit>,
    /// By when the shards must have given all that the answer shows.
    pub until: Instant,
}

impl Held {
    /// Whether the answer is a large one: to print it takes a while.
    pub fn is_large(&self) -> bool {
        self.0.is_some()
    }
}

/// Which replica served a shard, and how fresh its state was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardEvidence {
    /// The shard.
    pub shard: ShardId,
    /// The node whose replica answered.
    pub served_by: NodeName,
    /// The replica's part in its group at that moment.
    pub role: Role,
    /// The term it was in.
    pub term: u64,
    /// The answer reflects at least this log index.
    pub index: u64,
    /// Milliseconds since that replica last heard its leader; `None` if never since it started. For the modes that
    /// are never stale it is 0.
    pub staleness_ms: Option<u64>,
}

/// One page of a search.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SearchAnswer {
    /// The points, best first, each with its shard.
    pub hits: Vec<(ShardId, Hit)>,
    /// How each shard found its part.
    pub explains: Vec<(ShardId, Explain)>,
}

/// One page of a scroll.
#[derive(Debug, Clone, PartialEq)]
pub struct ScrollAnswer {
    /// The points in the order of their ids, each with its shard.
    pub records: Vec<(ShardId, Record)>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<PointId>,
}

/// A point as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenPoint {
    /// The point.
    pub id: PointId,
    /// Where it lives.
    pub shard: ShardId,
    /// Its new version: the log index of the write in that shard.
    pub version: u64,
}

/// What became of an upsert, all of whose points were written.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteOutcome {
    /// The points in the request's order.
    pub results: Vec<WrittenPoint>,
    /// Passed as `after`, it makes any read see these writes.
    pub token: SessionToken,
    /// Who took the write, one row for each shard.
    pub shards: Vec<ShardEvidence>,
}

/// What became of a deletion that every shard carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct DeleteOutcome {
    /// How many points existed and are gone.
    pub deleted: u64,
    /// Passed as `after`, it makes any read see the deletion.
    pub token: SessionToken,
    /// Who took the deletion, one row for each shard.
    pub shards: Vec<ShardEvidence>,
}

/// What became of the creation of a collection.
#[derive(Debug, Clone, PartialEq)]
pub struct Created {
    /// The collection.
    pub collection: Collection,
    /// Whether it had been there before, with the same settings.
    pub existed: bool,
    /// Shards that could not be told in time. They learn of the collection with its first request there.
    pub pending: Vec<ShardId>,
}

/// What became of a change to the indexed payload fields: the map has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indexed {
    /// Version of the collection's payload schema.
    pub version: u64,
    /// Whether every shard has it too; the others learn of it by themselves.
    pub everywhere: bool,
}
