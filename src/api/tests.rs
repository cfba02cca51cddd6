//! What the wire types accept and refuse.

use super::*;
use serde_json::{from_str, json, to_value};

#[test]
fn ids_are_exact_and_nothing_else_is_an_id() {
    let big: PointId = from_str("18446744073709551615").unwrap();
    assert_eq!(big, PointId::Num(u64::MAX));
    assert_eq!(serde_json::to_string(&big).unwrap(), "18446744073709551615");
    let uuid: PointId = from_str("\"6f9619ff-8b86-d011-b42d-00cf4fc964ff\"").unwrap();
    assert_eq!(to_value(uuid).unwrap(), json!("6f9619ff-8b86-d011-b42d-00cf4fc964ff"));
    for bad in ["-1", "1.5", "18446744073709551616", "\"seven\"", "null", "[1]"] {
        let error = from_str::<PointId>(bad).unwrap_err().to_string();
        assert!(error.contains("a UUID string"), "{bad}: {error}");
    }
}

#[test]
fn vectors_are_bare_or_named() {
    let upsert: Upsert = from_str(
        r#"{"collection":"docs","vectors":[{"id":1,"vector":[1,0.5]},{"id":2,"vector":{"title":[1]},"payload":null}]}"#,
    )
    .unwrap();
    assert_eq!(upsert.vectors[0].vector, VectorValue::Single(vec![1.0, 0.5]));
    let named = upsert.vectors[1].vector.clone().into_named();
    assert_eq!(named.keys().collect::<Vec<_>>(), ["title"]);
    assert_eq!(VectorValue::from_named(named), upsert.vectors[1].vector);
    for bad in ["[null]", "[\"1\"]", "3", "{\"a\":3}"] {
        assert!(from_str::<VectorValue>(bad).is_err(), "{bad}");
    }
}

#[test]
fn unknown_members_of_requests_are_refused_by_name() {
    let error = from_str::<Search>(r#"{"collection":"docs","vector":[1],"limits":3}"#).unwrap_err();
    assert!(error.to_string().contains("unknown field `limits`"), "{error}");
    let error = from_str::<Search>(r#"{"collection":"docs","vector":[1],"params":{"hnsw_ef":3}}"#).unwrap_err();
    assert!(error.to_string().contains("unknown field `hnsw_ef`"), "{error}");
}

#[test]
fn a_search_has_defaults() {
    let search: Search = from_str(r#"{"collection":"docs","id":7,"with_payload":["gloss"]}"#).unwrap();
    assert_eq!((search.limit, search.offset, search.consistency), (DEFAULT_LIMIT, 0, None));
    assert_eq!(search.with_payload, WithPayload::Fields(vec!["gloss".into()]));
    assert_eq!(search.with_vector, WithVector::All(false));
}

#[test]
fn a_collection_has_default_or_named_vectors_but_not_both() {
    let create: CreateCollection = from_str(r#"{"name":"docs"}"#).unwrap();
    let params = create.params().unwrap();
    assert_eq!(
        params[""],
        VectorSettings { size: DEFAULT_VECTOR_SIZE, distance: Distance::Cosine, index: None, quantization: None }
    );
    let both: CreateCollection =
        from_str(r#"{"name":"docs","vector_size":3,"vectors":{"a":{"size":2,"distance":"Dot"}}}"#).unwrap();
    assert!(both.params().is_err());
}

#[test]
fn null_is_another_quantization_than_none_said() {
    let create = |more: &str| from_str::<CreateCollection>(&format!(r#"{{"name":"docs"{more}}}"#));
    assert_eq!(create("").unwrap().quantization, None);
    assert_eq!(create(r#","quantization":null"#).unwrap().quantization, Some(Quantization::None));
    assert_eq!(create(r#","quantization":"int8""#).unwrap().quantization, Some(Quantization::Int8));
    assert!(create(r#","quantization":"int4""#).is_err());
    assert!(create(r#","quantization":{"scalar":{}}"#).is_err());
}

#[test]
fn an_index_is_a_word_or_an_object() {
    let index = |text: &str| from_str::<Index>(text);
    assert_eq!(index(r#""exact""#).unwrap(), Index { kind: IndexKind::Exact, m: None, ef_construct: None });
    assert_eq!(index(r#"{"type":"hnsw","m":8}"#).unwrap(), Index { m: Some(8), ..Index::default() });
    assert_eq!(index("{}").unwrap(), Index::default());
    for bad in [r#""ivf""#, r#"{"type":"ivf"}"#, r#"{"n":8}"#, "7"] {
        assert!(index(bad).is_err(), "{bad}");
    }
}
