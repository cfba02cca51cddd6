//! `GET /vectors/{collection}/{id}`, `POST /quiver/v1/scroll`, `POST /quiver/v1/count`.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::{convert, request};
use crate::api::{Count, Counted, Found, GetOptions, Scroll, Scrolled};
use crate::engine::{CountQuery, Filter, GetQuery, PointId, ScrollQuery};
use crate::gateway::http::error::ApiError;
use crate::gateway::http::extract;
use crate::gateway::http::extract::{Json, Params, answer};
use crate::gateway::http::middleware::RequestContext;
use crate::gateway::state::GatewayState;
use crate::placement::ShardId;
use crate::routing::Answer;

type Segments = Result<Path<(String, String)>, PathRejection>;

pub(in crate::gateway) async fn get(
    State(state): State<GatewayState>,
    call: RequestContext,
    segments: Segments,
    Params(params): Params<GetOptions>,
) -> Result<Response, ApiError> {
    let Path((name, id)) = segments?;
    let id: PointId =
        id.parse().map_err(|error: crate::engine::BadPointId| ApiError::invalid("id", error.to_string()))?;
    let (with_payload, with_vector) = params.selection();
    let deadline = request::deadline(&state, &call, params.timeout_ms)?;
    // The collection comes first: a request that names no level takes the collection's.
    let collection = request::collection(&state, &name, deadline).await?;
    let level = request::level(&state, &collection, params.consistency)?;
    let options = request::read_options(params.read_members(), level, deadline)?;
    let query = GetQuery {
        collection: collection.entry.id,
        ids: vec![id],
        with_payload: convert::payload_selector(with_payload)?,
        with_vector: with_vector.into(),
    };
    let mut found = state.router.get(&collection, query, options).await?;
    let shards = convert::evidence(level, &found.shards);
    // That there is nothing is an answer too, and says whose it is.
    let Some(row) = found.value.pop() else {
        return Err(ApiError::PointNotFound { position: None, collection: name, id, shards });
    };
    let made = extract::made(found.held, move || {
        let row = convert::record(row);
        let body = Found {
            id: row.id,
            version: row.version,
            payload: row.payload,
            vector: row.vector,
            shard: row.shard,
            consistency: level,
            took_ms: call.took_ms(),
            shards,
        };
        answer(StatusCode::OK, &body)
    });
    Ok(made.await)
}

pub(in crate::gateway) async fn scroll(
    State(state): State<GatewayState>,
    call: RequestContext,
    Json(asked): Json<Scroll>,
) -> Result<Response, ApiError> {
    // Whatever can be refused without the cluster is refused first.
    request::check_page(&state, asked.limit, 0, false)?;
    let members = asked.read_members();
    let with_payload = convert::payload_selector(asked.with_payload)?;
    let filter = asked.filter.as_ref().map(Filter::parse).transpose()?;
    let deadline = request::deadline(&state, &call, asked.timeout_ms)?;
    let collection = request::collection(&state, &asked.collection, deadline).await?;
    // The level may be the collection's own, so it is known only now.
    let level = request::level(&state, &collection, asked.consistency)?;
    let options = request::read_options(members, level, deadline)?;
    let query = ScrollQuery {
        collection: collection.entry.id,
        offset: asked.offset,
        limit: asked.limit,
        filter,
        with_payload,
        with_vector: asked.with_vector.into(),
    };
    // A large answer is printed where it holds up nobody.
    let page = state.router.scroll(&collection, query, options).await?;
    let (missing_shards, shards) = (missing(&page), convert::evidence(level, &page.shards));
    let made = extract::made(page.held, move || {
        let points = page.value.records.into_iter().map(convert::record).collect();
        let (next, took_ms) = (page.value.next, call.took_ms());
        answer(StatusCode::OK, &Scrolled { points, next, consistency: level, took_ms, shards, missing_shards })
    });
    Ok(made.await)
}

pub(in crate::gateway) async fn count(
    State(state): State<GatewayState>,
    call: RequestContext,
    Json(body): Json<Count>,
) -> Result<Response, ApiError> {
    // Whatever can be refused without the cluster is refused first.
    let filter = body.filter.as_ref().map(Filter::parse).transpose()?;
    let deadline = request::deadline(&state, &call, body.timeout_ms)?;
    let collection = request::collection(&state, &body.collection, deadline).await?;
    // The level may be the collection's own, so it is known only now.
    let level = request::level(&state, &collection, body.consistency)?;
    let options = request::read_options(body.read_members(), level, deadline)?;
    let query = CountQuery { collection: collection.entry.id, filter };
    let counted = state.router.count(&collection, query, options).await?;
    let (missing_shards, shards) = (missing(&counted), convert::evidence(level, &counted.shards));
    let body = Counted { count: counted.value, consistency: level, took_ms: call.took_ms(), shards, missing_shards };
    Ok(answer(StatusCode::OK, &body))
}

/// The shards that a partial answer lacks.
pub(in crate::gateway) fn missing<T>(answered: &Answer<T>) -> Vec<u32> {
    answered.missing.iter().map(|(ShardId(shard), _)| *shard).collect()
}
