//! `PUT /collections/{name}/index` and `DELETE /collections/{name}/index/{field}`, as Qdrant has them.
//!
//! Qdrant's options are taken where they ask for what there is anyway, and refused otherwise.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::collections::envelope;
use super::request;
use crate::api::{CreateFieldIndex, IndexOptions, UpdateResult};
use crate::engine::{FieldType, PayloadSchema, validate_schema};
use crate::gateway::http::error::ApiError;
use crate::gateway::http::extract::{Json, Params};
use crate::gateway::http::middleware::RequestContext;
use crate::gateway::state::GatewayState;
use crate::routing::Collection;

pub(in crate::gateway) async fn create(
    State(state): State<GatewayState>,
    call: RequestContext,
    name: Result<Path<String>, PathRejection>,
    Params(options): Params<IndexOptions>,
    Json(body): Json<CreateFieldIndex>,
) -> Result<Response, ApiError> {
    let Path(name) = name?;
    let kind = field_type(&body.field_schema)?;
    set(&state, &call, &name, body.field_name, Some(kind), options).await
}

pub(in crate::gateway) async fn remove(
    State(state): State<GatewayState>,
    call: RequestContext,
    names: Result<Path<(String, String)>, PathRejection>,
    Params(options): Params<IndexOptions>,
) -> Result<Response, ApiError> {
    let Path((name, field)) = names?;
    set(&state, &call, &name, field, None, options).await
}

async fn set(
    state: &GatewayState,
    call: &RequestContext,
    name: &str,
    field: String,
    kind: Option<FieldType>,
    options: IndexOptions,
) -> Result<Response, ApiError> {
    // The map checks the whole schema; a path that is wrong by itself need not travel there.
    validate_schema(&PayloadSchema::from([(field.clone(), kind.unwrap_or(FieldType::Keyword))]))?;
    let deadline = request::deadline(state, call, None)?;
    let collection = request::collection(state, name, deadline).await?;
    // Only a drop tells whether there was an index, so it looks before the map changes.
    let existed = match kind {
        None => Some(is_indexed(state, name, &field, deadline).await?),
        Some(_) => None,
    };
    let done = state.router.set_field_index(&collection, field.clone(), kind, options.wait, deadline).await?;
    // To look for values asks all nodes, so only a client that waits is warned of their lack.
    let warnings = match (kind, existed) {
        (Some(kind), _) if options.wait => unused(state, &collection, &field, kind, deadline).await,
        (None, Some(false)) => vec![format!("no index on `{field}` was there to be dropped")],
        _ => Vec::new(),
    };
    let status = if done.everywhere { "completed" } else { "acknowledged" }.to_owned();
    Ok(envelope(call, UpdateResult { operation_id: done.version, status, existed, warnings }))
}

/// Returns `true` if the collection has an index on this field, as the owner of the map knows.
async fn is_indexed(state: &GatewayState, name: &str, field: &str, deadline: Instant) -> Result<bool, ApiError> {
    let map = state.router.read_map(deadline).await?;
    Ok(map.collections.get(name).is_some_and(|entry| entry.payload_schema.contains_key(field)))
}

/// Warns where no point that the shards have indexed so far has a value of this type.
async fn unused(
    state: &GatewayState,
    collection: &Collection,
    field: &str,
    kind: FieldType,
    deadline: Instant,
) -> Vec<String> {
    let overview = state.router.overview(deadline).await;
    let (points, with) = (overview.points_of(collection.entry.id), overview.points_with(collection.entry.id, field));
    if points == 0 || with > 0 {
        return Vec::new();
    }
    vec![format!(
        "no point of {points} is known to have a value of type {kind} at `{field}` yet: if that stays so in \
         `payload_schema` of GET /collections/{}, check the field's path and its type",
        collection.name
    )]
}

/// Reads `field_schema`: a type, or an object of a type and options.
fn field_type(schema: &Value) -> Result<FieldType, ApiError> {
    match schema {
        Value::String(name) => named(name, "field_schema"),
        Value::Object(members) => {
            let Some(name) = members.get("type").and_then(Value::as_str) else {
                return Err(ApiError::invalid("field_schema.type", "expected a type, such as \"keyword\""));
            };
            let kind = named(name, "field_schema.type")?;
            options(kind, members).map(|()| kind)
        }
        Value::Null => Err(ApiError::invalid("field_schema", "is missing: say a type, such as \"keyword\"")),
        _ => Err(ApiError::invalid("field_schema", "expected a type, such as \"keyword\", or an object with one")),
    }
}

fn named(name: &str, field: &str) -> Result<FieldType, ApiError> {
    if ["geo", "text"].iter().any(|other| name.eq_ignore_ascii_case(other)) {
        return Err(ApiError::not_supported(field, format!("an index of type {name} is not supported")));
    }
    name.parse::<FieldType>().map_err(|reason| ApiError::invalid(field, reason))
}

/// Qdrant's options, each with the value that asks for what an index here does anyway.
fn options(kind: FieldType, members: &Map<String, Value>) -> Result<(), ApiError> {
    for (name, value) in members.iter().filter(|(name, value)| *name != "type" && !value.is_null()) {
        let field = format!("field_schema.{name}");
        let as_it_is = match (name.as_str(), kind) {
            ("lookup" | "range", FieldType::Integer) => true,
            ("on_disk", _) => false,
            ("is_tenant", FieldType::Keyword | FieldType::Uuid) => false,
            ("is_principal", FieldType::Integer | FieldType::Float | FieldType::Datetime) => false,
            ("enable_hnsw", _) => false,
            _ => return Err(ApiError::invalid(field, format!("an index of type {kind} has no such option"))),
        };
        match value.as_bool() {
            Some(asked) if asked == as_it_is => {}
            Some(asked) => return Err(ApiError::not_supported(field, format!("{asked} is not supported"))),
            None => return Err(ApiError::invalid(field, "expected true or false")),
        }
    }
    Ok(())
}
