//! What collections, vectors and points look like: settings at and around their limits, components in every spelling.

use std::collections::BTreeMap;

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Number, Value};

use super::ids::Id;
use super::json::{self, Json, object};

/// One vector of a collection.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Params {
    pub(super) size: usize,
    pub(super) distance: &'static str,
    index: Option<Json>,
    quantization: Option<Json>,
}

/// The vectors of a collection; one without a name has the empty one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Config {
    pub(super) vectors: BTreeMap<String, Params>,
    /// Whether it is written as a map of names.
    named: bool,
}

impl Config {
    pub(super) fn any(rng: &mut StdRng) -> Self {
        let named = rng.random_ratio(1, 3);
        let names = if named { vec!["t", "u", ""] } else { vec![""] };
        let count = if named { rng.random_range(1..4) } else { 1 };
        Self { vectors: names.into_iter().take(count).map(|name| (name.to_owned(), params(rng))).collect(), named }
    }

    /// Whether it is within the limits.
    pub(super) fn is_fit(&self) -> bool {
        self.vectors.values().all(Params::is_fit)
    }

    pub(super) fn body(&self, name: &str) -> Json {
        let mut members = vec![("name".to_owned(), Json::from(name))];
        match self.vectors.values().next().filter(|_| !self.named) {
            Some(params) => {
                members.push(("vector_size".to_owned(), Json::from(params.size as u64)));
                members.extend(params.members());
            }
            None => {
                let one = |params: &Params| {
                    let size = ("size".to_owned(), Json::from(params.size as u64));
                    Json::Object([size].into_iter().chain(params.members()).collect())
                };
                let vectors = self.vectors.iter().map(|(name, params)| (name.clone(), one(params)));
                members.push(("vectors".to_owned(), Json::Object(vectors.collect())));
            }
        }
        Json::Object(members)
    }
}

impl Params {
    fn members(&self) -> impl Iterator<Item = (String, Json)> {
        let distance = Some(("distance".to_owned(), self.distance.into()));
        let index = self.index.clone().map(|index| ("index".to_owned(), index));
        let codes = self.quantization.clone().map(|codes| ("quantization".to_owned(), codes));
        distance.into_iter().chain(index).chain(codes)
    }

    fn is_fit(&self) -> bool {
        let codes = self.quantization.as_ref().is_some_and(|codes| *codes != Json::Null);
        let index = self.index.as_ref().map(Json::value).unwrap_or_default();
        let (links, width) = (index["m"].as_u64().unwrap_or(16), index["ef_construct"].as_u64().unwrap_or(100));
        // Links of no graph are not looked at.
        let graph = index["type"] == "exact" || (4..=64).contains(&links) && (links..=2_000).contains(&width);
        (1..=65_535).contains(&self.size) && !(codes && self.distance == "manhattan") && graph
    }
}

fn params(rng: &mut StdRng) -> Params {
    let distances = ["cosine", "dot", "euclid", "manhattan", "Cosine", "Euclid"];
    let size =
        if rng.random_ratio(1, 60) { [0, 65_535, 65_536][rng.random_range(0..3)] } else { rng.random_range(1..4) };
    Params {
        size,
        distance: distances[rng.random_range(0..distances.len())],
        index: index(rng),
        quantization: [None, None, Some(Json::Null), Some("int8".into()), Some("binary".into())]
            [rng.random_range(0..5)]
        .clone(),
    }
}

fn index(rng: &mut StdRng) -> Option<Json> {
    match rng.random_range(0..6) {
        0 => Some("exact".into()),
        1 => Some("hnsw".into()),
        2 => {
            let links = [3, 4, 16, 64, 65][rng.random_range(0..5)];
            let width = [links, 100, 2_000, 2_001][rng.random_range(0..4)];
            let kind = if rng.random_ratio(1, 5) { "exact" } else { "hnsw" };
            Some(object([("type", kind.into()), ("m", links.into()), ("ef_construct", width.into())]))
        }
        _ => None,
    }
}

/// A component, as it is written and as it is kept.
pub(super) type Component = (&'static str, f32);

/// A vector; now and then of a size, or with components, that no collection takes.
pub(super) fn vector(rng: &mut StdRng, size: usize) -> Vec<Component> {
    const USUAL: [&str; 10] = ["0", "1", "-1", "0.5", "2", "3", "-7.25", "0.1", "-0.0", "1e1"];
    const EDGES: [&str; 7] = ["1e38", "3.4028235e38", "-1e38", "1e-38", "1e-45", "1e15", "1.7e18"];
    let size = if rng.random_ratio(1, 60) { size + 1 } else { size };
    let edges = rng.random_ratio(1, 25);
    let text = |rng: &mut StdRng| match rng.random_range(0..40) {
        0 if edges => "1e39",
        0..20 if edges => EDGES[rng.random_range(0..EDGES.len())],
        _ => USUAL[rng.random_range(0..USUAL.len())],
    };
    let text = |_| {
        let text = text(rng);
        (text, text.parse().expect("a number"))
    };
    (0..size.min(4)).map(text).collect()
}

pub(super) fn components(vector: &[Component]) -> Json {
    let number = |(text, _): &Component| Json::Number((*text).to_owned(), Number::from(0));
    Json::List(vector.iter().map(number).collect())
}

/// Whether a vector is one of a collection with these settings.
pub(super) fn is_fit(vector: &[Component], params: &Params) -> bool {
    let zero = vector.iter().all(|(_, value)| *value == 0.0);
    let direction = !zero || !params.distance.eq_ignore_ascii_case("cosine");
    vector.len() == params.size && vector.iter().all(|(_, value)| value.is_finite()) && direction
}

/// When a point is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Only {
    Always,
    /// If its version is what it is.
    AsItIs,
    IfAbsent,
    Never,
}

/// A point to write.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    pub(super) id: Id,
    pub(super) vectors: BTreeMap<String, Vec<Component>>,
    pub(super) payload: Option<Json>,
    pub(super) only: Only,
}

impl Point {
    /// A point for collections of these settings; `guards` says whether it may ask for a version.
    pub(super) fn any(rng: &mut StdRng, config: &Config, guards: bool) -> Self {
        let mut vectors = BTreeMap::new();
        let all = rng.random_ratio(2, 3);
        for (name, params) in &config.vectors {
            if all || rng.random() {
                vectors.insert(name.clone(), vector(rng, params.size));
            }
        }
        if rng.random_ratio(1, 100) {
            vectors.insert("stranger".to_owned(), vector(rng, 2));
        }
        let payload = (!rng.random_ratio(1, 8)).then(|| json::payload(rng));
        let only = match rng.random_range(0..16) {
            0..3 if guards => Only::AsItIs,
            3 if guards => Only::IfAbsent,
            4 if guards => Only::Never,
            _ => Only::Always,
        };
        Self { id: Id::any(rng), vectors, payload, only }
    }

    pub(super) fn payload(&self) -> Value {
        self.payload.as_ref().map_or_else(|| Value::Object(Default::default()), Json::value)
    }

    pub(super) fn is_fit(&self, config: &Config) -> bool {
        let known = |(name, vector): (&String, &Vec<Component>)| {
            config.vectors.get(name).is_some_and(|params| is_fit(vector, params))
        };
        !self.vectors.is_empty() && self.vectors.iter().all(known) && json::is_fit(&self.payload())
    }

    /// As a member of a JSON body; `version` is what it asks for.
    pub(super) fn json(&self, version: Option<u64>, rng: &mut StdRng) -> Json {
        let mut members = vec![("id".to_owned(), self.id.json(rng))];
        let vector = match self.vectors.get("").filter(|_| self.vectors.len() == 1) {
            Some(vector) => components(vector),
            None => {
                let named = self.vectors.iter().map(|(name, vector)| (name.clone(), components(vector)));
                Json::Object(named.collect())
            }
        };
        members.push(("vector".to_owned(), vector));
        match &self.payload {
            Some(payload) => members.push(("payload".to_owned(), payload.clone())),
            None if rng.random() => members.push(("payload".to_owned(), Json::Null)),
            None => {}
        }
        members.extend(version.map(|version| ("if_version".to_owned(), version.into())));
        Json::Object(members)
    }
}
