//! Whatever the checks pass, a shard takes, answers from and opens again, whatever its keys and values are called.

use proptest::prelude::*;

use super::*;

/// Keys that some parser gives a meaning, and keys that are merely odd.
fn nasty_keys() -> impl Strategy<Value = String> {
    let known = [
        "$serde_json::private::RawValue",
        "$serde_json::private::Number",
        "$__toml_private_datetime",
        "",
        "a",
        "A",
        "a.b",
        "a[]",
        "\"",
        "\\",
        "\u{0}",
        "\u{feff}",
        "\u{1f980}",
        "e\u{301}",
        "\u{e9}",
        "key",
        "must",
    ];
    prop_oneof![8 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => any::<String>()]
}

fn nasty_leaves() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::sample::select(vec![0.0, -0.0, 1.0, 1e300, 5e-324, 9007199254740993.0]).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["x", "[1,2,3]", "1", "{", "null", "2024-01-01", "9999-12-31T23:59:60Z"])
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ]
}

fn nasty_members() -> impl Strategy<Value = Value> {
    let value = nasty_leaves().prop_recursive(8, 40, 4, |inner| {
        let members = prop::collection::btree_map(nasty_keys(), inner.clone(), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            members.prop_map(|members| Value::Object(members.into_iter().collect()))
        ]
    });
    prop::collection::btree_map(nasty_keys(), value, 0..4)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

/// Payloads as they come through the door, and as a peer or a log may have them: also texts that are none.
fn nasty_payloads() -> impl Strategy<Value = Payload> {
    let deep = (1..200usize).prop_map(|depth| {
        let inner = (1..depth).fold(json!({}), |inner, _| json!({"$serde_json::private::RawValue": inner}));
        payload(inner)
    });
    let texts = prop::sample::select(vec![
        "",
        "[]",
        "{",
        "{\"a\":1e999}",
        "{}{}",
        " { \"a\" : 1 , \"a\" : 2 } ",
        "{\"a\":\"\\ud800\"}",
    ]);
    prop_oneof![
        8 => nasty_members().prop_map(payload),
        1 => deep,
        1 => texts.prop_map(Payload::from_text),
    ]
}

fn filters() -> Vec<Filter> {
    let keys =
        ["a", "\"$serde_json::private::RawValue\"", "\"\"", "key", "a.\"$serde_json::private::RawValue\"", "a[]"];
    let tests = |key: &str| {
        [
            json!({"key": key, "match": {"value": "x"}}),
            json!({"key": key, "match": {"except": ["x", 1]}}),
            json!({"key": key, "range": {"gte": 0}}),
            json!({"is_null": {"key": key}}),
            json!({"nested": {"key": key, "filter": {"must": [{"is_empty": {"key": "a"}}]}}}),
        ]
    };
    keys.iter().flat_map(|key| tests(key)).map(|condition| filter(json!({"must": [condition]}))).collect()
}

fn schema() -> PayloadSchema {
    let fields = [
        ("a", FieldType::Keyword),
        ("key", FieldType::Integer),
        ("\"$serde_json::private::RawValue\"", FieldType::Float),
    ];
    fields.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect()
}

fn counts(engine: &Engine) -> Vec<u64> {
    let count = |filter| engine.count(&CountQuery { collection: DOCS, filter: Some(filter) }).unwrap();
    filters().into_iter().map(count).collect()
}

fn payloads(engine: &Engine, with_payload: PayloadSelector) -> Vec<Payload> {
    let query = ScrollQuery { with_payload, ..page(None, limits::MAX_LIMIT) };
    engine.scroll(&query).unwrap().records.into_iter().map(|record| record.payload.unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_passes_the_checks_is_taken_read_and_opened_again(written in prop::collection::vec(nasty_payloads(), 1..6), indexed in any::<bool>()) {
        let mut shard = Shard::with_docs(2, Distance::Euclid);
        let schema = Command::SetPayloadSchema { collection: DOCS, version: 1, schema: schema() };
        if indexed {
            prop_assert_eq!(shard.run(&schema), Reply::SchemaSet);
        }
        let mut stored = Vec::new();
        for (id, payload) in written.into_iter().enumerate() {
            let points = vec![PointWrite { payload: payload.clone(), ..point(id as u64, &[1.0, id as f32]) }];
            let passes = validate(&CollectionConfig::single(2, Distance::Euclid), &points).is_ok();
            let reply = shard.upsert(points);
            prop_assert_eq!(passes, matches!(reply, Reply::Upserted(_)), "{:?}: {:?}", payload, reply);
            if passes {
                stored.push(payload);
            }
        }
        prop_assert_eq!(&payloads(&shard.engine, PayloadSelector::All), &stored, "byte for byte");
        for payload in &stored {
            prop_assert_eq!(&json!(payload), &serde_json::from_str::<Value>(payload.text()).unwrap());
        }
        let reopened = shard.reopened();
        prop_assert_eq!(counts(&reopened), counts(&shard.engine));
        for selector in [PayloadSelector::Include(["a".into(), "".into()].into()), PayloadSelector::Exclude(["a".into()].into())] {
            prop_assert_eq!(payloads(&reopened, selector.clone()), payloads(&shard.engine, selector));
        }
        let before = counts(&shard.engine);
        shard.run(&schema);
        prop_assert_eq!(&counts(&shard.engine), &before, "an index changes no answer");
        for (filter, count) in filters().into_iter().zip(before) {
            let left = shard.engine.count(&CountQuery { collection: DOCS, filter: Some(filter.clone()) }).unwrap();
            prop_assert!(left <= count);
            let deleted = shard.delete(Selector::Filter(filter));
            prop_assert_eq!(deleted, Reply::Deleted { count: left, version: shard.index });
        }
        prop_assert_eq!(shard.reopened().digest(), shard.engine.digest());
    }
}

/// The entry that stopped a shard on all its replicas, and at each of their starts.
#[test]
fn a_key_that_once_had_a_meaning_is_a_key_like_any_other() {
    for key in ["$serde_json::private::RawValue", "$serde_json::private::Number"] {
        let members = json!({"a": {key: "x", "y": 2}, "b": {key: "[1,2,3]"}});
        let mut shard = Shard::with_docs(2, Distance::Euclid);
        shard.run(&Command::SetPayloadSchema { collection: DOCS, version: 1, schema: schema() });
        let written = PointWrite { payload: payload(members.clone()), ..point(1, &[0.0, 0.0]) };
        assert_eq!(shard.upsert(vec![written]), Reply::Upserted(vec![(1.into(), 3)]));
        for engine in [&shard.engine, &shard.reopened()] {
            assert_eq!(json!(payloads(engine, PayloadSelector::All)[0]), members);
            assert_eq!(
                json!(payloads(engine, PayloadSelector::Include(["b".into()].into()))[0]),
                json!({"b": members["b"]})
            );
        }
        let by_it = filter(json!({"must": [{"key": format!("a.\"{key}\""), "match": {"value": "x"}}]}));
        assert_eq!(shard.delete(Selector::Filter(by_it)), Reply::Deleted { count: 1, version: 4 });
    }
}

/// No check passes such a record; should one be there all the same, it stops nothing.
#[test]
fn a_stored_payload_that_is_none_has_no_members() {
    let mut shard = Shard::with_docs(2, Distance::Euclid);
    let id = PointId::Num(1);
    let mut changes = Changes::default();
    {
        let mut state = shard.engine.state.write();
        let table = state.table(DOCS).unwrap();
        let reindex = table.reindex(id, "no payload");
        let vectors = BTreeMap::from([(DEFAULT_VECTOR.to_owned(), vec![0.0, 0.0])]);
        let prepared = super::super::state::Prepared::new(DOCS, id, 1, "no payload".into(), vectors, reindex);
        state.upsert(DOCS, vec![prepared], &mut changes);
    }
    shard.state.commit(&changes);
    for indexed in [false, true] {
        if indexed {
            shard.run(&Command::SetPayloadSchema { collection: DOCS, version: 1, schema: schema() });
        }
        for engine in [&shard.engine, &shard.reopened()] {
            let empty = filter(json!({"must": [{"is_empty": {"key": "a"}}]}));
            assert_eq!(engine.count(&CountQuery { collection: DOCS, filter: Some(empty) }), Ok(1));
            assert_eq!(payloads(engine, PayloadSelector::Exclude(["a".into()].into())), [Payload::default()]);
        }
    }
    assert!(matches!(shard.upsert(vec![point(1, &[0.0, 1.0])]), Reply::Upserted(_)), "it is overwritten");
    assert!(matches!(shard.delete(Selector::Ids(vec![id])), Reply::Deleted { count: 1, .. }));
}
