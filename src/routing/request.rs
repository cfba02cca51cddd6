//! How a request wants to be carried out, in the words of routing.

use std::time::Duration;

use raft_groups::ReadMode;
use tokio::time::Instant;

use super::SessionToken;
use crate::engine::{CollectionId, MadeBy, PointId, RequestId, SearchQuery, default_ef};
use crate::placement::CollectionEntry;

/// A collection that was found in the map; requests on its points start from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    /// Its name.
    pub name: String,
    /// What the map says of it.
    pub entry: CollectionEntry,
}

/// A search, and the page of its hits that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct PageSearch {
    /// The search; routing sets its `collection` and its `limit`.
    pub query: SearchQuery,
    /// Best hits to skip.
    pub offset: usize,
    /// Hits wanted at most.
    pub limit: usize,
    /// A point that counts as no hit: the one that is searched by.
    pub left_out: Option<PointId>,
}

impl PageSearch {
    /// What each of `shards` shards is asked. Any of its hits may be among the first `offset + limit` of all, but the
    /// more shards there are, the fewer are likely to be. Where a point is left out, one hit more is asked for, since
    /// that point can be anywhere among hits of equal distance. To filter it out in the shards would cost a look at the
    /// id of every other point.
    pub(super) fn of(&self, collection: CollectionId, shards: usize) -> SearchQuery {
        let limit = self.offset.saturating_add(self.limit).saturating_add(usize::from(self.left_out.is_some()));
        let mut query = SearchQuery { collection, limit, ..self.query.clone() };
        query.params.ef.get_or_insert_with(|| default_ef(limit, shards));
        query
    }
}

/// How a write wants to be carried out.
#[derive(Debug, Clone, Copy)]
pub struct CallOptions {
    /// When the client stops waiting.
    pub deadline: Instant,
    /// The write's name, by which a shard knows a retry from a new write.
    pub request_id: RequestId,
    /// Who gave it that name.
    pub made_by: MadeBy,
}

/// When a write is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledge {
    /// When a majority holds it and the leader has applied it.
    Committed,
    /// When, in addition, every voter has applied it.
    AppliedEverywhere,
}

/// How a read wants to be carried out.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// How fresh each shard's state must be.
    pub mode: ReadMode,
    /// Writes that must be seen even where `mode` would not promise it.
    pub after: Option<SessionToken>,
    /// The longest a follower may have heard nothing of its leader. Bounds [`ReadMode::Follower`] only.
    pub max_staleness: Option<Duration>,
    /// Whether an answer without some of the shards is better than none.
    pub allow_partial: bool,
    /// When the client stops waiting.
    pub deadline: Instant,
}
