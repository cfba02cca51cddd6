//! The meaning of filters against a second, naive reading of the same JSON.

use std::cmp::Ordering;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Filter;
use super::numbers::{compare, numbers};
use crate::model::PointId;

/// A second reading of the grammar, straight from the JSON, as simple as it can be written.
fn naive(filter: &Value, id: u64, payload: &Value) -> bool {
    let list = |name: &str| filter[name].as_array().cloned().unwrap_or_default();
    let holds = |condition: &Value| naive_condition(condition, id, payload);
    let least = filter["min_should"]["conditions"].as_array().cloned().unwrap_or_default();
    list("must").iter().all(holds)
        && !list("must_not").iter().any(holds)
        && (list("should").is_empty() || list("should").iter().any(holds))
        && least.iter().filter(|condition| holds(condition)).count()
            >= filter["min_should"]["min_count"].as_u64().unwrap_or(0) as usize
}

fn naive_condition(condition: &Value, id: u64, payload: &Value) -> bool {
    if let Some(ids) = condition["has_id"].as_array() {
        return ids.contains(&json!(id));
    }
    if let Some(key) = condition["is_empty"]["key"].as_str() {
        return naive_values(key, payload).iter().all(|value| *value == Value::Null || *value == json!([]));
    }
    if let Some(key) = condition["is_null"]["key"].as_str() {
        return spread(&naive_values(key, payload)).contains(&Value::Null);
    }
    if condition["nested"].is_object() {
        let elements = naive_values(&format!("{}[]", condition["nested"]["key"].as_str().unwrap()), payload);
        return elements.iter().any(|each| each.is_object() && naive(&condition["nested"]["filter"], id, each));
    }
    let Some(key) = condition["key"].as_str() else { return naive(condition, id, payload) };
    let values = spread(&naive_values(key, payload));
    let wanted = &condition["match"];
    if let Some(list) = wanted["except"].as_array() {
        return values.iter().any(|value| !value.is_null() && !list.iter().any(|wanted| same(wanted, value)));
    }
    if let Some(list) = wanted["any"].as_array() {
        return values.iter().any(|value| list.iter().any(|wanted| same(wanted, value)));
    }
    if wanted.is_object() {
        return values.iter().any(|value| same(&wanted["value"], value));
    }
    let range = &condition["range"];
    if range["gte"].is_string() {
        // All generated moments are first moments of a day, in UTC.
        let day =
            |value: &Value| value.as_str().and_then(|text| text.starts_with("2024").then(|| text[..10].to_owned()));
        let (low, high) = (day(&range["gte"]), day(&range["lt"]));
        return values.iter().filter_map(day).any(|found| Some(&found) >= low.as_ref() && Some(&found) < high.as_ref());
    }
    let within = |value: &Value| {
        compare(value, &range["gte"]).is_some_and(Ordering::is_ge)
            && compare(value, &range["lt"]).is_some_and(Ordering::is_lt)
    };
    values.iter().any(within)
}

/// Numbers are one by their value, everything else by its spelling.
fn same(wanted: &Value, found: &Value) -> bool {
    wanted == found || compare(wanted, found) == Some(Ordering::Equal)
}

fn spread(values: &[Value]) -> Vec<Value> {
    values.iter().flat_map(|value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])).collect()
}

/// Paths of plain keys, each with `[]` or not.
fn naive_values(path: &str, value: &Value) -> Vec<Value> {
    let (part, rest) = path.split_once('.').map_or((path, None), |(part, rest)| (part, Some(rest)));
    let found = match part.strip_suffix("[]") {
        Some(key) => value.get(key).and_then(Value::as_array).cloned().unwrap_or_default(),
        None => value.get(part).cloned().into_iter().collect(),
    };
    found.iter().flat_map(|value| rest.map_or_else(|| vec![value.clone()], |rest| naive_values(rest, value))).collect()
}

/// What can stand in a payload and be matched.
fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::from),
        2 => (-1i64..4).prop_map(Value::from),
        2 => numbers().prop_filter("a whole one", |number| number.as_f64().is_some_and(|float| float.fract() == 0.0)),
        2 => "[xy]".prop_map(Value::from),
        1 => moment().prop_map(Value::from),
        1 => prop_oneof![Just(UUID.to_owned()), Just(UUID.to_uppercase()), Just(UUID.replace('-', ""))].prop_map(Value::from),
    ]
}

const UUID: &str = "00000000-0000-0000-0000-00000000000a";

/// One moment may be spelled in two ways.
fn moment() -> impl Strategy<Value = String> {
    prop_oneof!["2024-01-0[1-4]", "2024-01-0[1-4]T00:00:00Z"]
}

fn payload_value() -> impl Strategy<Value = Value> {
    prop_oneof![9 => leaf(), 2 => numbers()].prop_recursive(3, 24, 4, |inner| {
        let members = prop::collection::btree_map("[ab]", inner.clone(), 0..3);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            members.prop_map(|members| Value::Object(members.into_iter().collect()))
        ]
    })
}

pub(in crate::engine) fn payload() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[ab]", payload_value(), 0..3)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

/// Paths into generated payloads.
pub(in crate::engine) fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]", "[ab]\\[\\]", "[ab]\\.[ab]", "[ab]\\[\\]\\.[ab]", "[ab]\\.[ab]\\[\\]"]
}

fn condition() -> impl Strategy<Value = Value> {
    let scalar = || leaf().prop_filter("a value", |value| !value.is_null());
    let list = || prop::collection::vec(scalar(), 0..3);
    prop_oneof![
        (key(), scalar()).prop_map(|(key, value)| json!({"key": key, "match": {"value": value}})),
        (key(), list()).prop_map(|(key, list)| json!({"key": key, "match": {"any": list}})),
        (key(), list()).prop_map(|(key, list)| json!({"key": key, "match": {"except": list}})),
        (key(), -1..4, 0..4).prop_map(|(key, low, high)| json!({"key": key, "range": {"gte": low, "lt": high}})),
        (key(), numbers(), numbers())
            .prop_map(|(key, low, high)| json!({"key": key, "range": {"gte": low, "lt": high}})),
        (key(), moment(), moment()).prop_map(|(key, low, high)| json!({"key": key, "range": {"gte": low, "lt": high}})),
        key().prop_map(|key| json!({"is_empty": {"key": key}})),
        key().prop_map(|key| json!({"is_null": {"key": key}})),
        prop::collection::vec(0u64..3, 0..3).prop_map(|ids| json!({"has_id": ids})),
    ]
}

fn without_ids(filter: &Value) -> bool {
    !filter.to_string().contains("has_id")
}

pub(in crate::engine) fn filter() -> impl Strategy<Value = Value> {
    condition().prop_recursive(3, 24, 3, |inner| {
        let list = prop::collection::vec(inner, 0..3);
        let clauses = (list.clone(), list.clone(), list.clone(), list, 0usize..3);
        let filter = clauses.prop_map(|(must, should, must_not, least, min_count)| {
            json!({"must": must, "should": should, "must_not": must_not,
                   "min_should": {"conditions": least, "min_count": min_count}})
        });
        let nested = ("[ab]", filter.clone()).prop_filter("ids are not nested", |(_, filter)| without_ids(filter));
        prop_oneof![filter, nested.prop_map(|(key, filter)| json!({"nested": {"key": key, "filter": filter}}))]
    })
}

proptest! {
    #[test]
    fn means_what_the_naive_reading_means(condition in filter(), payload in payload(), id in 0u64..3) {
        let filter = json!({"must": [condition]});
        let parsed = Filter::parse(&filter).unwrap();
        prop_assert_eq!(parsed.matches(PointId::Num(id), payload.as_object().unwrap()), naive(&filter, id, &payload), "{}", filter);
    }

    #[test]
    fn prints_and_reads_back_the_same(condition in filter()) {
        let parsed = Filter::parse(&json!({"must": [condition]})).unwrap();
        prop_assert_eq!(&Filter::parse(&parsed.to_value()).unwrap(), &parsed);
        let bytes = postcard::to_stdvec(&parsed).unwrap();
        prop_assert_eq!(&postcard::from_bytes::<Filter>(&bytes).unwrap(), &parsed);
        let text = serde_json::to_string(&parsed).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Filter>(&text).unwrap(), &parsed);
    }

    #[test]
    fn any_json_is_read_or_refused(value in payload(), name in "must|should|must_not|min_should|key|match|nested|range|has_id") {
        let _ = Filter::parse(&value);
        let _ = Filter::parse(&json!({"must": [{name: value}]}));
    }
}
