//! `POST /search`: by a vector, or by a stored point's vector.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::body::{Json, answer};
use super::door::Call;
use super::error::ApiError;
use super::request::{self, Freshness};
use super::state::GatewayState;
use super::{convert, reads};
use crate::api::{Search, Searched};
use crate::engine::{
    self, DEFAULT_VECTOR, Filter, GetQuery, Hit, PayloadSelector, PointId, SearchQuery, Target, VectorParams,
    VectorSelector, validate_target,
};
use crate::placement::ShardId;
use crate::routing::{Answer, Collection, ReadOptions};

pub(super) async fn search(
    State(state): State<GatewayState>,
    call: Call,
    Json(mut body): Json<Search>,
) -> Result<Response, ApiError> {
    // A search by id asks for one more, since the point itself is the nearest.
    let skipped = body.offset.saturating_add(usize::from(body.id.is_some()));
    request::check_page(&state, body.limit, skipped)?;
    let filter = body.filter.as_ref().map(Filter::parse).transpose()?;
    let deadline = request::deadline(&state, &call, body.timeout_ms)?;
    let collection = request::collection(&state, &body.collection, deadline).await?;
    let level = request::level(&state, &collection, body.consistency)?;
    let freshness = Freshness {
        after: body.after.take(),
        max_staleness_ms: body.max_staleness_ms,
        allow_partial: body.allow_partial,
    };
    let options = freshness.options(level, deadline)?;
    let name = convert::vector_name(body.using.take());
    let params = vector_params(&collection, &name)?;
    let (vector, left_out) = match (body.vector.take(), body.id) {
        (Some(vector), None) => (vector, None),
        (None, Some(id)) => {
            (stored_vector(&state, &collection, id.into(), &name, &options).await?, Some(PointId::from(id)))
        }
        (Some(_), Some(_)) => return Err(ApiError::invalid("id", "give either `vector` or `id`, not both")),
        (None, None) => return Err(ApiError::invalid("vector", "give either `vector` or `id`")),
    };
    validate_target(params, &vector)?;
    let (limit, offset) = (body.limit, body.offset);
    let query = query(&collection, name, vector, filter, body);
    let found = find(&state, &collection, query, (offset, limit), left_out, options).await?;
    let (missing_shards, shards) = (reads::missing(&found), convert::evidence(level, &found.shards));
    let results = found.value.into_iter().map(convert::hit).collect();
    Ok(answer(
        StatusCode::OK,
        &Searched { results, consistency: level, took_ms: call.took_ms(), shards, missing_shards },
    ))
}

fn query(
    collection: &Collection,
    vector_name: String,
    vector: Vec<f32>,
    filter: Option<Filter>,
    body: Search,
) -> SearchQuery {
    SearchQuery {
        collection: collection.entry.id,
        vector_name,
        target: Target::Vector(vector),
        limit: body.offset + body.limit,
        filter,
        score_threshold: body.score_threshold,
        with_payload: body.with_payload.into(),
        with_vector: body.with_vector.into(),
        params: engine::SearchParams { ef: body.params.ef, exact: body.params.exact },
    }
}

/// The wanted page. Where a point is left out, one hit more is asked for from the start, since that point can be
/// anywhere among the equally near; filtering it out in the shards would cost every other point a look at its id.
async fn find(
    state: &GatewayState,
    collection: &Collection,
    mut query: SearchQuery,
    (offset, limit): (usize, usize),
    left_out: Option<PointId>,
    options: ReadOptions,
) -> Result<Answer<Vec<(ShardId, Hit)>>, ApiError> {
    let Some(id) = left_out else { return Ok(state.backend.search(collection, query, offset, limit, options).await?) };
    let wanted = offset + limit + 1;
    query.limit = wanted;
    let mut found = state.backend.search(collection, query, 0, wanted, options).await?;
    found.value = found.value.into_iter().filter(|(_, hit)| hit.id != id).skip(offset).take(limit).collect();
    Ok(found)
}

/// The vector of a stored point, read at the level of the search itself.
async fn stored_vector(
    state: &GatewayState,
    collection: &Collection,
    id: PointId,
    name: &str,
    options: &ReadOptions,
) -> Result<Vec<f32>, ApiError> {
    let with_vector = VectorSelector::Names([name.to_owned()].into());
    let query =
        GetQuery { collection: collection.entry.id, ids: vec![id], with_payload: PayloadSelector::None, with_vector };
    let options = ReadOptions { allow_partial: false, ..options.clone() };
    let mut found = state.backend.get(collection, query, options).await?;
    let Some((_, record)) = found.value.pop() else {
        return Err(ApiError::PointNotFound { collection: collection.name.clone(), id });
    };
    let vector = record.vectors.and_then(|mut vectors| vectors.remove(name));
    vector.ok_or_else(|| ApiError::invalid("id", format!("point {id} has no vector{}", quoted(name))))
}

fn vector_params(collection: &Collection, name: &str) -> Result<VectorParams, ApiError> {
    let vectors = &collection.entry.config.vectors;
    vectors.get(name).copied().ok_or_else(|| {
        let names: Vec<String> =
            vectors.keys().filter(|name| *name != DEFAULT_VECTOR).map(|name| format!("`{name}`")).collect();
        let have = if names.is_empty() {
            "its one vector has no name".to_owned()
        } else {
            format!("it has {}", names.join(", "))
        };
        ApiError::invalid("using", format!("the collection has no vector{}; {have}", quoted(name)))
    })
}

fn quoted(name: &str) -> String {
    if name == DEFAULT_VECTOR { " without a name".to_owned() } else { format!(" `{name}`") }
}
