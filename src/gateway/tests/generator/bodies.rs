//! Steps as HTTP requests: method, path and the bytes of the body.

use axum::body::Body;
use axum::http::Request;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Number;

use super::json::{Json, object};
use super::shapes::{Point, components};
use super::steps::{Act, NAMES, Pick, Search, Step};
use crate::api::{self, POINTS_CONTENT_TYPE, PointsHead, encode_points};

/// A request as it goes out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sent {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) body: Vec<u8>,
    binary: bool,
}

impl Sent {
    pub(super) fn request(&self) -> Request<Body> {
        let kind = if self.binary { POINTS_CONTENT_TYPE } else { "application/json" };
        let request = Request::builder().method(self.method).uri(&self.path).header("content-type", kind);
        let request = request.header("host", "localhost");
        request.body(Body::from(self.body.clone())).unwrap()
    }

    /// The first letters of it, for people.
    pub(super) fn shown(&self) -> String {
        const SHOWN: usize = 1_500;
        let text: String = String::from_utf8_lossy(&self.body).chars().take(SHOWN).collect();
        let rest = if self.body.len() > SHOWN { format!("… ({} bytes)", self.body.len()) } else { String::new() };
        format!("{} {} {text}{rest}", self.method, self.path)
    }

    /// The same, but for some letters.
    pub(super) fn scratched(mut self, rng: &mut StdRng) -> Self {
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..=self.body.len());
            let to = self.body.len().min(at + rng.random_range(0..6));
            let marks: [&[u8]; 14] =
                [b"\"", b"{", b"}", b"[", b"]", b",", b":", b"-", b"1e999", b"null", b"\\ud800", b"\xff", b"\0", b"0"];
            match rng.random_range(0..4) {
                0 => drop(self.body.drain(at..to)),
                1 => {
                    let span = self.body[at..to].to_vec();
                    drop(self.body.splice(at..at, span));
                }
                2 => drop(self.body.splice(at..to, marks[rng.random_range(0..marks.len())].to_vec())),
                _ => drop(self.body.splice(at..at, marks[rng.random_range(0..marks.len())].to_vec())),
            }
        }
        self
    }
}

/// The request of a step; `version` is that of a point of the collection, `request` the write's name.
pub(super) fn request(step: &Step, version: impl Fn(&Point) -> Option<u64>, request: Option<uuid::Uuid>) -> Sent {
    let mut rng = StdRng::seed_from_u64(step.spelling);
    let name = NAMES[step.name];
    let json = |method, path: &str, body: Json, rng: &mut StdRng| Sent {
        method,
        path: path.to_owned(),
        body: body.text(rng).into_bytes(),
        binary: false,
    };
    let bare = |method, path: String| Sent { method, path, body: Vec::new(), binary: false };
    let head = || vec![("collection".to_owned(), Json::from(name))];
    let mut members = head();
    members.extend(step.level.map(|level| ("consistency".to_owned(), level.into())));
    let named = request.map(|id| ("request_id".to_owned(), Json::Text(id.to_string())));
    match &step.act {
        Act::Create(config) => json("POST", "/collections", config.body(name), &mut rng),
        Act::Drop => bare("DELETE", format!("/collections/{name}")),
        Act::Index(field, Some(kind)) => {
            let body = object([("field_name", Json::Text(field.clone())), ("field_schema", (*kind).into())]);
            json("PUT", &format!("/collections/{name}/index?wait=true"), body, &mut rng)
        }
        Act::Index(field, None) => bare("DELETE", format!("/collections/{name}/index/{}?wait=true", coded(field))),
        Act::Upsert(points, true) if can_be_binary(points) => binary(step, points, request),
        Act::Upsert(points, _) => {
            let list = points.iter().map(|point| point.json(version(point), &mut rng)).collect();
            members.push(("vectors".to_owned(), Json::List(list)));
            members.extend(named);
            json("POST", "/vectors", Json::Object(members), &mut rng)
        }
        Act::DeleteIds(ids) => {
            let ids = ids.iter().map(|id| id.json(&mut rng)).collect();
            members.push(("ids".to_owned(), Json::List(ids)));
            members.extend(named);
            json("DELETE", "/vectors", Json::Object(members), &mut rng)
        }
        Act::DeleteFilter(filter) => {
            members.extend(named);
            members.push(("filter".to_owned(), filter.json.clone()));
            members.push(("all".to_owned(), true.into()));
            json("DELETE", "/vectors", Json::Object(members), &mut rng)
        }
        Act::Get(id, payload, vector) => {
            let id = id.value().to_string().replace('"', "");
            let level = step.level.map(|level| format!("&consistency={level}")).unwrap_or_default();
            bare("GET", format!("/vectors/{name}/{id}?with_payload={payload}&with_vector={vector}{level}"))
        }
        Act::Scroll { offset, limit, filter, with_payload, with_vector } => {
            members.push(("limit".to_owned(), (*limit).into()));
            members.extend(offset.map(|offset| ("offset".to_owned(), offset.json(&mut rng))));
            members.extend(filter.as_ref().map(|filter| ("filter".to_owned(), filter.json.clone())));
            members.extend(picks(with_payload, with_vector));
            json("POST", "/quiver/v1/scroll", Json::Object(members), &mut rng)
        }
        Act::Count(filter) => {
            members.extend(filter.as_ref().map(|filter| ("filter".to_owned(), filter.json.clone())));
            json("POST", "/quiver/v1/count", Json::Object(members), &mut rng)
        }
        Act::Search(searches) => match &searches[..] {
            [one] if rng.random() => {
                members.extend(one.members(&mut rng));
                json("POST", "/search", Json::Object(members), &mut rng)
            }
            all => {
                let list = all.iter().map(|search| Json::Object(search.members(&mut rng)));
                members.push(("searches".to_owned(), Json::List(list.collect())));
                json("POST", "/quiver/v1/search/batch", Json::Object(members), &mut rng)
            }
        },
        Act::Wild(inner) => {
            let step = Step { act: Act::clone(inner), ..step.clone() };
            self::request(&step, version, request).scratched(&mut rng)
        }
        Act::Repeat(_) | Act::Open(..) | Act::Lead(_) | Act::LoseAnswer | Act::Keep | Act::Late | Act::Pass(_) => {
            bare("GET", "/health".to_owned())
        }
    }
}

/// The binary form gives each point a vector of one length, and has no place for a version.
fn can_be_binary(points: &[Point]) -> bool {
    let lengths = |point: &Point| point.vectors.values().map(Vec::len).collect::<Vec<_>>();
    points.iter().all(|point| point.vectors.len() == 1 && lengths(point) == lengths(&points[0]))
}

fn binary(step: &Step, points: &[Point], request_id: Option<uuid::Uuid>) -> Sent {
    let mut rng = StdRng::seed_from_u64(step.spelling);
    let name = points.first().and_then(|point| point.vectors.keys().next()).filter(|name| !name.is_empty());
    let head = PointsHead {
        collection: NAMES[step.name].to_owned(),
        using: name.cloned(),
        consistency: step.level.map(|level| level.parse().expect("a level")),
        request_id,
        timeout_ms: None,
    };
    let each: Vec<(api::PointId, Vec<f32>, String)> = points
        .iter()
        .map(|point| {
            let id = serde_json::from_value(point.id.value()).expect("an id");
            let vector = point.vectors.values().flatten().map(|(_, value)| *value).collect();
            (id, vector, point.payload.as_ref().map(|payload| spelled(payload, &mut rng)).unwrap_or_default())
        })
        .collect();
    let rows = each.iter().map(|(id, vector, payload)| (*id, vector.as_slice(), payload.as_str()));
    let body = encode_points(&head, rows).expect("vectors of one length");
    Sent { method: "POST", path: "/vectors".to_owned(), body, binary: true }
}

/// A payload's text in any spelling; compact where it is long, since a spelling counts as written there.
fn spelled(payload: &Json, rng: &mut StdRng) -> String {
    let compact = payload.value().to_string();
    if compact.len() > 100_000 { compact } else { payload.text(rng) }
}

impl Search {
    fn members(&self, rng: &mut StdRng) -> Vec<(String, Json)> {
        let mut members = vec![match &self.near {
            Ok(vector) => ("vector".to_owned(), components(vector)),
            Err(id) => ("id".to_owned(), id.json(rng)),
        }];
        let mut add = |name: &str, value: Json| members.push((name.to_owned(), value));
        if !self.using.is_empty() || rng.random() {
            add("using", Json::Text(self.using.clone()));
        }
        add("limit", self.limit.into());
        if self.offset > 0 {
            add("offset", self.offset.into());
        }
        if let Some(filter) = &self.filter {
            add("filter", filter.json.clone());
        }
        if let Some(threshold) = self.threshold {
            add("score_threshold", Json::Number(threshold.to_string(), Number::from(0)));
        }
        let ef = self.ef.map(|ef| ("ef".to_owned(), ef.into()));
        add("params", Json::Object(ef.into_iter().chain([("exact".to_owned(), self.exact.into())]).collect()));
        members.extend(picks(&self.with_payload, &self.with_vector));
        members
    }
}

fn picks(payload: &Pick, vector: &Pick) -> impl Iterator<Item = (String, Json)> {
    let list = |names: &[String]| Json::List(names.iter().map(|name| name.as_str().into()).collect());
    let json = |pick: &Pick| match pick {
        Pick::Default => None,
        Pick::All(all) => Some((*all).into()),
        Pick::These(names) => Some(list(names)),
        Pick::Include(names) => Some(object([("include", list(names))])),
        Pick::Exclude(names) => Some(object([("exclude", list(names))])),
    };
    // A key of any text is a path in quotes.
    let quoted = |names: &[String]| names.iter().map(|name| format!("\"{name}\"")).collect();
    let paths = match payload {
        Pick::These(names) => Pick::These(quoted(names)),
        Pick::Include(names) => Pick::Include(quoted(names)),
        Pick::Exclude(names) => Pick::Exclude(quoted(names)),
        other => other.clone(),
    };
    let payload = json(&paths).map(|pick| ("with_payload".to_owned(), pick));
    payload.into_iter().chain(json(vector).map(|pick| ("with_vector".to_owned(), pick)))
}

/// A path segment of any text.
fn coded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { (byte as char).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
