//! What a correct store holds: points in a map, looked through one by one. Knows nothing of the code under test.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::filters::Filter;
use super::ids::Id;
use super::json::picked;
use super::shapes::{self, Component, Config, Params, Point};
use super::steps::{Pick, Search};

/// A point as it was last written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    pub(super) version: u64,
    vectors: BTreeMap<String, Vec<f32>>,
    payload: Value,
}

/// A collection.
#[derive(Debug, Clone)]
pub(super) struct Collection {
    pub(super) config: Config,
    pub(super) points: BTreeMap<Id, Stored>,
    /// Tells it from one of the same name before.
    pub(super) life: u64,
}

impl Stored {
    pub(super) fn of(point: &Point, version: u64) -> Self {
        let values = |vector: &Vec<Component>| vector.iter().map(|(_, value)| *value).collect();
        let vectors = point.vectors.iter().map(|(name, vector)| (name.clone(), values(vector)));
        Self { version, vectors: vectors.collect(), payload: point.payload() }
    }
}

impl Collection {
    pub(super) fn new(config: Config, life: u64) -> Self {
        Self { config, points: BTreeMap::new(), life }
    }

    pub(super) fn version(&self, id: Id) -> u64 {
        self.points.get(&id).map_or(0, |stored| stored.version)
    }

    /// The ids that pass, in order.
    pub(super) fn passing(&self, filter: Option<&Filter>) -> Vec<Id> {
        let passes =
            |(id, stored): &(&Id, &Stored)| filter.is_none_or(|filter| filter.passes(&id.value(), &stored.payload));
        self.points.iter().filter(passes).map(|(id, _)| *id).collect()
    }

    /// Whether a part of an answer is the point: `found` may have its place and its score beside.
    pub(super) fn shows(&self, found: &Value, payload: &Pick, vector: &Pick) -> Result<Id, String> {
        let wrong = |what: &str| Err(format!("{what}: {found}"));
        let known = self.points.iter().find(|(id, _)| id.value() == found["id"]);
        let Some((id, stored)) = known else { return wrong("a point that is not there") };
        if found["version"] != json!(stored.version) {
            return wrong(&format!("not its version, {}", stored.version));
        }
        if found.get("payload") != self.payload(stored, payload).as_ref() {
            return wrong(&format!("not its payload, {}", stored.payload));
        }
        if !same_vectors(found.get("vector"), self.vectors(stored, vector)) {
            return wrong(&format!("not its vectors, {:?}", stored.vectors));
        }
        Ok(*id)
    }

    fn payload(&self, stored: &Stored, pick: &Pick) -> Option<Value> {
        Some(match pick {
            Pick::Default | Pick::All(true) => stored.payload.clone(),
            Pick::All(false) => return None,
            Pick::These(names) | Pick::Include(names) => {
                picked(&stored.payload, |key| names.iter().any(|name| name == key))
            }
            Pick::Exclude(names) => picked(&stored.payload, |key| names.iter().all(|name| name != key)),
        })
    }

    fn vectors(&self, stored: &Stored, pick: &Pick) -> Option<BTreeMap<String, Vec<f32>>> {
        match pick {
            Pick::All(true) => Some(stored.vectors.clone()),
            Pick::These(names) => {
                let wanted = stored.vectors.iter().filter(|(name, _)| names.contains(name));
                Some(wanted.map(|(name, vector)| (name.clone(), vector.clone())).collect())
            }
            _ => None,
        }
    }

    /// Whether the vectors that are asked for are those of this collection.
    pub(super) fn has_vectors(&self, pick: &Pick) -> bool {
        match pick {
            Pick::These(names) => names.iter().all(|name| self.config.vectors.contains_key(name)),
            _ => true,
        }
    }

    /// Whether a search can be carried out; otherwise the status that says so.
    pub(super) fn refuses(&self, search: &Search) -> Vec<u16> {
        let mut refused = Vec::new();
        let params = self.config.vectors.get(&search.using);
        let ef = search.ef.is_none_or(|ef| (1..=100_000).contains(&ef));
        let fits = search.filter.as_ref().is_none_or(Filter::is_fit);
        if !ef || !fits || params.is_none() || !self.has_vectors(&search.with_vector) {
            refused.extend([400, 501]);
        }
        match (&search.near, params) {
            (Ok(vector), Some(params)) if !shapes::is_fit(vector, params) => refused.push(400),
            // What is too large for its type is refused by whoever reads it first.
            (Ok(vector), None) if vector.iter().any(|(_, value)| !value.is_finite()) => refused.push(400),
            (Err(id), _) => match self.points.get(id) {
                None => refused.push(404),
                Some(stored) if !stored.vectors.contains_key(&search.using) => refused.push(400),
                Some(_) => {}
            },
            _ => {}
        }
        refused
    }

    /// Whether `hits` are the nearest points.
    pub(super) fn nearest(&self, search: &Search, hits: &[Value]) -> Result<(), String> {
        let params = &self.config.vectors[&search.using];
        let target = match &search.near {
            Ok(vector) => vector.iter().map(|(_, value)| *value).collect(),
            Err(id) => self.points[id].vectors[&search.using].clone(),
        };
        let among = self.passing(search.filter.as_ref()).into_iter().filter(|id| search.near != Err(*id));
        let with = among.filter_map(|id| Some((id, self.points[&id].vectors.get(&search.using)?)));
        let scored: Vec<(Id, f64)> = with.clone().map(|(id, vector)| (id, score(params, &target, vector))).collect();
        let plain = is_plain(&target) && with.clone().all(|(_, vector)| is_plain(vector));
        let mut seen = Vec::new();
        for hit in hits {
            let id = self.shows(hit, &search.with_payload, &search.with_vector)?;
            let Some((_, expected)) = scored.iter().find(|(known, _)| *known == id) else {
                return Err(format!("a point that the search does not mean: {hit}"));
            };
            let Some(found) = hit["score"].as_f64() else { return Err(format!("a score that is no number: {hit}")) };
            if plain && !near(found, *expected) {
                return Err(format!("not its score, {expected}: {hit}"));
            }
            if seen.contains(&id) {
                return Err(format!("a point twice: {hit}"));
            }
            seen.push(id);
        }
        if plain { self.in_order(params, search, scored, hits) } else { Ok(()) }
    }

    fn in_order(
        &self,
        params: &Params,
        search: &Search,
        mut scored: Vec<(Id, f64)>,
        hits: &[Value],
    ) -> Result<(), String> {
        let sign = if is_similarity(params) { -1.0 } else { 1.0 };
        scored.sort_by(|left, right| (sign * left.1).total_cmp(&(sign * right.1)));
        if let Some(threshold) = search.threshold.map(f64::from) {
            if scored.iter().any(|(_, score)| near(*score, threshold)) {
                // Rounding decides.
                return Ok(());
            }
            scored.retain(|(_, score)| sign * score < sign * threshold);
        }
        let page = scored.into_iter().skip(search.offset as usize).take(search.limit as usize);
        let (page, found): (Vec<f64>, Vec<f64>) =
            (page.map(|(_, score)| score).collect(), hits.iter().filter_map(|hit| hit["score"].as_f64()).collect());
        let alike = page.len() == found.len() && page.iter().zip(&found).all(|(left, right)| near(*left, *right));
        if alike { Ok(()) } else { Err(format!("scores {found:?}, where the nearest have {page:?}")) }
    }
}

fn is_similarity(params: &Params) -> bool {
    ["cosine", "dot"].iter().any(|name| params.distance.eq_ignore_ascii_case(name))
}

/// Whether scores of such components do not depend on the order in which they are added up.
fn is_plain(vector: &[f32]) -> bool {
    vector.iter().all(|value| *value == 0.0 || (1e-2..1e3).contains(&value.abs()))
}

fn near(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-4 * (1.0 + right.abs())
}

fn score(params: &Params, left: &[f32], right: &[f32]) -> f64 {
    let pairs = || left.iter().zip(right).map(|(left, right)| (f64::from(*left), f64::from(*right)));
    let dot: f64 = pairs().map(|(left, right)| left * right).sum();
    let length = |vector: &[f32]| vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    match params.distance.to_lowercase().as_str() {
        "dot" => dot,
        "cosine" => dot / (length(left) * length(right)),
        "euclid" => pairs().map(|(left, right)| (left - right).powi(2)).sum::<f64>().sqrt(),
        _ => pairs().map(|(left, right)| (left - right).abs()).sum(),
    }
}

/// Whether an answer has these vectors, bit for bit.
fn same_vectors(found: Option<&Value>, expected: Option<BTreeMap<String, Vec<f32>>>) -> bool {
    let Some(expected) = expected else { return found.is_none() };
    let bits = |list: &Value| -> Option<Vec<u32>> {
        list.as_array()?.iter().map(|value| Some((value.as_f64()? as f32).to_bits())).collect()
    };
    let found = match found {
        Some(list @ Value::Array(_)) => Map::from_iter([(String::new(), list.clone())]),
        Some(Value::Object(named)) => named.clone(),
        _ => return false,
    };
    let expected = expected.into_iter().map(|(name, vector)| (name, vector.into_iter().map(f32::to_bits).collect()));
    let found: Option<BTreeMap<String, Vec<u32>>> =
        found.into_iter().map(|(name, list)| Some((name, bits(&list)?))).collect();
    found == Some(expected.collect())
}
