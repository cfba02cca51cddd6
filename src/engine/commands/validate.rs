//! Whether collections, points and commands are within the rules. Pure: the gateway asks before it proposes, and
//! `apply` asks again.

use std::collections::BTreeSet;

use super::reply::Refusal;
use crate::engine::collection::{CollectionConfig, Distance, GraphParams, Quantization, VectorParams};
use crate::engine::payload::Payload;
use crate::engine::point::PointWrite;
use crate::model::PointId;
use crate::model::limits::{
    MAX_BATCH, MAX_EF_CONSTRUCT, MAX_LINKS, MAX_PAYLOAD_BYTES, MAX_PAYLOAD_DEPTH, MAX_VECTOR_NAME_BYTES,
    MAX_VECTOR_SIZE, MAX_VECTORS_PER_COLLECTION, MIN_LINKS,
};

/// Checks a batch of points against the collection's settings and the limits.
///
/// # Errors
/// [`Refusal::Invalid`] with the position of the first point that does not fit, the member, and the reason.
pub fn validate(config: &CollectionConfig, points: &[PointWrite]) -> Result<(), Refusal> {
    // The size of the batch comes first: it bounds the work of all other checks.
    batch_size("points", points.len())?;
    no_id_twice(points.iter().map(|point| point.id))?;
    for (position, point) in points.iter().enumerate() {
        vectors(config, point)
            .and_then(|()| payload(&point.payload))
            .map_err(|InvalidMember { field, reason }| Refusal::invalid_at(position, field, reason))?;
    }
    Ok(())
}

/// Checks a new collection's settings.
///
/// # Errors
/// [`Refusal::Invalid`] with the member and the reason.
pub fn validate_config(config: &CollectionConfig) -> Result<(), Refusal> {
    if config.vectors.is_empty() || config.vectors.len() > MAX_VECTORS_PER_COLLECTION {
        let reason =
            format!("a collection has 1 to {MAX_VECTORS_PER_COLLECTION} vectors, not {}", config.vectors.len());
        return Err(Refusal::invalid("vectors", reason));
    }
    // Each bound is named in its error, with the member that breaks it.
    for (name, params) in &config.vectors {
        if name.len() > MAX_VECTOR_NAME_BYTES {
            let reason = format!("a vector's name is {MAX_VECTOR_NAME_BYTES} bytes at most");
            return Err(Refusal::invalid("vectors", reason));
        }
        if params.size == 0 || params.size > MAX_VECTOR_SIZE {
            let reason = format!("a vector has 1 to {MAX_VECTOR_SIZE} components, not {}", params.size);
            return Err(Refusal::invalid(member(name, "size"), reason));
        }
        index(*params).map_err(|(setting, reason)| Refusal::invalid(member(name, setting), reason))?;
    }
    Ok(())
}

/// Whether vectors can be indexed so; otherwise the member and the reason.
fn index(params: VectorParams) -> Result<(), (&'static str, String)> {
    if params.distance == Distance::Manhattan && params.quantization != Quantization::None {
        return Err(("quantization", "there are no codes for manhattan: leave it out or say null".to_owned()));
    }
    let Some(GraphParams { m, ef_construct }) = params.graph else { return Ok(()) };
    if !(MIN_LINKS..=MAX_LINKS).contains(&m) {
        return Err(("index.m", format!("{m} is not within {MIN_LINKS} to {MAX_LINKS}")));
    }
    if !(m..=MAX_EF_CONSTRUCT).contains(&ef_construct) {
        return Err((
            "index.ef_construct",
            format!("{ef_construct} is not within m, which is {m}, to {MAX_EF_CONSTRUCT}"),
        ));
    }
    Ok(())
}

/// Checks the vector of a search.
///
/// # Errors
/// [`Refusal::Invalid`] about `vector`.
pub fn validate_target(params: VectorParams, vector: &[f32]) -> Result<(), Refusal> {
    components(params, vector).map_err(|reason| Refusal::invalid("vector", reason))
}

/// Checks the number of ids of a deletion or a get, and that none comes twice.
pub(super) fn validate_ids(ids: impl ExactSizeIterator<Item = PointId>) -> Result<(), Refusal> {
    batch_size("ids", ids.len())?;
    no_id_twice(ids)
}

pub(in crate::engine) fn batch_size(field: &str, items: usize) -> Result<(), Refusal> {
    if items > MAX_BATCH {
        return Err(Refusal::invalid(field, format!("{items} items, the limit is {MAX_BATCH}")));
    }
    Ok(())
}

fn no_id_twice(ids: impl Iterator<Item = PointId>) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    for (position, id) in ids.enumerate() {
        if !seen.insert(id) {
            return Err(Refusal::invalid_at(position, "id", format!("{id} is in this batch twice")));
        }
    }
    Ok(())
}

struct InvalidMember {
    field: String,
    reason: String,
}

fn vectors(config: &CollectionConfig, point: &PointWrite) -> Result<(), InvalidMember> {
    // A point may lack some of the vectors, but has none that the collection does not know.
    for (name, vector) in &point.vectors {
        let Some(params) = config.vectors.get(name) else {
            return Err(InvalidMember { field: member(name, ""), reason: unknown_vector(config, name) });
        };
        components(*params, vector).map_err(|reason| InvalidMember { field: member(name, ""), reason })?;
    }
    // A point without any vector could be found by no search.
    if point.vectors.is_empty() {
        let names: Vec<&str> = config.vectors.keys().map(String::as_str).filter(|name| !name.is_empty()).collect();
        let hint = if names.is_empty() { String::new() } else { format!("; the collection has {}", names.join(", ")) };
        return Err(InvalidMember { field: "vector".to_owned(), reason: format!("the vector is missing{hint}") });
    }
    Ok(())
}

/// Why `name` cannot be used, with the names that can.
pub(in crate::engine) fn unknown_vector(config: &CollectionConfig, name: &str) -> String {
    let names: Vec<String> = config.vectors.keys().map(|name| format!("`{name}`")).collect();
    match name {
        "" => format!("the collection has no unnamed vector; it has {}", names.join(", ")),
        _ if config.vectors.contains_key("") => {
            format!("the collection has no vector `{name}`; its vector has no name")
        }
        _ => format!("the collection has no vector `{name}`; it has {}", names.join(", ")),
    }
}

fn components(params: VectorParams, vector: &[f32]) -> Result<(), String> {
    if vector.len() != params.size {
        return Err(format!("has {} components, the collection's vectors have {}", vector.len(), params.size));
    }
    // Without an early end, many components are tested at once.
    let is_finite = vector.iter().fold(true, |all, component| all & component.is_finite());
    if !is_finite && let Some(place) = vector.iter().position(|component| !component.is_finite()) {
        return Err(format!("component {place} is {}, and must be a finite number", vector[place]));
    }
    if params.distance == Distance::Cosine && vector.iter().all(|component| *component == 0.0) {
        return Err("all components are zero: such a vector has no direction, which cosine compares".to_owned());
    }
    Ok(())
}

fn payload(payload: &Payload) -> Result<(), InvalidMember> {
    let wrong = |reason| Err(InvalidMember { field: "payload".to_owned(), reason });
    // Its size comes first: the depth of a long text takes long to find.
    let bytes = payload.text().len();
    if bytes > MAX_PAYLOAD_BYTES {
        return wrong(format!("{bytes} bytes as compact JSON, the limit is {MAX_PAYLOAD_BYTES}"));
    }
    match payload.depth() {
        Err(error) => wrong(format!("is no JSON object: {error}")),
        Ok(depth) if depth > MAX_PAYLOAD_DEPTH => {
            wrong(format!("arrays and objects go {MAX_PAYLOAD_DEPTH} deep at most"))
        }
        Ok(_) => Ok(()),
    }
}

/// How an error names a vector, or a setting of it.
fn member(name: &str, setting: &str) -> String {
    let vector = if name.is_empty() { "vector".to_owned() } else { format!("vector.{name}") };
    if setting.is_empty() { vector } else { format!("{vector}.{setting}") }
}
