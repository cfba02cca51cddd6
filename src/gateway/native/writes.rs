//! `POST /vectors`, `DELETE /vectors` and `DELETE /vectors/{collection}/{id}`.
//!
//! A batch is checked whole, here, before anything of it is proposed; the shards check again, since only they are sure
//! of what they hold.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::points_body::PointsBody;
use super::{convert, request};
use crate::api::{self, Delete, DeleteOptions, Deleted, Upserted, WriteMembers};
use crate::engine::validate;
use crate::engine::{Filter, PointId, Selector};
use crate::gateway::consistency;
use crate::gateway::http::error::ApiError;
use crate::gateway::http::extract::{Json, Params, answer};
use crate::gateway::http::middleware::RequestContext;
use crate::gateway::state::GatewayState;
use crate::model::BadPointId;
use crate::routing::{Collection, WrittenPoint};

pub(in crate::gateway) async fn upsert(
    State(state): State<GatewayState>,
    call: RequestContext,
    body: PointsBody,
) -> Result<Response, ApiError> {
    let PointsBody { head: body, points } = body;
    // What a shard would refuse is refused here, before any log has it.
    request::check_batch(&state, "vectors", points.len())?;
    let deadline = request::deadline(&state, &call, body.timeout_ms)?;
    let fits = |collection: &Collection| {
        validate(&collection.entry.config, &points)?;
        request::level(&state, collection, body.consistency)
    };
    let (collection, level) = request::fitting(&state, &body.collection, deadline, fits).await?;
    // The error of a failed write carries the request id, under which the client may repeat it.
    let options = request::call_options(body.request_id, deadline);
    let written = state.router.upsert(&collection, points, consistency::acknowledge(level), options).await;
    let written = written.map_err(|error| ApiError::Write { error, request: options.request_id })?;
    // The answer lists the points in the order of the request.
    let results: Vec<_> = written.results.into_iter().map(result).collect();
    let upserted = results.len() as u64;
    let shards = convert::evidence(api::Consistency::Quorum, &written.shards);
    let answered = Upserted { status: completed(), upserted, results, token: written.token.to_string(), shards };
    Ok(answer(StatusCode::OK, &answered))
}

pub(in crate::gateway) async fn delete(
    State(state): State<GatewayState>,
    call: RequestContext,
    Json(body): Json<Delete>,
) -> Result<Response, ApiError> {
    // A selector that would empty the collection by mistake is refused before the cluster is asked.
    let selector = selector(&state, &body)?;
    let deadline = request::deadline(&state, &call, body.timeout_ms)?;
    let collection = request::collection(&state, &body.collection, deadline).await?;
    let level = request::level(&state, &collection, body.consistency)?;
    // The error of a failed write carries the request id, under which the client may repeat it.
    let options = request::call_options(body.request_id, deadline);
    let done = state.router.delete(&collection, selector, consistency::acknowledge(level), options).await;
    let done = done.map_err(|error| ApiError::Write { error, request: options.request_id })?;
    // Only leaders take writes, so no staleness is told.
    let shards = convert::evidence(api::Consistency::Quorum, &done.shards);
    let answered = Deleted { status: completed(), deleted: done.deleted, token: done.token.to_string(), shards };
    Ok(answer(StatusCode::OK, &answered))
}

/// One point by its id; that it was not there is no error, and `deleted` says so.
pub(in crate::gateway) async fn delete_one(
    state: State<GatewayState>,
    call: RequestContext,
    segments: Result<Path<(String, String)>, PathRejection>,
    Params(options): Params<DeleteOptions>,
) -> Result<Response, ApiError> {
    let Path((collection, id)) = segments?;
    let id = id.parse().map_err(|error: BadPointId| ApiError::invalid("id", error.to_string()))?;
    // One point is deleted in the same way as many.
    let WriteMembers { consistency, request_id, timeout_ms } = options.write_members();
    let body =
        Delete { collection, ids: Some(vec![id]), filter: None, all: false, consistency, request_id, timeout_ms };
    delete(state, call, Json(body)).await
}

fn selector(state: &GatewayState, body: &Delete) -> Result<Selector, ApiError> {
    match (&body.ids, &body.filter) {
        (Some(_), None) if body.all => Err(ApiError::invalid("all", "goes with `filter`, and here are `ids`")),
        (Some(ids), None) => {
            request::check_batch(state, "ids", ids.len())?;
            let mut ids: Vec<PointId> = ids.to_vec();
            // Deleting a point twice is deleting it: an id given twice is no mistake worth an error.
            ids.sort_unstable();
            ids.dedup();
            Ok(Selector::Ids(ids))
        }
        (None, Some(filter)) => {
            let filter = Filter::parse(filter)?;
            if filter.passes_every_point() && !body.all {
                let reason = "every point passes it, so the whole collection would be emptied; if that is meant, say \
                              \"all\": true beside it";
                return Err(ApiError::invalid("filter", reason));
            }
            Ok(Selector::Filter(filter))
        }
        (Some(_), Some(_)) => Err(ApiError::invalid("filter", "give either `ids` or `filter`, not both")),
        (None, None) => Err(ApiError::invalid("ids", "give either `ids` or `filter`")),
    }
}

fn result(point: WrittenPoint) -> api::WriteResult {
    api::WriteResult { id: point.id, shard: point.shard.0, version: point.version }
}

fn completed() -> String {
    "completed".to_owned()
}
