//! Pages of points in the order of their ids, and no more of them than one answer may carry.

use std::sync::Arc;

use super::filling::{MOST, TRIES, at_once, share};
use super::read_shards::restless;
use super::{Router, unfit_answer};
use crate::engine::{PointId, Record, ScrollPage, ScrollQuery};
use crate::placement::ShardId;
use crate::routing::rpc::message::{Query, QueryAnswer};
use crate::routing::{Answer, Collection, Committed, Held, ReadOptions, Ring, RouteError, ScrollAnswer};

impl Router {
    /// One page of points in the order of their ids. `query.collection` is set here.
    ///
    /// # Errors
    /// Why a shard could not serve.
    pub async fn scroll(
        &self,
        collection: &Collection,
        query: ScrollQuery,
        options: ReadOptions,
    ) -> Result<Answer<ScrollAnswer>, RouteError> {
        self.on_successor(collection, |collection| self.scroll_in(collection, &query, &options)).await
    }

    async fn scroll_in(
        &self,
        collection: Collection,
        query: &ScrollQuery,
        options: &ReadOptions,
    ) -> Result<Answer<ScrollAnswer>, RouteError> {
        // Most pages fit into what the shards send at once.
        let query = ScrollQuery { collection: collection.entry.id, ..query.clone() };
        let map = self.formed()?;
        let shards = map.shards.len();
        let small = self.scroll_within(&collection, &query, |_| at_once(shards, 0), options).await?;
        if small.value.next.is_none() || small.value.records.len() >= query.limit {
            return Ok(small);
        }
        // It ended early for want of room: a place among the large answers gives it more.
        drop(small);
        let mut held = Held::default();
        let options = &self.become_large(&mut held, options).await?;
        let ring = Ring::of(&map).ok_or(RouteError::NotFormed)?;
        let mut first = None;
        for _ in 0..TRIES {
            // Where the first point of all is more than its shard's part, that shard has the whole room.
            let room = |shard| first.map_or(share(shards), |first| if shard == first { MOST } else { 0 });
            let answer = self.scroll_within(&collection, &query, room, options).await?;
            match answer.value.next {
                Some(next) if answer.value.records.is_empty() => first = Some(ring.shard(query.collection, next)),
                _ => return Ok(Answer { held, ..answer }),
            }
        }
        Err(restless())
    }

    async fn scroll_within(
        &self,
        collection: &Collection,
        query: &ScrollQuery,
        room: impl Fn(ShardId) -> u64,
        options: &ReadOptions,
    ) -> Result<Answer<ScrollAnswer>, RouteError> {
        let asked = self.everywhere(&Arc::new(Query::Scroll(query.clone())), |shard| Some(room(shard)))?;
        let answer = self.read(collection, asked, options).await?;
        let mut pages = Vec::new();
        for (shard, part) in answer.value {
            let QueryAnswer::Page(page) = part else { return Err(unfit_answer(Committed::No)) };
            pages.push((shard, page));
        }
        let value = one_page(pages, query.limit);
        Ok(Answer { value, shards: answer.shards, missing: answer.missing, held: answer.held })
    }
}

/// Merges the shards' pages, each in the order of ids, into the first `limit` points of all.
fn one_page(pages: Vec<(ShardId, ScrollPage)>, limit: usize) -> ScrollAnswer {
    // The page ends where the first shard has not looked any further.
    let mut next: Option<PointId> = pages.iter().filter_map(|(_, page)| page.next).min();
    let of_shard = |(shard, page): (ShardId, ScrollPage)| page.records.into_iter().map(move |record| (shard, record));
    let mut records: Vec<(ShardId, Record)> = pages.into_iter().flat_map(of_shard).collect();
    records.sort_by_key(|(_, record)| record.id);
    // What a shard has not looked at yet may stand before what another has found.
    records.retain(|(_, record)| next.is_none_or(|next| record.id < next));
    // The next page begins with the first point that has no place in this one.
    if let Some((_, beyond)) = records.get(limit) {
        next = Some(next.map_or(beyond.id, |next| next.min(beyond.id)));
        records.truncate(limit);
    }
    ScrollAnswer { records, next }
}
