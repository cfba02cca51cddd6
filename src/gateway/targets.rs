//! What searches look for: the vector that was given, or that of a stored point, read at the level of the search itself.

use std::collections::{BTreeMap, BTreeSet};

use super::convert;
use super::error::ApiError;
use super::state::GatewayState;
use crate::api;
use crate::engine::{DEFAULT_VECTOR, GetQuery, PayloadSelector, PointId, VectorParams, VectorSelector};
use crate::routing::{Collection, ReadOptions};

/// What one search looks for.
pub(super) struct Target {
    /// Which of the points' vectors it compares with.
    pub(super) name: String,
    /// That vector's settings.
    pub(super) params: VectorParams,
    by: By,
}

enum By {
    Vector(Vec<f32>),
    Point(PointId),
}

impl Target {
    /// The point whose vector it uses, unless the vector was given.
    pub(super) fn id(&self) -> Option<PointId> {
        match self.by {
            By::Vector(_) => None,
            By::Point(id) => Some(id),
        }
    }
}

/// Takes the target of a search out of its body.
///
/// # Errors
/// None, or two; a vector that the collection does not have.
pub(super) fn target(collection: &Collection, search: &mut api::SearchItem) -> Result<Target, ApiError> {
    let name = convert::vector_name(search.using.clone());
    let params = vector_params(collection, &name)?;
    match (search.vector.take(), search.id) {
        (Some(vector), None) => Ok(Target { name, params, by: By::Vector(vector) }),
        (None, Some(id)) => Ok(Target { name, params, by: By::Point(id.into()) }),
        (Some(_), Some(_)) => Err(ApiError::invalid("id", "give either `vector` or `id`, not both")),
        (None, None) => Err(ApiError::invalid("vector", "give either `vector` or `id`")),
    }
}

/// The vector of each target; those of stored points are read in one round.
///
/// # Errors
/// A point that does not exist or lacks the vector, or why a shard could not serve.
pub(super) async fn vectors(
    state: &GatewayState,
    collection: &Collection,
    targets: Vec<Target>,
    options: &ReadOptions,
) -> Result<Vec<(Target, Vec<f32>)>, ApiError> {
    let stored = stored(state, collection, &targets, options).await?;
    let count = targets.len();
    let vector = |(place, mut target): (usize, Target)| {
        let vector = match &mut target.by {
            By::Vector(vector) => std::mem::take(vector),
            By::Point(id) => {
                let unknown = || {
                    let (collection, shards) = (collection.name.clone(), Vec::new());
                    ApiError::PointNotFound { collection, id: *id, shards }
                };
                let vector = stored.get(id).ok_or_else(unknown)?.get(&target.name).cloned();
                vector.ok_or_else(|| lacks(*id, &target.name, (count > 1).then_some(place)))?
            }
        };
        Ok((target, vector))
    };
    targets.into_iter().enumerate().map(vector).collect()
}

/// The wanted vectors of the points that targets name.
async fn stored(
    state: &GatewayState,
    collection: &Collection,
    targets: &[Target],
    options: &ReadOptions,
) -> Result<BTreeMap<PointId, BTreeMap<String, Vec<f32>>>, ApiError> {
    let by_id = || targets.iter().filter(|target| target.id().is_some());
    let ids: BTreeSet<PointId> = by_id().filter_map(Target::id).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let query = GetQuery {
        collection: collection.entry.id,
        ids: ids.into_iter().collect(),
        with_payload: PayloadSelector::None,
        with_vector: VectorSelector::Names(by_id().map(|target| target.name.clone()).collect()),
    };
    let options = ReadOptions { allow_partial: false, ..options.clone() };
    let found = state.backend.get(collection, query, options).await?;
    Ok(found.value.into_iter().map(|(_, record)| (record.id, record.vectors.unwrap_or_default())).collect())
}

fn lacks(id: PointId, name: &str, position: Option<usize>) -> ApiError {
    let reason = format!("point {id} has no vector{}", quoted(name));
    ApiError::Refused(crate::engine::Refusal::Invalid { position, field: "id".to_owned(), reason })
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
