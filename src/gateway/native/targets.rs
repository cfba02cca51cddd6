//! What searches look for: the vector that was given, or that of a stored point, read at the level of the search itself.

use std::collections::{BTreeMap, BTreeSet};

use super::convert;
use crate::api;
use crate::engine::{DEFAULT_VECTOR, GetQuery, PayloadSelector, PointId, VectorParams, VectorSelector};
use crate::gateway::http::error::ApiError;
use crate::gateway::state::GatewayState;
use crate::routing::{Collection, MAX_ANSWER_BYTES, ReadOptions};

/// What one search looks for.
pub(in crate::gateway) struct SearchTarget {
    /// Which of the points' vectors it compares with.
    pub(in crate::gateway) name: String,
    /// That vector's settings.
    pub(in crate::gateway) params: VectorParams,
    by: By,
}

enum By {
    Vector(Vec<f32>),
    Point(PointId),
}

impl SearchTarget {
    /// The point whose vector it uses, unless the vector was given.
    pub(in crate::gateway) fn id(&self) -> Option<PointId> {
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
pub(in crate::gateway) fn target(
    collection: &Collection,
    search: &mut api::SearchItem,
) -> Result<SearchTarget, ApiError> {
    let name = convert::vector_name(search.using.clone());
    let params = vector_params(collection, &name)?;
    match (search.vector.take(), search.id) {
        (Some(vector), None) => Ok(SearchTarget { name, params, by: By::Vector(vector) }),
        (None, Some(id)) => Ok(SearchTarget { name, params, by: By::Point(id) }),
        (Some(_), Some(_)) => Err(ApiError::invalid("id", "give either `vector` or `id`, not both")),
        (None, None) => Err(ApiError::invalid("vector", "give either `vector` or `id`")),
    }
}

/// The vector of each target; those of stored points are read in one round.
///
/// # Errors
/// A point that does not exist or lacks the vector, or why a shard could not serve.
pub(in crate::gateway) async fn vectors(
    state: &GatewayState,
    collection: &Collection,
    targets: Vec<SearchTarget>,
    options: &ReadOptions,
) -> Result<Vec<(SearchTarget, Vec<f32>)>, ApiError> {
    // The vectors of points are read at once for all searches.
    let stored = stored(state, collection, &targets, options).await?;
    let count = targets.len();
    // A search by a vector has it already. A search by a point takes that of the point.
    let vector = |(place, mut target): (usize, SearchTarget)| {
        let vector = match &mut target.by {
            By::Vector(vector) => std::mem::take(vector),
            By::Point(id) => {
                let unknown = || {
                    let (collection, shards) = (collection.name.clone(), Vec::new());
                    ApiError::PointNotFound { position: (count > 1).then_some(place), collection, id: *id, shards }
                };
                let vector = stored.get(id).ok_or_else(unknown)?.get(&target.name).cloned();
                vector.ok_or_else(|| lacks(*id, &target.name, (count > 1).then_some(place)))?
            }
        };
        Ok((target, vector))
    };
    targets.into_iter().enumerate().map(vector).collect()
}

/// The wanted vectors of the points that targets name: read at once where one answer carries them, else in parts.
async fn stored(
    state: &GatewayState,
    collection: &Collection,
    targets: &[SearchTarget],
    options: &ReadOptions,
) -> Result<BTreeMap<PointId, BTreeMap<String, Vec<f32>>>, ApiError> {
    // A point that a lost shard has cannot be searched by, so the answer must be whole.
    let options = ReadOptions { allow_partial: false, ..options.clone() };
    let mut stored = BTreeMap::<_, BTreeMap<String, Vec<f32>>>::new();
    for (names, ids) in parts(targets, MAX_ANSWER_BYTES as usize) {
        let (with_payload, with_vector) = (PayloadSelector::None, VectorSelector::Names(names));
        let query = GetQuery { collection: collection.entry.id, ids, with_payload, with_vector };
        let found = state.router.get(collection, query, options.clone()).await?;
        for (_, record) in found.value {
            stored.entry(record.id).or_default().extend(record.vectors.unwrap_or_default());
        }
    }
    Ok(stored)
}

/// Which vectors of which points are read together. Each part has at most `most` bytes, or one vector that is larger.
fn parts(targets: &[SearchTarget], most: usize) -> Vec<(BTreeSet<String>, Vec<PointId>)> {
    // For each vector's name: its bytes, and the points that have to give it.
    let mut wanted = BTreeMap::<&str, (usize, BTreeSet<PointId>)>::new();
    for (target, id) in targets.iter().filter_map(|target| Some((target, target.id()?))) {
        let bytes = target.name.len() + target.params.size * size_of::<f32>();
        wanted.entry(&target.name).or_insert_with(|| (bytes, BTreeSet::new())).1.insert(id);
    }
    let names: BTreeSet<String> = wanted.keys().map(|name| (*name).to_owned()).collect();
    let all: BTreeSet<PointId> = wanted.values().flat_map(|(_, ids)| ids).copied().collect();
    if all.is_empty() {
        return Vec::new();
    }
    // One read is enough where all names of all points fit into one answer.
    if all.len() * wanted.values().map(|(bytes, _)| bytes).sum::<usize>() <= most {
        return vec![(names, all.into_iter().collect())];
    }
    // If not, each name is read by itself, for as many points as fit.
    let of_name = |(name, (bytes, ids)): (&str, (usize, BTreeSet<PointId>))| {
        let ids: Vec<PointId> = ids.into_iter().collect();
        let part = |ids: &[PointId]| (BTreeSet::from([name.to_owned()]), ids.to_vec());
        ids.chunks((most / bytes).max(1)).map(part).collect::<Vec<_>>()
    };
    wanted.into_iter().flat_map(of_name).collect()
}

fn lacks(id: PointId, name: &str, position: Option<usize>) -> ApiError {
    let reason = format!("point {id} has no vector{}", called(name));
    ApiError::Refused(crate::engine::Refusal::Invalid { position, field: "id".to_owned(), reason })
}

fn vector_params(collection: &Collection, name: &str) -> Result<VectorParams, ApiError> {
    let vectors = &collection.entry.config.vectors;
    vectors.get(name).copied().ok_or_else(|| {
        // The error lists the names that there are, so that a misspelt one is seen at once.
        let names: Vec<String> =
            vectors.keys().filter(|name| *name != DEFAULT_VECTOR).map(|name| format!("`{name}`")).collect();
        let have = if names.is_empty() {
            "its one vector has no name".to_owned()
        } else {
            format!("it has {}", names.join(", "))
        };
        ApiError::invalid("using", format!("the collection has no vector{}; {have}", called(name)))
    })
}

fn called(name: &str) -> String {
    if name == DEFAULT_VECTOR { " without a name".to_owned() } else { format!(" `{name}`") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::Distance;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn every_wanted_vector_is_read_and_no_part_is_more_than_an_answer(
            wanted in prop::collection::vec((0_usize..3, 0_u64..20, any::<bool>()), 0..60),
            most in 8_usize..2_000,
        ) {
            let target = |(name, id, by_id): (usize, u64, bool)| SearchTarget {
                name: ["", "a", "bc"][name].to_owned(),
                params: VectorParams::new(1 + 10 * name, Distance::Dot),
                by: if by_id { By::Point(PointId::Num(id)) } else { By::Vector(Vec::new()) },
            };
            let targets: Vec<SearchTarget> = wanted.into_iter().map(target).collect();
            let parts = parts(&targets, most);
            for target in targets.iter().filter(|target| target.id().is_some()) {
                let id = target.id().unwrap();
                prop_assert!(parts.iter().any(|(names, ids)| names.contains(&target.name) && ids.contains(&id)));
            }
            for (names, ids) in &parts {
                let size = |name: &String| name.len() + 4 * (1 + 10 * name.len());
                let bytes = ids.len() * names.iter().map(size).sum::<usize>();
                prop_assert!(!ids.is_empty() && (bytes <= most || ids.len() == 1 && names.len() == 1));
            }
        }
    }
}
