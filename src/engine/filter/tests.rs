//! The grammar, its errors and its meaning, by example.

use serde_json::{Value, json};

use super::Filter;
use crate::model::PointId;
use crate::model::limits::{MAX_FILTER_CONDITIONS, MAX_FILTER_DEPTH, MAX_FILTER_VALUES};

fn holds(filter: &Value, payload: &Value) -> bool {
    Filter::parse(filter).unwrap().matches(PointId::Num(7), payload.as_object().unwrap())
}

/// Whether one condition holds.
fn one(condition: Value, payload: &Value) -> bool {
    holds(&json!({"must": [condition]}), payload)
}

fn refused(filter: Value) -> (String, String, bool) {
    let error = Filter::parse(&filter).unwrap_err();
    (error.path, error.reason, error.unsupported)
}

#[test]
fn clauses_combine_as_their_names_say() {
    let (yes, no) = (json!({"has_id": [7]}), json!({"has_id": [8]}));
    for (filter, expected) in [
        (json!({}), true),
        (json!({"must": [yes, yes]}), true),
        (json!({"must": [yes, no]}), false),
        (json!({"should": [no, yes]}), true),
        (json!({"should": [no, no]}), false),
        (json!({"should": []}), true),
        (json!({"must_not": [no, no]}), true),
        (json!({"must_not": [no, yes]}), false),
        (json!({"must": yes, "must_not": null}), true),
        (json!({"min_should": {"conditions": [yes, no, yes], "min_count": 2}}), true),
        (json!({"min_should": {"conditions": [yes, no, no], "min_count": 2}}), false),
        (json!({"min_should": {"conditions": [], "min_count": 0}}), true),
        (json!({"must": [{"should": [no, {"must_not": [no]}]}]}), true),
        (json!({"must": [yes], "should": [no]}), false),
        (json!({"must": [{}]}), true),
    ] {
        assert_eq!(holds(&filter, &json!({})), expected, "{filter}");
    }
}

#[test]
fn a_condition_on_an_array_holds_for_any_element() {
    let payload =
        json!({"tags": ["red", "blue"], "n": 5, "f": 2.5, "yes": true, "none": null, "some": [null, 1], "empty": []});
    for (condition, expected) in [
        (json!({"key": "tags", "match": {"value": "red"}}), true),
        (json!({"key": "tags", "match": {"value": "re"}}), false),
        (json!({"key": "tags[]", "match": {"any": ["green", "blue"]}}), true),
        (json!({"key": "tags", "match": {"except": ["red"]}}), true),
        (json!({"key": "tags", "match": {"except": ["red", "blue"]}}), false),
        (json!({"key": "absent", "match": {"except": ["red"]}}), false),
        (json!({"key": "none", "match": {"except": ["red"]}}), false),
        (json!({"key": "n", "match": {"except": ["red"]}}), true),
        (json!({"key": "n", "match": {"value": 5}}), true),
        (json!({"key": "n", "match": {"value": "5"}}), false),
        (json!({"key": "yes", "match": {"value": true}}), true),
        (json!({"key": "n", "range": {"gte": 5, "lt": 6}}), true),
        (json!({"key": "n", "range": {"gt": 5}}), false),
        (json!({"key": "f", "range": {"gt": 2, "lte": 2.5}}), true),
        (json!({"key": "tags", "range": {"gt": 0}}), false),
        (json!({"key": "some", "range": {"gt": 0}}), true),
        (json!({"key": "tags", "values_count": {"gte": 2}}), true),
        (json!({"key": "absent", "values_count": {"lt": 1}}), true),
        (json!({"key": "none", "values_count": {"gt": 0}}), false),
        (json!({"key": "n", "values_count": {"gte": 1, "lte": 1}}), true),
    ] {
        assert_eq!(one(condition.clone(), &payload), expected, "{condition}");
    }
}

#[test]
fn empty_and_null_are_two_things() {
    let payload = json!({"none": null, "some": [null, 1], "empty": [], "text": ""});
    for (key, empty, null) in [
        ("absent", true, false),
        ("none", true, true),
        ("some", false, true),
        ("empty", true, false),
        ("text", false, false),
    ] {
        assert_eq!(one(json!({"is_empty": {"key": key}}), &payload), empty, "{key}");
        assert_eq!(one(json!({"is_null": {"key": key}}), &payload), null, "{key}");
        assert_eq!(one(json!({"key": key, "is_empty": true}), &payload), empty, "{key}");
        assert_eq!(one(json!({"key": key, "is_null": false}), &payload), !null, "{key}");
    }
}

#[test]
fn moments_compare_whatever_their_offset() {
    let payload = json!({"at": "2024-02-29T12:00:00+02:00", "day": "2024-02-29", "bad": "soon"});
    for (key, range, expected) in [
        ("at", json!({"gte": "2024-02-29T10:00:00Z", "lte": "2024-02-29T10:00:00Z"}), true),
        ("at", json!({"lt": "2024-02-29T10:00:00Z"}), false),
        ("day", json!({"gte": "2024-02-29", "lt": "2024-03-01"}), true),
        ("bad", json!({"lt": "2100-01-01"}), false),
        ("absent", json!({"lt": "2100-01-01"}), false),
    ] {
        assert_eq!(one(json!({"key": key, "range": range}), &payload), expected, "{key} {range}");
    }
}

#[test]
fn nested_asks_one_element_to_satisfy_everything() {
    let payload = json!({"diet": [{"food": "leaves", "likes": false}, {"food": "meat", "likes": true}]});
    let both = json!([{"key": "food", "match": {"value": "leaves"}}, {"key": "likes", "match": {"value": true}}]);
    assert!(!one(json!({"nested": {"key": "diet", "filter": {"must": both}}}), &payload));
    let apart = json!({"must": [
        {"key": "diet[].food", "match": {"value": "leaves"}}, {"key": "diet[].likes", "match": {"value": true}}]});
    assert!(holds(&apart, &payload));
    let likes_meat = json!({"key": "food", "match": {"value": "meat"}});
    assert!(one(json!({"nested": {"key": "diet", "filter": {"must": [likes_meat]}}}), &payload));
    assert!(one(json!({"nested": {"key": "diet[]", "filter": {"must": [likes_meat]}}}), &payload));
    assert!(!one(json!({"nested": {"key": "diet[]", "filter": {"must": both}}}), &payload));
    assert!(!one(json!({"nested": {"key": "diet[][]", "filter": {"must": [likes_meat]}}}), &payload));
    assert!(!one(json!({"nested": {"key": "absent", "filter": {"must_not": [likes_meat]}}}), &payload));
}

#[test]
fn errors_name_the_place() {
    for (filter, path) in [
        (json!([]), "filter"),
        (json!({"musst": []}), "filter.musst"),
        (json!({"must": 5}), "filter.must"),
        (json!({"must": [{"has_id": [7]}, {"key": "a"}]}), "filter.must[1]"),
        (json!({"must": [{"key": "a", "mach": {"value": 1}}]}), "filter.must[0].mach"),
        (json!({"must": [{"key": "a", "match": {"value": 1}, "range": {"gt": 0}}]}), "filter.must[0].range"),
        (json!({"must": [{"key": "a..b", "match": {"value": 1}}]}), "filter.must[0].key"),
        (json!({"must": [{"key": 1, "match": {"value": 1}}]}), "filter.must[0].key"),
        (json!({"must": [{"key": "a", "match": {"value": 1.5}}]}), "filter.must[0].match.value"),
        (json!({"must": [{"key": "a", "match": {"any": "x"}}]}), "filter.must[0].match.any"),
        (json!({"must": [{"key": "a", "match": {"any": ["x", {}]}}]}), "filter.must[0].match.any[1]"),
        (json!({"must": [{"key": "a", "match": {}}]}), "filter.must[0].match"),
        (json!({"must": [{"key": "a", "range": {"gt": "soon"}}]}), "filter.must[0].range.gt"),
        (json!({"must": [{"key": "a", "range": {"gt": 1, "lt": "2024-01-01"}}]}), "filter.must[0].range.gt"),
        (json!({"must": [{"key": "a", "range": {"from": 1}}]}), "filter.must[0].range.from"),
        (json!({"must": [{"key": "a", "values_count": {"gt": -1}}]}), "filter.must[0].values_count.gt"),
        (json!({"must": [{"has_id": [-1]}]}), "filter.must[0].has_id[0]"),
        (json!({"must": [{"has_id": [7], "more": 1}]}), "filter.must[0].more"),
        (json!({"must": [{"must": [], "more": 1}]}), "filter.must[0].more"),
        (json!({"must": [{"is_empty": "a"}]}), "filter.must[0].is_empty"),
        (json!({"must": [{"nested": {"key": "a"}}]}), "filter.must[0].nested"),
        (
            json!({"must": [{"nested": {"key": "a", "filter": {"must": [{"has_id": [1]}]}}}]}),
            "filter.must[0].nested.filter.must[0].has_id",
        ),
        (json!({"min_should": {"conditions": []}}), "filter.min_should.min_count"),
    ] {
        let (at, reason, unsupported) = refused(filter.clone());
        assert_eq!((at.as_str(), unsupported), (path, false), "{filter}: {reason}");
    }
}

#[test]
fn what_is_not_implemented_says_so() {
    for condition in [
        json!({"key": "a", "geo_radius": {"center": {"lon": 0, "lat": 0}, "radius": 1}}),
        json!({"key": "a", "geo_bounding_box": {}}),
        json!({"key": "a", "geo_polygon": {}}),
        json!({"key": "a", "match": {"text": "word"}}),
        json!({"key": "a", "match": {"phrase": "two words"}}),
        json!({"has_vector": "image"}),
    ] {
        let (_, reason, unsupported) = refused(json!({"must": [condition]}));
        assert!(unsupported && reason.ends_with("is not supported"), "{condition}: {reason}");
    }
}

#[test]
fn limits_are_kept() {
    let deep = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({"must": [inner]}));
    assert!(Filter::parse(&deep(MAX_FILTER_DEPTH)).is_ok());
    assert!(refused(deep(MAX_FILTER_DEPTH + 1)).1.contains("deep"));
    let wide = |conditions: usize| json!({"should": vec![json!({"has_id": []}); conditions]});
    assert!(Filter::parse(&wide(MAX_FILTER_CONDITIONS)).is_ok());
    assert_eq!(refused(wide(MAX_FILTER_CONDITIONS + 1)).0, format!("filter.should[{MAX_FILTER_CONDITIONS}]"));
    assert!(Filter::parse(&json!({"must": {"has_id": vec![1; MAX_FILTER_VALUES]}})).is_ok());
    assert_eq!(refused(json!({"must": {"has_id": vec![1; MAX_FILTER_VALUES + 1]}})).0, "filter.must.has_id");
}
