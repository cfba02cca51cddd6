//! Filters of the whole grammar: any of its forms, sizes at and around every limit, and things that are nearly filters.

use rand::Rng;
use rand::rngs::StdRng;

use super::ids::Id;
use super::json::{self, Json, KEYS, TEXTS, object};
use super::meaning;

/// A filter, and whether it is one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter {
    pub(super) json: Json,
    /// A flaw that no reading forgives: the statuses that may answer it.
    flawed: bool,
}

impl Filter {
    pub(super) fn is_fit(&self) -> bool {
        !self.flawed && meaning::is_fit(&self.json.value())
    }

    /// Whether it is right in form, and passes what it passes.
    pub(super) fn passes(&self, id: &serde_json::Value, payload: &serde_json::Value) -> bool {
        meaning::passes(&self.json.value(), id, payload)
    }
}

pub(super) fn filter(rng: &mut StdRng) -> Filter {
    match rng.random_range(0..60) {
        0 => Filter { json: flawed(rng), flawed: true },
        1 => Filter { json: wide(rng), flawed: false },
        2 => Filter { json: deep(rng), flawed: false },
        3 => Filter { json: long(rng), flawed: false },
        4..20 => Filter { json: plain(rng), flawed: false },
        _ => Filter { json: clauses(rng, 3, false), flawed: false },
    }
}

/// One condition on a common value, as most filters have it.
fn plain(rng: &mut StdRng) -> Json {
    let key = ("key", KEYS[rng.random_range(0..3)].into());
    let list = Json::List(vec![json::common(rng), json::common(rng)]);
    let condition = match rng.random_range(0..6) {
        0 => object([key, ("match", object([("any", list)]))]),
        1 => object([key, ("match", object([("except", list)]))]),
        2 => object([key, ("range", object([("gte", 1.into())]))]),
        3 => object([key, ("is_empty", rng.random::<bool>().into())]),
        _ => object([key, ("match", object([("value", json::common(rng))]))]),
    };
    let clause = ["must", "must", "should", "must_not"][rng.random_range(0..4)];
    object([(clause, Json::List(vec![condition]))])
}

/// A path into payloads of the generator.
pub(super) fn path(rng: &mut StdRng) -> String {
    if rng.random() {
        return KEYS[rng.random_range(0..3)].to_owned();
    }
    let mut path = step(rng);
    while rng.random_ratio(1, 3) {
        match rng.random_range(0..4) {
            0 => path.push_str("[]"),
            1 => path.push_str(&format!("[{}]", rng.random_range(0..3))),
            _ => {
                path.push('.');
                path.push_str(&step(rng));
            }
        }
    }
    path
}

fn step(rng: &mut StdRng) -> String {
    let key = json::key(rng);
    let plain = !key.is_empty() && !key.contains(['.', '[', ']', '"']);
    if plain && rng.random_ratio(7, 8) { key.to_owned() } else { format!("\"{key}\"") }
}

fn keyed(rng: &mut StdRng) -> (&'static str, Json) {
    ("key", Json::Text(path(rng)))
}

fn scalar(rng: &mut StdRng) -> Json {
    if rng.random() {
        return json::common(rng);
    }
    loop {
        match json::leaf(rng) {
            Json::Null => {}
            // A fraction is no exact value.
            Json::Number(_, number) if number.as_f64().is_some_and(|float| float.fract() != 0.0) => {}
            scalar => return scalar,
        }
    }
}

fn scalars(rng: &mut StdRng) -> Json {
    Json::List((0..rng.random_range(0..4)).map(|_| scalar(rng)).collect())
}

fn bounds(rng: &mut StdRng, bound: impl Fn(&mut StdRng) -> Json) -> Json {
    let mut members = Vec::new();
    for name in ["gt", "gte", "lt", "lte"] {
        match rng.random_range(0..8) {
            0..3 => members.push((name.to_owned(), bound(rng))),
            3 => members.push((name.to_owned(), Json::Null)),
            _ => {}
        }
    }
    Json::Object(members)
}

fn date(rng: &mut StdRng) -> Json {
    let dates: Vec<&str> = TEXTS.into_iter().filter(|text| meaning::moment(text).is_some()).collect();
    dates[rng.random_range(0..dates.len())].into()
}

fn number(rng: &mut StdRng) -> Json {
    loop {
        if let number @ Json::Number(..) = json::leaf(rng) {
            return number;
        }
    }
}

fn condition(rng: &mut StdRng, depth: usize, nested: bool) -> Json {
    let inner = |name, json| object([(name, json)]);
    match rng.random_range(0..14) {
        0..2 => object([keyed(rng), ("match", inner("value", scalar(rng)))]),
        2 => object([keyed(rng), ("match", inner("any", scalars(rng)))]),
        3 => object([("match", inner("except", scalars(rng))), keyed(rng)]),
        4 => object([keyed(rng), ("range", bounds(rng, number))]),
        5 => object([keyed(rng), ("range", bounds(rng, date))]),
        6 => object([keyed(rng), ("values_count", bounds(rng, |rng| Json::from(rng.random_range(0..4u64))))]),
        7 => inner("is_empty", Json::Object(vec![("key".to_owned(), Json::Text(path(rng)))])),
        8 => inner("is_null", Json::Object(vec![("key".to_owned(), Json::Text(path(rng)))])),
        9 => object([keyed(rng), ("is_empty", rng.random::<bool>().into())]),
        10 => object([keyed(rng), ("is_null", rng.random::<bool>().into()), ("match", Json::Null)]),
        11 if !nested => {
            inner("has_id", Json::List((0..rng.random_range(0..4)).map(|_| Id::any(rng).json(rng)).collect()))
        }
        12 if depth > 0 => inner("nested", object([keyed(rng), ("filter", clauses(rng, depth - 1, true))])),
        13 if depth > 0 => clauses(rng, depth - 1, nested),
        _ => object([keyed(rng), ("match", inner("value", scalar(rng)))]),
    }
}

fn conditions(rng: &mut StdRng, depth: usize, nested: bool) -> Json {
    match rng.random_range(0..12) {
        0 => Json::Null,
        1 => condition(rng, depth, nested),
        _ => Json::List((0..rng.random_range(0..4)).map(|_| condition(rng, depth, nested)).collect()),
    }
}

fn clauses(rng: &mut StdRng, depth: usize, nested: bool) -> Json {
    let mut members = Vec::new();
    for name in ["must", "should", "must_not"] {
        if rng.random_ratio(2, 5) {
            members.push((name.to_owned(), conditions(rng, depth, nested)));
        }
    }
    if rng.random_ratio(1, 5) {
        let least = [0, 1, 2, 3, u64::MAX][rng.random_range(0..5)].into();
        let clause = object([("conditions", conditions(rng, depth, nested)), ("min_count", least)]);
        members.push(("min_should".to_owned(), clause));
    }
    Json::Object(members)
}

/// About as many conditions as there may be.
fn wide(rng: &mut StdRng) -> Json {
    let key = KEYS[rng.random_range(0..3)];
    let one = match rng.random_range(0..3) {
        0 => object([("key", key.into()), ("is_empty", false.into())]),
        1 => object([("key", key.into()), ("is_null", false.into())]),
        _ => object([("key", key.into()), ("match", object([("value", 1.into())]))]),
    };
    let many = [400, 500, 501, 999, 1_000, 1_001][rng.random_range(0..6)];
    object([(["must", "should", "must_not"][rng.random_range(0..3)], Json::List(vec![one; many]))])
}

/// About as deep as a filter may be, with a condition inside that negates.
fn deep(rng: &mut StdRng) -> Json {
    let inmost = object([("key", "a".into()), ("is_empty", rng.random::<bool>().into())]);
    let nests = rng.random::<bool>();
    let depth = rng.random_range(14..18);
    (1..depth).fold(object([("must", Json::List(vec![inmost]))]), |inner, _| {
        let condition = match nests {
            true => object([("nested", object([("key", "a".into()), ("filter", inner)]))]),
            false => inner,
        };
        object([("must", Json::List(vec![condition]))])
    })
}

/// About as many values as a list may have, or as long a path as there may be.
fn long(rng: &mut StdRng) -> Json {
    let many = [9_999, 10_000, 10_001][rng.random_range(0..3)];
    let list = Json::List((0..many).map(Json::from).collect());
    let condition = match rng.random_range(0..4) {
        0 => object([("key", "a".into()), ("match", object([("any", list)]))]),
        1 => object([("key", "b".into()), ("match", object([("except", list)]))]),
        2 => object([("has_id", list)]),
        _ => object([("key", Json::Text("k".repeat(rng.random_range(1_023..1_026)))), ("is_null", true.into())]),
    };
    object([("must_not", Json::List(vec![condition]))])
}

/// Nearly a filter.
fn flawed(rng: &mut StdRng) -> Json {
    let one = |condition| object([("must", Json::List(vec![condition]))]);
    let (key, value) = (("key", Json::from("a")), object([("value", 1.into())]));
    match rng.random_range(0..12) {
        0 => object([("most", Json::List(Vec::new()))]),
        1 => one(object([key])),
        2 => one(object([key, ("match", value.clone()), ("range", Json::Object(Vec::new()))])),
        3 => one(object([("key", "a.".into()), ("match", value)])),
        4 => one(object([key, ("match", object([("value", Json::List(Vec::new()))]))])),
        5 => one(object([key, ("range", object([("gt", "noon".into())]))])),
        6 => one(object([key, ("range", object([("gt", 1.into()), ("lt", "2024-02-29".into())]))])),
        7 => one(object([key, ("geo_radius", Json::Object(Vec::new()))])),
        8 => one(object([key, ("match", object([("text", "x".into())]))])),
        9 => one(object([("has_id", Json::List(vec!["x".into()]))])),
        10 => one(object([("nested", object([key, ("filter", one(object([("has_id", Json::List(Vec::new()))])))]))])),
        _ => Json::List(Vec::new()),
    }
}
