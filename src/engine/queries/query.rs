//! What can be asked of a shard, and the answers; plain data that crosses the network between nodes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use vector_index::Way;

use crate::engine::collection::{CollectionConfig, Distance};
use crate::engine::filter::Filter;
use crate::engine::ids::CollectionId;
use crate::engine::payload::Payload;
use crate::model::{FieldType, PointId, SearchParams};

/// Which part of the payload an answer carries.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum PayloadSelector {
    /// None of it.
    #[default]
    None,
    /// All of it.
    All,
    /// Only what these paths lead to, which mean what they mean in a filter.
    Include(BTreeSet<String>),
    /// All but what these paths lead to.
    Exclude(BTreeSet<String>),
}

/// Which vectors an answer carries.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum VectorSelector {
    /// None.
    #[default]
    None,
    /// All the point has.
    All,
    /// Those of these names.
    Names(BTreeSet<String>),
}

/// What of a point an answer carries, beside its id and version.
pub type Carried<'a> = (&'a PayloadSelector, &'a VectorSelector);

/// What a search looks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Target {
    /// The points nearest to this vector.
    Vector(#[serde(with = "crate::engine::floats::one")] Vec<f32>),
}

/// A search for the nearest points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchQuery {
    /// Where.
    pub collection: CollectionId,
    /// By which of the points' vectors.
    pub vector_name: String,
    /// Nearest to what.
    pub target: Target,
    /// How many hits at most: the client's limit plus its offset, since only [`merge_hits`] can skip.
    pub limit: usize,
    /// Only points that match.
    pub filter: Option<Filter>,
    /// Only hits at least this near: score ≥ it for cosine and dot, ≤ it for euclid and manhattan.
    pub score_threshold: Option<f32>,
    /// Which part of the payload to bring.
    pub with_payload: PayloadSelector,
    /// Which vectors to bring.
    pub with_vector: VectorSelector,
    /// How to search.
    pub params: SearchParams,
}

/// One point found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// The point.
    pub id: PointId,
    /// Similarity or distance, as the collection's [`Distance`] says.
    pub score: f32,
    /// The point's version.
    pub version: u64,
    /// The payload, if asked for.
    pub payload: Option<Payload>,
    /// The vectors, bit for bit as written, if asked for.
    #[serde(with = "crate::engine::floats::maybe_named")]
    pub vectors: Option<BTreeMap<String, Vec<f32>>>,
}

/// What a search did to answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Explain {
    /// Which way it went.
    pub way: Way,
    /// Vectors and codes that were compared with the target.
    pub compared: u64,
    /// Payloads the filter was tested on: only of points near enough to matter, and of none where indexes tell.
    pub filtered: u64,
    /// How many points payload indexes left to search among; `None` where they were of no use.
    pub candidates: Option<u64>,
    /// The payload indexes that were used.
    pub indexes: BTreeSet<String>,
}

/// The hits of a search, best first, and how they were found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Found {
    /// The hits, best first.
    pub hits: Vec<Hit>,
    /// How they were found.
    pub explain: Explain,
}

/// Some points by their ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetQuery {
    /// Where.
    pub collection: CollectionId,
    /// Which; those that do not exist are left out of the answer.
    pub ids: Vec<PointId>,
    /// Which part of the payload to bring.
    pub with_payload: PayloadSelector,
    /// Which vectors to bring.
    pub with_vector: VectorSelector,
}

/// A page of points in the order of their ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScrollQuery {
    /// Where.
    pub collection: CollectionId,
    /// The first id of the page, whether it exists or not.
    pub offset: Option<PointId>,
    /// How many at most.
    pub limit: usize,
    /// Only points that match.
    pub filter: Option<Filter>,
    /// Which part of the payload to bring.
    pub with_payload: PayloadSelector,
    /// Which vectors to bring.
    pub with_vector: VectorSelector,
}

/// The number of points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountQuery {
    /// Where.
    pub collection: CollectionId,
    /// Only points that match.
    pub filter: Option<Filter>,
}

/// One point as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The point.
    pub id: PointId,
    /// Log index of its last change.
    pub version: u64,
    /// The payload, if asked for.
    pub payload: Option<Payload>,
    /// The vectors, bit for bit as written, if asked for.
    #[serde(with = "crate::engine::floats::maybe_named")]
    pub vectors: Option<BTreeMap<String, Vec<f32>>>,
}

impl Record {
    /// Bytes of its payload and vectors.
    pub fn weight(&self) -> usize {
        weight(self.payload.as_ref(), self.vectors.as_ref())
    }
}

impl Hit {
    /// Bytes of its payload and vectors.
    pub fn weight(&self) -> usize {
        weight(self.payload.as_ref(), self.vectors.as_ref())
    }
}

fn weight(payload: Option<&Payload>, vectors: Option<&BTreeMap<String, Vec<f32>>>) -> usize {
    let of_vectors = |vectors: &BTreeMap<String, Vec<f32>>| {
        vectors.iter().map(|(name, vector)| name.len() + vector.len() * size_of::<f32>()).sum::<usize>()
    };
    payload.map_or(0, |payload| payload.text().len()) + vectors.map_or(0, of_vectors)
}

/// A page of a scroll.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ScrollPage {
    /// The points, in the order of their ids.
    pub records: Vec<Record>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<PointId>,
}

/// What a shard knows of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionStats {
    /// Which.
    pub collection: CollectionId,
    /// Its settings.
    pub config: CollectionConfig,
    /// Points of it in this shard.
    pub points: u64,
    /// Version of the payload schema it has here; 0 before the first.
    pub schema_version: u64,
    /// The indexed payload fields by their paths.
    pub fields: BTreeMap<String, FieldStats>,
}

/// What a shard knows of an indexed payload field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldStats {
    /// What it is indexed as.
    pub kind: FieldType,
    /// Points of this shard that have a value of that kind there.
    pub points: u64,
}

/// Merges the hits of several shards, each best first, into the page from `offset`, of at most `limit` hits.
///
/// Best score first, equal scores by id: the same points give the same page however they are spread over shards.
pub fn merge_hits(distance: Distance, shards: Vec<Vec<Hit>>, offset: usize, limit: usize) -> Vec<Hit> {
    let mut hits: Vec<Hit> = shards.into_iter().flatten().collect();
    // The standard stable sort finds the sorted runs that the shards sent and merges them.
    hits.sort_by(|left, right| distance.rank(left.score, right.score).then(left.id.cmp(&right.id)));
    hits.into_iter().skip(offset).take(limit).collect()
}
