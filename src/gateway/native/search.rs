//! `POST /search` and `POST /quiver/v1/search/batch`: by vectors, or by the vectors of stored points.
//!
//! One search is a batch of one. Whatever their number, the searches of a request take one round to the shards, and one
//! before it where any of them is by id. An error about one of several names its position.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::targets::{self, SearchTarget};
use super::{convert, reads, request};
use crate::api::{self, BatchSearched, Consistency, Hits, Search, SearchBatch, Searched};
use crate::engine::{self, Filter, SearchQuery};
use crate::gateway::http::error::ApiError;
use crate::gateway::http::extract;
use crate::gateway::http::extract::{Json, answer};
use crate::gateway::http::middleware::RequestContext;
use crate::gateway::state::GatewayState;
use crate::routing::{Answer, Collection, PageSearch, ReadOptions, SearchAnswer};

/// What all searches of a request share.
struct SharedOptions {
    collection: Collection,
    options: ReadOptions,
}

pub(in crate::gateway) async fn search(
    State(state): State<GatewayState>,
    call: RequestContext,
    Json(asked): Json<Search>,
) -> Result<Response, ApiError> {
    let batch = alone(asked);
    check_pages(&state, &batch.searches)?;
    // A lone search goes the way of a batch of one.
    let explained = batch.explain;
    let (level, mut found) = find(&state, &call, batch).await?;
    let (missing_shards, shards) = (reads::missing(&found), convert::evidence(level, &found.shards));
    // A large answer is printed where it holds up nobody.
    let made = extract::made(found.held, move || {
        let Hits { results, explain } = on_the_wire(found.value.pop().unwrap_or_default(), explained);
        let took_ms = call.took_ms();
        let answered = Searched { results, consistency: level, took_ms, shards, missing_shards, explain };
        answer(StatusCode::OK, &answered)
    });
    Ok(made.await)
}

pub(in crate::gateway) async fn search_batch(
    State(state): State<GatewayState>,
    call: RequestContext,
    Json(asked): Json<SearchBatch>,
) -> Result<Response, ApiError> {
    // The number of searches and the size of their pages have limits of their own.
    request::check_searches(&state, asked.searches.len())?;
    check_pages(&state, &asked.searches)?;
    let explained = asked.explain;
    let (level, found) = find(&state, &call, asked).await?;
    let (missing_shards, shards) = (reads::missing(&found), convert::evidence(level, &found.shards));
    // A large answer is printed where it holds up nobody.
    let made = extract::made(found.held, move || {
        let list = |found| on_the_wire(found, explained);
        let searches = found.value.into_iter().map(list).collect();
        let answered = BatchSearched { searches, consistency: level, took_ms: call.took_ms(), shards, missing_shards };
        answer(StatusCode::OK, &answered)
    });
    Ok(made.await)
}

/// A lone search as a batch of one.
fn alone(body: Search) -> SearchBatch {
    let search = api::SearchItem {
        vector: body.vector,
        id: body.id,
        using: body.using,
        limit: body.limit,
        offset: body.offset,
        filter: body.filter,
        score_threshold: body.score_threshold,
        with_payload: body.with_payload,
        with_vector: body.with_vector,
        params: body.params,
    };
    SearchBatch {
        collection: body.collection,
        searches: vec![search],
        consistency: body.consistency,
        after: body.after,
        max_staleness_ms: body.max_staleness_ms,
        timeout_ms: body.timeout_ms,
        allow_partial: body.allow_partial,
        explain: body.explain,
    }
}

fn on_the_wire(found: SearchAnswer, explained: bool) -> Hits {
    let results = found.hits.into_iter().map(convert::hit).collect();
    let explain = explained.then(|| found.explains.into_iter().map(convert::explain).collect());
    Hits { results, explain }
}

/// Checks what each search gathers, and what they gather together.
fn check_pages(state: &GatewayState, searches: &[api::SearchItem]) -> Result<(), ApiError> {
    let mut gathered = 0usize;
    for (place, search) in searches.iter().enumerate() {
        let checked = request::check_page(state, search.limit, search.offset, search.id.is_some());
        checked.map_err(|error| at(error, place, searches.len()))?;
        gathered = gathered.saturating_add(search.limit).saturating_add(search.offset);
    }
    request::check_gathered(state, searches.len(), gathered)
}

/// The page of each search.
async fn find(
    state: &GatewayState,
    call: &RequestContext,
    batch: SearchBatch,
) -> Result<(Consistency, Answer<Vec<SearchAnswer>>), ApiError> {
    let deadline = request::deadline(state, call, batch.timeout_ms)?;
    let count = batch.searches.len();
    let at = |place| move |error| at(error, place, count);
    // A filter is right or wrong by itself, so it is read before the cluster is asked.
    let filter = |(place, search): (usize, &api::SearchItem)| {
        search.filter.as_ref().map(Filter::parse).transpose().map_err(|error| at(place)(error.into()))
    };
    let filters = batch.searches.iter().enumerate().map(filter).collect::<Result<Vec<_>, _>>()?;
    let collection = request::collection(state, &batch.collection, deadline).await?;
    let level = request::level(state, &collection, batch.consistency)?;
    let options = request::read_options(batch.read_members(), level, deadline)?;
    let shared = SharedOptions { collection, options };
    // All searches are checked before the first is sent to a shard.
    match check_all(state, &shared, batch.searches, filters).await {
        Ok(checked) => Ok((level, state.router.search(&shared.collection, checked, shared.options).await?)),
        // It was decided by what this process knows of the collection.
        Err(refusal @ ApiError::Refused(_)) => {
            Err(request::confirmed(state, &shared.collection, refusal, deadline).await)
        }
        Err(error) => Err(error),
    }
}

/// Checks each search against the collection, and reads the vectors of those by id.
async fn check_all(
    state: &GatewayState,
    shared: &SharedOptions,
    mut searches: Vec<api::SearchItem>,
    filters: Vec<Option<Filter>>,
) -> Result<Vec<PageSearch>, ApiError> {
    let (collection, count) = (&shared.collection, searches.len());
    let at = |place| move |error| at(error, place, count);
    // Each target must fit the collection before any stored vector is read.
    let target =
        |(place, search): (usize, &mut api::SearchItem)| targets::target(collection, search).map_err(at(place));
    let wanted = searches.iter_mut().enumerate().map(target).collect::<Result<Vec<_>, _>>()?;
    let vectors = targets::vectors(state, collection, wanted, &shared.options).await?;
    let checked = searches.into_iter().zip(filters).zip(vectors).enumerate();
    let checked =
        checked.map(|(place, ((search, filter), target))| check(collection, search, filter, target).map_err(at(place)));
    checked.collect()
}

fn check(
    collection: &Collection,
    search: api::SearchItem,
    filter: Option<Filter>,
    (target, vector): (SearchTarget, Vec<f32>),
) -> Result<PageSearch, ApiError> {
    engine::validate_target(target.params, &vector)?;
    let left_out = target.id();
    let query = SearchQuery {
        collection: collection.entry.id,
        vector_name: target.name,
        target: engine::Target::Vector(vector),
        // Routing sets it from the page, so that each shard finds enough for it.
        limit: 0,
        filter,
        score_threshold: search.score_threshold,
        with_payload: convert::payload_selector(search.with_payload)?,
        with_vector: search.with_vector.into(),
        params: engine::SearchParams { ef: search.params.ef, exact: search.params.exact },
    };
    Ok(PageSearch { query, offset: search.offset, limit: search.limit, left_out })
}

/// The error of the search at `place`, which it names where there are several.
fn at(error: ApiError, place: usize, searches: usize) -> ApiError {
    use engine::Refusal::{Invalid, NotSupported};
    let named = |field: &str| format!("searches[{place}].{field}");
    // A lone search is the whole request, so its error needs no place.
    match error {
        error if searches == 1 => error,
        ApiError::Refused(refusal @ Invalid { .. }) => {
            ApiError::Refused(refusal.with_position(|named| named.or(Some(place))))
        }
        ApiError::Refused(NotSupported { field, reason }) => {
            ApiError::Refused(NotSupported { field: named(&field), reason })
        }
        ApiError::LimitExceeded { field, value, limit, allowed } => {
            ApiError::LimitExceeded { field: named(&field).into(), value, limit, allowed }
        }
        other => other,
    }
}
