//! JSON as a client may spell it: a tree whose texts are chosen here, and the value that they mean.
//!
//! The value is made beside the text, never by reading it: a reader that takes the text for something else is found.

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Map, Number, Value};

/// A JSON value, and how it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// A text, and the number it means.
    Number(String, Number),
    Text(String),
    List(Vec<Json>),
    /// Keys in the order they are written; no key twice.
    Object(Vec<(String, Json)>),
}

impl Json {
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(_, number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.clone()),
            Self::List(list) => Value::Array(list.iter().map(Self::value).collect()),
            Self::Object(members) => {
                Value::Object(members.iter().map(|(key, value)| (key.clone(), value.value())).collect())
            }
        }
    }

    /// Its text. `spelling` decides on space and on escapes that mean the same.
    pub(super) fn print(&self, out: &mut String, spelling: &mut StdRng) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(text, _) => out.push_str(text),
            Self::Text(text) => quote(text, out, spelling),
            Self::List(list) => {
                out.push('[');
                for (place, item) in list.iter().enumerate() {
                    separate(place, out, spelling);
                    item.print(out, spelling);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (place, (key, value)) in members.iter().enumerate() {
                    separate(place, out, spelling);
                    quote(key, out, spelling);
                    out.push(':');
                    value.print(out, spelling);
                }
                out.push('}');
            }
        }
    }

    pub(super) fn text(&self, spelling: &mut StdRng) -> String {
        let mut out = String::new();
        self.print(&mut out, spelling);
        out
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Self {
        Self::Number(number.to_string(), number.into())
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// An object of these members.
pub(super) fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    Json::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn separate(place: usize, out: &mut String, spelling: &mut StdRng) {
    if place > 0 {
        out.push(',');
    }
    if spelling.random_ratio(1, 40) {
        out.push_str(["\n", " ", "\t", "\r\n "][spelling.random_range(0..4)]);
    }
}

fn quote(text: &str, out: &mut String, spelling: &mut StdRng) {
    let mut utf16 = [0; 2];
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' if spelling.random() => out.push_str("\\/"),
            '\n' if spelling.random() => out.push_str("\\n"),
            letter if letter < ' ' || spelling.random_ratio(1, 60) => {
                letter.encode_utf16(&mut utf16).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

/// Keys that payloads and paths share, plain ones first.
pub(super) const KEYS: [&str; 12] = [
    "a",
    "b",
    "c",
    "$serde_json::private::RawValue",
    "$serde_json::private::Number",
    "__proto__",
    "",
    "x.y",
    "ключ",
    "a[]",
    "id",
    "k\u{0}\u{1f600}",
];

pub(super) fn key(rng: &mut StdRng) -> &'static str {
    if rng.random_ratio(2, 3) { KEYS[rng.random_range(0..3)] } else { KEYS[rng.random_range(0..KEYS.len())] }
}

/// Strings that something reads as more than a string: dates, UUIDs, numbers, JSON.
pub(super) const TEXTS: [&str; 16] = [
    "x",
    "y",
    "",
    "2024-02-29T12:00:00Z",
    "2024-02-29T14:00:00+02:00",
    "2024-02-29",
    "2024-03-01",
    "2024-02-29T12:00:00.5Z",
    "1969-12-31T23:59:59Z",
    "2023-02-29",
    "00000000-0000-0000-0000-00000000000a",
    "00000000-0000-0000-0000-00000000000A",
    "0000000000000000000000000000000a",
    "1",
    "[1,2,3]",
    "\u{7f}\u{1f600}/\\\"\n",
];

pub(super) fn string(rng: &mut StdRng) -> Json {
    TEXTS[rng.random_range(0..TEXTS.len())].into()
}

/// Whole numbers at the edges of the types that may hold them.
pub(super) fn integer(rng: &mut StdRng) -> Json {
    let small = |rng: &mut StdRng| i128::from(rng.random_range(-2i64..5));
    let edges = [1i128 << 53, i128::from(i64::MAX), i128::from(u64::MAX), i128::from(i64::MIN), 1i128 << 63];
    let exact = match rng.random_range(0..3) {
        0 => edges[rng.random_range(0..edges.len())] - i128::from(rng.random_range(0i64..2)),
        _ => small(rng),
    };
    let number = match (u64::try_from(exact), i64::try_from(exact)) {
        (Ok(number), _) => Number::from(number),
        (_, Ok(number)) => Number::from(number),
        // Beyond 64 bits it is kept as the nearest float.
        _ => Number::from_f64(exact as f64).expect("it is finite"),
    };
    Json::Number(exact.to_string(), number)
}

/// Numbers that are written with a point or an exponent.
fn fraction(rng: &mut StdRng) -> Json {
    let texts = [
        "0.5",
        "-0.0",
        "-0",
        "1.0",
        "1e0",
        "2.5E-1",
        "1e308",
        "-1.7976931348623157e308",
        "5e-324",
        "1e-400",
        "18446744073709551616",
        "-9223372036854775809",
        "9007199254740993.0",
        "0.1",
        "123456789012345678901234567890",
    ];
    let text = texts[rng.random_range(0..texts.len())];
    let value: f64 = text.parse().expect("a number");
    Json::Number(text.to_owned(), Number::from_f64(value).expect("it is finite"))
}

/// A value that other points and filters are likely to have too.
pub(super) fn common(rng: &mut StdRng) -> Json {
    match rng.random_range(0..8) {
        0..2 => 1.into(),
        2..5 => "x".into(),
        5 => true.into(),
        6 => "2024-02-29".into(),
        _ => TEXTS[10].into(),
    }
}

/// A few members of common values, as documents of one kind have them.
fn alike(rng: &mut StdRng) -> Json {
    let mut members = Vec::new();
    for key in &KEYS[..3] {
        match rng.random_range(0..4) {
            0 => {}
            1 => members.push(((*key).to_owned(), Json::List(vec![common(rng), common(rng)]))),
            _ => members.push(((*key).to_owned(), common(rng))),
        }
    }
    Json::Object(members)
}

pub(super) fn leaf(rng: &mut StdRng) -> Json {
    if rng.random_ratio(1, 3) {
        return common(rng);
    }
    match rng.random_range(0..10) {
        0 => Json::Null,
        1 => rng.random::<bool>().into(),
        2..5 => integer(rng),
        5 => fraction(rng),
        _ => string(rng),
    }
}

fn tree(rng: &mut StdRng, depth: usize) -> Json {
    match rng.random_range(0..6) {
        0 if depth > 0 => Json::List((0..rng.random_range(0..4)).map(|_| tree(rng, depth - 1)).collect()),
        1 if depth > 0 => members(rng, depth - 1),
        _ => leaf(rng),
    }
}

fn members(rng: &mut StdRng, depth: usize) -> Json {
    let mut members = Vec::<(String, Json)>::new();
    for _ in 0..rng.random_range(0..4) {
        let key = key(rng);
        if members.iter().all(|(known, _)| known != key) {
            members.push((key.to_owned(), tree(rng, depth)));
        }
    }
    Json::Object(members)
}

/// A payload; rarely one as deep, as wide or as long as one may be, or a little more.
pub(super) fn payload(rng: &mut StdRng) -> Json {
    match rng.random_range(0..400) {
        0..6 => deep(rng.random_range(62..67), rng.random()),
        6 => long(rng.random_range(-1..2)),
        8..200 => alike(rng),
        7 => object([("a", Json::List((0..3_000u64).map(Json::from).collect()))]),
        _ => members(rng, 3),
    }
}

/// So many objects, or lists in one object, inside one another.
fn deep(depth: usize, lists: bool) -> Json {
    let wrap = |inner| if lists { Json::List(vec![inner]) } else { object([("a", inner)]) };
    let inner = (1..depth).fold(Json::from(1), |inner, _| wrap(inner));
    object([("a", inner)])
}

/// So many bytes more than the longest.
fn long(more: i64) -> Json {
    let around = r#"{"a":""}"#.len() as i64;
    let letters = ((1 << 20) + more - around) as usize;
    object([("a", Json::Text("x".repeat(letters)))])
}

/// Whether a payload is one that is taken: 64 deep and 1 MiB long at most.
pub(super) fn is_fit(payload: &Value) -> bool {
    depth(payload) <= 64 && payload.to_string().len() <= 1 << 20
}

fn depth(value: &Value) -> usize {
    let inner = |values: &mut dyn Iterator<Item = &Value>| 1 + values.map(depth).max().unwrap_or(0);
    match value {
        Value::Array(list) => inner(&mut list.iter()),
        Value::Object(members) => inner(&mut members.values()),
        _ => 0,
    }
}

/// The members of a payload that an answer brings.
pub(super) fn picked(payload: &Value, keep: impl Fn(&str) -> bool) -> Value {
    let members = payload.as_object().cloned().unwrap_or_default();
    Value::Object(members.into_iter().filter(|(key, _)| keep(key)).collect::<Map<_, _>>())
}
