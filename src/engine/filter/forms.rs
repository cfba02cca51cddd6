//! Whatever filter the door takes comes through every form that it has inside the cluster.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Filter;
use crate::engine::{CollectionId, Command, CountQuery, Selector};
use crate::model::limits::{MAX_FILTER_CONDITIONS, MAX_FILTER_DEPTH, MAX_FILTER_VALUES, MAX_PATH_BYTES};

/// Sends a filter through every form; how it came back.
fn through_all(filter: &Filter) -> [Filter; 4] {
    let text = serde_json::to_string(filter).unwrap();
    let bytes = postcard::to_stdvec(filter).unwrap();
    let query = CountQuery { collection: CollectionId(1), filter: Some(filter.clone()) };
    let query: CountQuery = postcard::from_bytes(&postcard::to_stdvec(&query).unwrap()).unwrap();
    let selector = Selector::Filter(filter.clone());
    let command = Command::Delete { collection: CollectionId(1), request: None, selector }.encode();
    assert_eq!(Command::check(&command), Ok(()));
    let Ok(Command::Delete { selector: Selector::Filter(deleted), .. }) = Command::decode(&command) else {
        panic!("it decodes as what it was");
    };
    [serde_json::from_str(&text).unwrap(), postcard::from_bytes(&bytes).unwrap(), query.filter.unwrap(), deleted]
}

fn comes_through(filter: &Value) {
    let filter = Filter::parse(filter).unwrap();
    for back in through_all(&filter) {
        assert!(back == filter, "{}", filter.to_value());
        // And once more, as from a gateway to a node and from there into a log.
        assert!(through_all(&back).into_iter().all(|again| again == filter));
    }
}

#[test]
fn the_largest_filters_that_the_door_takes_come_through() {
    let flag = json!({"key": "a", "is_empty": false});
    comes_through(&json!({"must": vec![flag.clone(); MAX_FILTER_CONDITIONS]}));
    comes_through(&json!({"must": vec![json!({"key": "a", "is_null": false}); 501]}));
    let deep = |inner: &Value, wrap: fn(Value) -> Value| {
        let innermost = json!({"must": [inner]});
        (1..MAX_FILTER_DEPTH).fold(innermost, |filter, _| wrap(filter))
    };
    comes_through(&deep(&flag, |filter| json!({"must": [filter]})));
    comes_through(&deep(&flag, |filter| json!({"min_should": {"min_count": 1, "conditions": [filter]}})));
    comes_through(&deep(&flag, |filter| json!({"must_not": [{"nested": {"key": "a[][]", "filter": filter}}]})));
    comes_through(&deep(
        &flag,
        |filter| json!({"min_should": {"min_count": 1, "conditions": [{"nested": {"key": "a", "filter": filter}}]}}),
    ));
    let long = "k".repeat(MAX_PATH_BYTES);
    comes_through(&json!({"must": [{"nested": {"key": long, "filter": {"must": [{"key": long, "is_null": false}]}}}]}));
    let ids: Vec<u64> = (0..MAX_FILTER_VALUES as u64).collect();
    comes_through(&json!({"must": [{"has_id": ids}, {"key": "a", "match": {"any": ids}}]}));
}

#[test]
fn one_step_beyond_is_refused_at_the_door_by_its_limit() {
    let flag = json!({"key": "a", "is_empty": false});
    let refused = |filter: &Value| Filter::parse(filter).unwrap_err().reason;
    assert!(refused(&json!({"must": vec![flag.clone(); MAX_FILTER_CONDITIONS + 1]})).contains("1000 conditions"));
    let deep = (0..MAX_FILTER_DEPTH).fold(json!({"must": [flag]}), |filter, _| json!({"must": [filter]}));
    assert!(refused(&deep).contains("16 deep"));
}

#[test]
fn what_is_no_filter_of_ours_takes_neither_memory_nor_stack() {
    for filter in [
        format!("{}{}", r#"{"must":["#.repeat(100_000), "]}".repeat(100_000)),
        (0..100).fold(String::from("{}"), |inner, _| format!(r#"{{"must":[{inner}]}}"#)),
        json!({"must": vec![json!({}); 10_000]}).to_string(),
    ] {
        assert!(serde_json::from_str::<Filter>(&filter).is_err());
        assert!(postcard::from_bytes::<Filter>(&postcard::to_stdvec(&filter).unwrap()).is_err());
    }
}

fn keys() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["a", "a[]", "a[][]", "a[0]", "a[007].b", "\"\"", "\"a.b\"[]", "a[].\"]\"", "\u{e9}"])
            .prop_map(str::to_owned),
        "[a-c]{1,3}(\\[\\]|\\[[0-9]\\]|\\.[a-c]){0,3}",
    ]
}

fn bounds() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<f64>().prop_map(|number| json!(number)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<u64>().prop_map(|number| json!(number)),
        Just(json!(-0.0)),
    ];
    let moments = [
        "2024-02-29",
        "2024-02-29T12:00",
        "0000-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59.999999999-23:59",
        "1969-12-31T23:59:59.5-11:30",
    ];
    let moment = prop::sample::select(moments.to_vec()).prop_map(|moment| json!(moment));
    let of = |bound: BoxedStrategy<Value>| prop::collection::btree_map("gt|gte|lt|lte", bound, 0..4);
    prop_oneof![of(number.boxed()), of(moment.boxed())].prop_map(|bounds| json!(bounds))
}

fn conditions() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from)
    ];
    let list = prop::collection::vec(scalar.clone(), 0..4);
    let id =
        prop_oneof![any::<u64>().prop_map(Value::from), any::<u128>().prop_map(|id| json!(uuid::Uuid::from_u128(id)))];
    let leaf = prop_oneof![
        (keys(), any::<bool>()).prop_map(|(key, flag)| json!({"key": key, "is_empty": flag})),
        (keys(), any::<bool>()).prop_map(|(key, flag)| json!({"key": key, "is_null": flag})),
        (keys(), scalar).prop_map(|(key, value)| json!({"key": key, "match": {"value": value}})),
        (keys(), list.clone()).prop_map(|(key, list)| json!({"key": key, "match": {"any": list}})),
        (keys(), list).prop_map(|(key, list)| json!({"key": key, "match": {"except": list}})),
        (keys(), bounds()).prop_map(|(key, bounds)| json!({"key": key, "range": bounds})),
        (keys(), any::<u64>()).prop_map(|(key, count)| json!({"key": key, "values_count": {"gt": count}})),
        keys().prop_map(|key| json!({"is_empty": {"key": key}})),
        prop::collection::vec(id, 0..3).prop_map(|ids| json!({"has_id": ids})),
        Just(json!({})),
    ];
    leaf.prop_recursive(5, 24, 3, |inner| {
        let clause = prop::collection::vec(inner, 0..3);
        let filter = (
            prop::collection::btree_map("must|should|must_not", clause.clone(), 0..3),
            prop::option::of((clause, any::<u64>())),
        );
        let filter = filter.prop_map(|(clauses, least)| {
            let mut filter = json!(clauses);
            if let Some((conditions, min_count)) = least {
                filter["min_should"] = json!({"conditions": conditions, "min_count": min_count});
            }
            filter
        });
        let nested =
            (keys(), filter.clone()).prop_map(|(key, filter)| json!({"nested": {"key": key, "filter": filter}}));
        prop_oneof![filter, nested]
    })
}

proptest! {
    #[test]
    fn whatever_the_door_takes_comes_through_every_form(conditions in prop::collection::vec(conditions(), 0..4)) {
        let filter = json!({"must": conditions});
        if Filter::parse(&filter).is_ok() {
            comes_through(&filter);
        }
    }
}
