//! Reading points: one query per shard at the wanted freshness, merged, with the evidence of who served it.

use std::collections::HashMap;
use std::sync::Arc;

use super::filling::{Filled, TRIES, asks_for_much, at_once, not_before};
use super::read_shards::{ShardQuestion, may_be_partial, restless};
use super::{Router, unfit_answer};
use crate::engine::{Carried, CollectionId, CountQuery, Distance, GetQuery, Hit, Record, Refusal, merge_hits};
use crate::placement::ShardId;
use crate::routing::rpc::message::{Query, QueryAnswer};
use crate::routing::{Answer, Collection, Committed, Held, PageSearch, ReadOptions, Ring, RouteError, SearchAnswer};

impl Router {
    /// Points by id, in the order asked; those that do not exist are left out. `query.collection` is set here.
    ///
    /// # Errors
    /// Why a shard could not serve.
    pub async fn get(
        &self,
        collection: &Collection,
        query: GetQuery,
        options: ReadOptions,
    ) -> Result<Answer<Vec<(ShardId, Record)>>, RouteError> {
        self.on_successor(collection, |collection| self.get_from(collection, &query, &options)).await
    }

    /// For each search the nearest points of all shards. `search.query.limit` and `search.query.collection` are set here.
    ///
    /// All searches go to a shard in one call and see it in one state or later ones, and all shards of a node are asked
    /// in one request. A refusal names the place of its search where there are several.
    ///
    /// # Errors
    /// Why a shard could not serve.
    pub async fn search(
        &self,
        collection: &Collection,
        searches: Vec<PageSearch>,
        options: ReadOptions,
    ) -> Result<Answer<Vec<SearchAnswer>>, RouteError> {
        self.on_successor(collection, |collection| self.search_in(collection, &searches, &options)).await
    }

    /// The number of points. `query.collection` is set here.
    ///
    /// # Errors
    /// Why a shard could not serve.
    pub async fn count(
        &self,
        collection: &Collection,
        query: CountQuery,
        options: ReadOptions,
    ) -> Result<Answer<u64>, RouteError> {
        self.on_successor(collection, |collection| self.count_in(collection, &query, &options)).await
    }

    async fn get_from(
        &self,
        collection: Collection,
        query: &GetQuery,
        options: &ReadOptions,
    ) -> Result<Answer<Vec<(ShardId, Record)>>, RouteError> {
        // Each shard gets the ids of its own points.
        let collection_id = collection.entry.id;
        let split = self.split(collection_id, query.ids.iter().copied())?;
        let of_shard = |places: Vec<usize>| GetQuery {
            collection: collection_id,
            ids: places.into_iter().map(|place| query.ids[place]).collect(),
            with_payload: query.with_payload.clone(),
            with_vector: query.with_vector.clone(),
        };
        // A shard sends only a little at first. The rest is fetched when the points of all shards are known.
        let room = Some(at_once(self.formed()?.shards.len(), 0));
        let asked: Vec<ShardQuestion> = split
            .into_iter()
            .map(|(shard, places)| {
                let query = Arc::new(Query::Get(of_shard(places)));
                ShardQuestion { shard, query, room }
            })
            .collect();
        // If a point changes in between, the answer is void, and all shards are asked again.
        let wanted = (&query.with_payload, &query.with_vector);
        let mut failure = restless();
        for _ in 0..TRIES {
            let answer = self.read(&collection, asked.clone(), options).await?;
            // Put the points into the order of the request.
            let mut found = HashMap::new();
            for (shard, part) in answer.value {
                let QueryAnswer::Records(records) = part else { return Err(unfit_answer(Committed::No)) };
                found.extend(records.into_iter().map(|record| (record.id, (shard, record))));
            }
            let mut value: Vec<(ShardId, Record)> = query.ids.iter().filter_map(|id| found.remove(id)).collect();
            let points = value.iter_mut().map(|(shard, record)| (*shard, record)).collect();
            // If the answer may lack shards, a shard that was lost meanwhile is also a reason to ask again.
            let (after, mut held) = (not_before(options, &answer.shards), Held::default());
            match self.fill(&collection, points, wanted, (&mut 0, &mut held), &after).await {
                Ok(Filled::Whole) => return Ok(Answer { value, shards: answer.shards, missing: answer.missing, held }),
                Err(error) if !may_be_partial(&error, options) => return Err(error),
                Ok(Filled::Void) => failure = restless(),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn search_in(
        &self,
        collection: Collection,
        searches: &[PageSearch],
        options: &ReadOptions,
    ) -> Result<Answer<Vec<SearchAnswer>>, RouteError> {
        let id = collection.entry.id;
        // Every shard gets the same searches. The distances say how to merge the hits.
        let distances = distances(&collection, searches)?;
        let shards = self.formed()?.shards.len();
        let query = Arc::new(Query::Search(searches.iter().map(|search| search.of(id, shards)).collect()));
        let ring = Ring::of(&*self.formed()?).ok_or(RouteError::NotFormed)?;
        let mut failure = restless();
        for attempt in 0..TRIES {
            // A further attempt asks for more at once, which needs a place among the large answers.
            let mut held = Held::default();
            let options = &match attempt == 0 && !asks_for_much(&collection, searches) {
                true => options.clone(),
                false => self.become_large(&mut held, options).await?,
            };
            let room = |_| Some(at_once(shards, attempt));
            let answer = self.read(&collection, self.everywhere(&query, room)?, options).await?;
            // The best hits of all shards make a page. Fetch the rest of each point from the state that gave the hit.
            let (shown, missing) = (answer.shards.clone(), answer.missing.clone());
            let mut value = pages(answer, searches, &distances, &ring, id)?;
            let after = not_before(options, &shown);
            match self.fill_all(&collection, searches, (&mut value, &mut held), &after).await {
                Ok(Filled::Whole) => return Ok(Answer { value, shards: shown, missing, held }),
                Err(error) if !may_be_partial(&error, options) => return Err(error),
                Ok(Filled::Void) => failure = restless(),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Fills the pages of all searches, those that want the same of a point at once.
    async fn fill_all(
        &self,
        collection: &Collection,
        searches: &[PageSearch],
        (pages, held): (&mut [SearchAnswer], &mut Held),
        options: &ReadOptions,
    ) -> Result<Filled, RouteError> {
        // Searches that want the same members share one request to each shard.
        let mut groups: Vec<(Carried<'_>, Vec<(ShardId, &mut Hit)>)> = Vec::new();
        for (PageSearch { query, .. }, page) in searches.iter().zip(pages) {
            let wanted = (&query.with_payload, &query.with_vector);
            let hits = page.hits.iter_mut().map(|(shard, hit)| (*shard, hit));
            match groups.iter_mut().find(|(known, _)| *known == wanted) {
                Some((_, group)) => group.extend(hits),
                None => groups.push((wanted, hits.collect())),
            }
        }
        // All pages belong to one answer and share its room.
        let mut spent = 0;
        for (wanted, hits) in groups {
            if self.fill(collection, hits, wanted, (&mut spent, held), options).await? == Filled::Void {
                return Ok(Filled::Void);
            }
        }
        Ok(Filled::Whole)
    }

    async fn count_in(
        &self,
        collection: Collection,
        query: &CountQuery,
        options: &ReadOptions,
    ) -> Result<Answer<u64>, RouteError> {
        let query = CountQuery { collection: collection.entry.id, ..query.clone() };
        // A count has no payloads or vectors, so its answer has no bound.
        let asked = self.everywhere(&Arc::new(Query::Count(query)), |_| None)?;
        let answer = self.read(&collection, asked, options).await?;
        let mut value = 0;
        for (_, part) in answer.value {
            let QueryAnswer::Count(count) = part else { return Err(unfit_answer(Committed::No)) };
            value += count;
        }
        Ok(Answer { value, shards: answer.shards, missing: answer.missing, held: answer.held })
    }
}

/// The page of each search: of the hits of all shards the best.
fn pages(
    answer: Answer<Vec<(ShardId, QueryAnswer)>>,
    searches: &[PageSearch],
    distances: &[Distance],
    ring: &Ring,
    collection: CollectionId,
) -> Result<Vec<SearchAnswer>, RouteError> {
    // Sort the hits by search, and leave out the point that is searched by.
    let mut by_search: Vec<(Vec<Vec<Hit>>, SearchAnswer)> = searches.iter().map(|_| Default::default()).collect();
    for (shard, part) in answer.value {
        let QueryAnswer::Hits(parts) = part else { return Err(unfit_answer(Committed::No)) };
        if parts.len() != searches.len() {
            return Err(unfit_answer(Committed::No));
        }
        for (((lists, answer), found), search) in by_search.iter_mut().zip(parts).zip(searches) {
            let mut hits = found.hits;
            hits.retain(|hit| Some(hit.id) != search.left_out);
            lists.push(hits);
            answer.explains.push((shard, found.explain));
        }
    }
    // Merge the hits of each search, and name the shard of each hit.
    let page = |(((lists, mut answer), search), distance): (((_, SearchAnswer), &PageSearch), &Distance)| {
        let hits = merge_hits(*distance, lists, search.offset, search.limit);
        answer.hits = hits.into_iter().map(|hit| (ring.shard(collection, hit.id), hit)).collect();
        answer
    };
    Ok(by_search.into_iter().zip(searches).zip(distances).map(page).collect())
}

/// The distance of each search.
fn distances(collection: &Collection, searches: &[PageSearch]) -> Result<Vec<Distance>, RouteError> {
    let distance = |(place, search): (usize, &PageSearch)| {
        let name = &search.query.vector_name;
        collection.entry.config.vectors.get(name).map(|params| params.distance).ok_or_else(|| {
            let position = (searches.len() > 1).then_some(place);
            let reason = format!("the collection has no vector of this name: `{name}`");
            RouteError::Refused { refusal: Refusal::Invalid { position, field: "vector_name".to_owned(), reason } }
        })
    };
    searches.iter().enumerate().map(distance).collect()
}
