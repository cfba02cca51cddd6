//! `GET` and `POST /collections`, `GET` and `DELETE /collections/{name}`. All but creating answer in Qdrant's envelope,
//! since its clients use the same paths.

use std::collections::BTreeMap;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::json;

use super::request;
use crate::api::{
    CollectionConfigInfo, CollectionInfo, CollectionParams, CollectionRow, CollectionRows, Consistency,
    CreateCollection, CreatedCollection, Envelope, FieldInfo, VectorSettings, Vectors,
};
use crate::engine::{self, CollectionConfig, DEFAULT_VECTOR, Refusal, validate_config};
use crate::gateway::consistency;
use crate::gateway::http::error::ApiError;
use crate::gateway::http::extract::{Json, answer};
use crate::gateway::http::middleware::RequestContext;
use crate::gateway::state::GatewayState;
use crate::placement::CollectionEntry;
use crate::routing::{Created, Overview};

pub(in crate::gateway) async fn create(
    State(state): State<GatewayState>,
    call: RequestContext,
    Json(body): Json<CreateCollection>,
) -> Result<Response, ApiError> {
    // A bad name and one collection too many are refused before the cluster is asked.
    request::check_name(&body.name)?;
    request::check_collections(&state, &body.name)?;
    let config = config(&body)?;
    let deadline = request::deadline(&state, &call, None)?;
    // The level is settled now: it is the collection's own from then on.
    let replicas = state.router.map().replication_factor;
    let level = consistency::resolve("consistency_level", body.consistency_level, Consistency::default(), replicas)?;
    let created = state.router.create_collection(&body.name, config, level, deadline).await?;
    // To create it twice with the same settings is no error.
    let status = if created.existed { StatusCode::OK } else { StatusCode::CREATED };
    let map = state.router.map();
    let warnings = warnings(&created, map.replication_factor);
    let body =
        CreatedCollection { name: body.name, created: !created.existed, shards: map.shards.len() as u32, warnings };
    Ok(answer(status, &body))
}

pub(in crate::gateway) async fn list(
    State(state): State<GatewayState>,
    call: RequestContext,
) -> Result<Response, ApiError> {
    let deadline = request::deadline(&state, &call, None)?;
    // A collection that another gateway has just made or dropped shows only in the newest map.
    state.router.read_map(deadline).await?;
    let overview = state.router.overview(deadline).await;
    let rows = overview.map.collections.iter().map(|(name, entry)| row(name, entry, &overview));
    Ok(envelope(&call, CollectionRows { collections: rows.collect() }))
}

pub(in crate::gateway) async fn show(
    State(state): State<GatewayState>,
    call: RequestContext,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(name) = name?;
    let deadline = request::deadline(&state, &call, None)?;
    let entry = request::collection(&state, &name, deadline).await?.entry;
    let overview = state.router.overview(deadline).await;
    Ok(envelope(&call, info(&entry, &overview)))
}

pub(in crate::gateway) async fn remove(
    State(state): State<GatewayState>,
    call: RequestContext,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(name) = name?;
    request::check_name(&name)?;
    let deadline = request::deadline(&state, &call, None)?;
    let existed = state.router.drop_collection(&name, deadline).await?;
    Ok(envelope(&call, existed))
}

pub(super) fn envelope<T: Serialize>(call: &RequestContext, result: T) -> Response {
    answer(StatusCode::OK, &Envelope { result, status: "ok".to_owned(), time: call.began.elapsed().as_secs_f64() })
}

fn config(body: &CreateCollection) -> Result<CollectionConfig, ApiError> {
    let params = body.params().map_err(|reason| ApiError::invalid("vectors", reason))?;
    let vectors = params.into_iter().map(|(name, params)| (name, params.into()));
    let config = CollectionConfig { vectors: vectors.collect() };
    validate_config(&config).map_err(|refusal| in_its_words(body, refusal))?;
    Ok(config)
}

/// The refusal of settings, with the member that the client wrote: the engine calls each vector by its name.
fn in_its_words(body: &CreateCollection, refusal: Refusal) -> ApiError {
    // Only the refusal of a setting names a member. All others stay as they are.
    let Refusal::Invalid { position, field, reason } = refusal else { return refusal.into() };
    let Some(setting) = field.strip_prefix("vector.") else {
        return Refusal::Invalid { position, field, reason }.into();
    };
    // The client may have written the vector's settings in any of three places.
    let field = match (&body.vectors, setting) {
        (None, "size") => "vector_size".to_owned(),
        (None, setting) => setting.to_owned(),
        (Some(Vectors::One(_)), setting) => format!("vectors.{setting}"),
        (Some(Vectors::Named(_)), setting) => format!("vectors.{setting}"),
    };
    ApiError::invalid(field, reason)
}

fn warnings(created: &Created, replication_factor: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    // Few replicas are allowed, and the client should know what they cost.
    if replication_factor == 1 {
        warnings
            .push("each shard has one replica: a node that fails takes its points with it until it is back".to_owned());
    }
    if replication_factor == 2 {
        warnings.push("each shard has two replicas, and a majority of two is two: no node may fail".to_owned());
    }
    // Shards that do not know the collection yet are no error either.
    if !created.pending.is_empty() {
        let shards: Vec<String> = created.pending.iter().map(ToString::to_string).collect();
        warnings.push(format!(
            "shards {} could not be told in time and will learn of the collection with its first request there",
            shards.join(", ")
        ));
    }
    warnings
}

fn row(name: &str, entry: &CollectionEntry, overview: &Overview) -> CollectionRow {
    // The unnamed vector is shown as members of the collection, the named ones by name.
    let default = entry.config.vectors.get(DEFAULT_VECTOR).map(|params| VectorSettings::from(*params));
    let named = entry.config.vectors.iter().filter(|(name, _)| *name != DEFAULT_VECTOR);
    CollectionRow {
        name: name.to_owned(),
        vector_size: default.map(|params| params.size),
        distance: default.map(|params| params.distance),
        index: default.and_then(|params| params.index),
        quantization: default.and_then(|params| params.quantization),
        vectors: named.map(|(name, params)| (name.clone(), (*params).into())).collect(),
        points: overview.points_of(entry.id),
        payload_schema: payload_schema(entry, overview),
    }
}

fn info(entry: &CollectionEntry, overview: &Overview) -> CollectionInfo {
    // Red means that a shard has no leader, and so takes no writes.
    let led = overview.map.shards.keys().all(|shard| overview.leader(*shard).is_some());
    // Qdrant's clients know a distance by its capital letter.
    let wire = |params: &engine::VectorParams| {
        let mut distance = params.distance.to_string();
        distance[..1].make_ascii_uppercase();
        json!({"size": params.size, "distance": distance})
    };
    let vectors = match entry.config.vectors.get(DEFAULT_VECTOR) {
        Some(params) => wire(params),
        None => entry.config.vectors.iter().map(|(name, params)| (name.clone(), wire(params))).collect(),
    };
    // `params` is what Qdrant shows. `vectors` beside it shows all settings.
    let params = CollectionParams {
        vectors,
        shard_number: overview.map.shards.len() as u32,
        replication_factor: overview.map.replication_factor as u32,
        consistency_level: entry.default_consistency.to_string(),
    };
    let each = entry.config.vectors.iter().map(|(name, params)| (name.clone(), VectorSettings::from(*params)));
    CollectionInfo {
        status: if led { "green" } else { "red" }.to_owned(),
        points_count: overview.points_of(entry.id),
        config: CollectionConfigInfo { params, vectors: each.collect() },
        payload_schema: payload_schema(entry, overview),
    }
}

fn payload_schema(entry: &CollectionEntry, overview: &Overview) -> BTreeMap<String, FieldInfo> {
    let field = |(name, kind): (&String, &engine::FieldType)| {
        let points = overview.points_with(entry.id, name);
        (name.clone(), FieldInfo { data_type: (*kind), points })
    };
    entry.payload_schema.iter().map(field).collect()
}
