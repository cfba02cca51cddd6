//! What the indexes say against what every payload says.

use std::collections::BTreeSet;

use proptest::prelude::*;
use raft_groups::{Changes, MemoryState};
use serde_json::{Value, json};

use super::*;
use crate::engine::Setup;
use crate::engine::commands::apply::plan;
use crate::engine::filter::reference;
use crate::engine::payload::stored_members;
use crate::engine::queries::work_meter::Meter;
use crate::engine::state::{State, Table, rebuild};
use crate::engine::{
    CollectionConfig, CollectionId, Command, Distance, Filter, Payload, PointId, PointWrite, Reply, Selector,
};

const DOCS: CollectionId = CollectionId(1);

/// A state, and the records its changes left.
struct Store {
    state: State,
    records: MemoryState,
}

impl Store {
    fn new() -> Self {
        let mut store = Self { state: State::default(), records: MemoryState::default() };
        let config = CollectionConfig::single(1, Distance::Dot);
        store.run(&Command::CreateCollection { collection: DOCS, config });
        store
    }

    fn run(&mut self, command: &Command) -> Reply {
        let (index, mut changes) = (self.state.index + 1, Changes::default());
        let reply = plan(&self.state, index, &command.encode()).carry_out(&mut self.state, index, &mut changes);
        self.records.commit(&changes);
        reply
    }

    fn put(&mut self, id: u64, payload: &Value) {
        let payload = Payload::from(payload.as_object().unwrap());
        let vectors = [(String::new(), vec![1.0])].into();
        let points = vec![PointWrite { id: PointId::Num(id), vectors, payload, if_version: None }];
        assert!(matches!(self.run(&Command::Upsert { collection: DOCS, request: None, points }), Reply::Upserted(_)));
    }

    fn delete(&mut self, id: u64) {
        let selector = Selector::Ids(vec![PointId::Num(id)]);
        self.run(&Command::Delete { collection: DOCS, request: None, selector });
    }

    fn index(&mut self, fields: &[(&str, FieldType)]) {
        let schema = fields.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
        self.set_schema(schema);
    }

    fn set_schema(&mut self, schema: PayloadSchema) {
        let version = self.state.index + 1;
        assert_eq!(self.run(&Command::SetPayloadSchema { collection: DOCS, version, schema }), Reply::SchemaSet);
    }

    fn table(&self) -> &Table {
        &self.state.tables[&DOCS]
    }

    /// Ids and exactness of what a filter is narrowed to.
    fn narrowed(&self, filter: Value) -> Option<(Vec<u64>, bool)> {
        narrowed(self.table(), &Filter::parse(&filter).unwrap(), u64::MAX)
            .map(|(ids, exact)| (ids.into_iter().collect(), exact))
    }
}

fn narrowed(table: &Table, filter: &Filter, steps: u64) -> Option<(BTreeSet<u64>, bool)> {
    let narrowed = table.narrow(filter, steps, &Meter::unlimited())?;
    let id = |row| match table.at(vector_index::Row(row)).id {
        PointId::Num(id) => id,
        PointId::Uuid(_) => unreachable!("these points have numbers"),
    };
    Some((narrowed.rows.into_iter().map(id).collect(), narrowed.exact))
}

fn kind() -> impl Strategy<Value = FieldType> {
    use FieldType::{Bool, Datetime, Float, Integer, Keyword, Uuid};
    prop::sample::select(vec![Keyword, Integer, Float, Bool, Datetime, Uuid])
}

#[derive(Debug, Clone)]
enum Step {
    Put(u64, Value),
    Delete(u64),
    Index(PayloadSchema),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0u64..8, reference::payload()).prop_map(|(id, payload)| Step::Put(id, payload)),
        2 => (0u64..8).prop_map(Step::Delete),
        1 => prop::collection::btree_map(reference::key(), kind(), 0..6).prop_map(Step::Index),
    ]
}

fn run(steps: &[Step]) -> Store {
    let mut store = Store::new();
    for step in steps {
        match step {
            Step::Put(id, payload) => store.put(*id, payload),
            Step::Delete(id) => store.delete(*id),
            Step::Index(schema) => store.set_schema(schema.clone()),
        }
    }
    store
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn nothing_that_matches_is_missing_and_exact_is_exact(
        before in prop::collection::vec(step(), 0..20),
        schema in prop::collection::btree_map(reference::key(), kind(), 1..10),
        after in prop::collection::vec(step(), 0..20),
        conditions in prop::collection::vec(reference::filter(), 1..6),
    ) {
        let store = run(&[before, vec![Step::Index(schema)], after].concat());
        let rebuilt = rebuild(&Setup::default(), &store.records).unwrap();
        prop_assert_eq!(rebuilt.digest, store.state.digest);
        for condition in conditions {
            let filter = Filter::parse(&json!({"must": [condition]})).unwrap();
            let matching: BTreeSet<u64> = store.table().points()
                .filter(|point| filter.matches(point.id, &stored_members(&point.payload, |_| true)))
                .map(|point| match point.id { PointId::Num(id) => id, PointId::Uuid(_) => unreachable!() })
                .collect();
            for steps in [u64::MAX, 5, 0] {
                let found = narrowed(store.table(), &filter, steps);
                if let Some((ids, exact)) = &found {
                    prop_assert!(ids.is_superset(&matching), "{} misses {:?} of {:?}", condition, ids, matching);
                    prop_assert!(!exact || *ids == matching, "{} is not exactly {:?}", condition, ids);
                }
                prop_assert_eq!(found, narrowed(&rebuilt.tables[&DOCS], &filter, steps), "rebuilt, {}", condition);
            }
        }
    }

    #[test]
    fn an_index_forgets_what_is_gone(steps in prop::collection::vec(step(), 0..30), schema in prop::collection::btree_map(reference::key(), kind(), 1..6)) {
        let mut store = run(&steps);
        store.set_schema(schema);
        let (empty, mut full) = (Store::new(), 0);
        for id in 0..8 {
            full = full.max(store.table().indexes().memory_bytes());
            store.delete(id);
        }
        prop_assert!(store.table().indexes().counts().all(|(_, _, points)| points == 0));
        let left = store.table().indexes().memory_bytes() - empty.table().indexes().memory_bytes();
        prop_assert!(left <= full && left <= 8 * 5 * store.table().indexes().counts().count(), "{} bytes are left", left);
    }
}

/// Four points with every kind of value, indexed.
fn four() -> Store {
    let mut store = Store::new();
    store.index(&[
        ("lang", FieldType::Keyword),
        ("n", FieldType::Integer),
        ("day", FieldType::Datetime),
        ("yes", FieldType::Bool),
        ("owner", FieldType::Uuid),
        ("parts[].kind", FieldType::Keyword),
        ("parts[].size", FieldType::Float),
    ]);
    let owner = "00000000-0000-0000-0000-00000000000a";
    store.put(1, &json!({"lang": "en", "n": 1, "day": "2024-01-01", "yes": true, "owner": owner}));
    store.put(2, &json!({"lang": ["en", "de"], "n": [2, 3.5], "day": "2024-01-02T10:00:00+02:00", "yes": false}));
    store.put(3, &json!({"lang": null, "n": "2", "owner": owner.to_uppercase(), "parts": [{"kind": "a", "size": 1}, {"kind": "b", "size": 9}]}));
    store.put(4, &json!({"lang": 5, "n": 1u64 << 53, "parts": [{"kind": "a", "size": 9}]}));
    store
}

#[test]
fn conditions_are_answered_by_the_index_that_fits() {
    let (store, owner) = (four(), "00000000-0000-0000-0000-00000000000a");
    let matching = |key: &str, value: Value| json!({"must": [{"key": key, "match": {"value": value}}]});
    let range = |key: &str, range: Value| json!({"must": [{"key": key, "range": range}]});
    for (filter, ids) in [
        (matching("lang", json!("en")), vec![1, 2]),
        (matching("\"lang\"", json!("de")), vec![2]),
        (matching("lang", json!("fr")), vec![]),
        (json!({"must": [{"key": "lang", "match": {"any": ["de", "en"]}}]}), vec![1, 2]),
        (json!({"must": [{"key": "lang", "match": {"except": ["fr"]}}]}), vec![1, 2, 4]),
        (json!({"must_not": [{"key": "lang", "match": {"value": "en"}}]}), vec![3, 4]),
        (matching("n", json!(2)), vec![2]),
        (matching("n", json!((1u64 << 53) + 1)), vec![]),
        (range("n", json!({"gt": 3})), vec![2, 4]),
        (range("n", json!({"gte": 1, "lt": 3.5})), vec![1, 2]),
        (range("n", json!({"gt": 3, "lt": 3})), vec![]),
        (range("day", json!({"gte": "2024-01-02T08:00:00Z"})), vec![2]),
        (range("day", json!({"lt": "2024-01-02T08:00:00Z"})), vec![1]),
        (matching("yes", json!(true)), vec![1]),
        (matching("owner", json!(owner)), vec![1]),
        (matching("owner", json!(owner.to_uppercase())), vec![3]),
        (json!({"must": [{"is_null": {"key": "lang"}}]}), vec![3]),
        (json!({"must": [{"is_empty": {"key": "owner"}}]}), vec![2, 4]),
        (json!({"must": [{"has_id": [1, 4, 9]}]}), vec![1, 4]),
        (json!({"should": [{"has_id": [4]}, {"key": "lang", "match": {"value": "de"}}]}), vec![2, 4]),
        (json!({"must": [{"nested": {"key": "parts", "filter": matching("kind", json!("b"))}}]}), vec![3]),
        (
            json!({"min_should": {"min_count": 2, "conditions": [{"has_id": [1, 2]}, {"has_id": [2, 3]}, {"has_id": [3]}]}}),
            vec![2, 3],
        ),
        (json!({}), vec![1, 2, 3, 4]),
    ] {
        assert_eq!(store.narrowed(filter.clone()), Some((ids, true)), "{filter}");
    }
}

#[test]
fn where_an_index_cannot_tell_it_bounds_or_says_nothing() {
    let store = four();
    let (en, unindexed) =
        (json!({"key": "lang", "match": {"value": "en"}}), json!({"key": "x", "match": {"value": 1}}));
    let one_element = json!({"must": [{"nested": {"key": "parts", "filter": {"must": [
        {"key": "kind", "match": {"value": "a"}}, {"key": "size", "range": {"gt": 5}}]}}}]});
    for (filter, found) in [
        (json!({"must": [en, unindexed]}), Some(vec![1, 2])),
        (json!({"must": [{"key": "lang", "match": {"except": ["en"]}}]}), Some(vec![2, 4])),
        (one_element, Some(vec![3, 4])),
        (json!({"should": [en, unindexed]}), None),
        (json!({"must": [unindexed]}), None),
        (json!({"must": [{"key": "lang", "match": {"value": 5}}]}), None),
        (json!({"must": [{"key": "lang", "match": {"any": ["en", 5]}}]}), None),
        (json!({"must": [{"key": "n", "match": {"value": "2"}}]}), None),
        (json!({"must": [{"key": "n", "range": {"gte": "2024-01-01"}}]}), None),
        (json!({"must": [{"key": "lang", "values_count": {"gte": 2}}]}), None),
        (json!({"must": [{"key": "lang[]", "match": {"value": "en"}}]}), None),
        (
            json!({"must": [{"nested": {"key": "parts", "filter": {"must_not": [{"key": "kind", "match": {"value": "a"}}]}}}]}),
            None,
        ),
    ] {
        assert_eq!(store.narrowed(filter.clone()), found.map(|ids| (ids, false)), "{filter}");
    }
}

#[test]
fn what_would_cost_more_than_testing_is_left_to_testing() {
    let mut store = Store::new();
    store.index(&[("group", FieldType::Keyword), ("n", FieldType::Integer)]);
    for id in 0..2_000 {
        store.put(id, &json!({"group": if id == 7 { "rare" } else { "common" }, "n": id}));
    }
    let rare = json!({"key": "group", "match": {"value": "rare"}});
    let wide = json!({"key": "n", "range": {"gte": 5}});
    assert_eq!(store.narrowed(json!({"must": [wide, rare]})), Some((vec![7], false)), "one payload is read instead");
    let narrow = json!({"key": "n", "range": {"gte": 5, "lt": 9}});
    assert_eq!(store.narrowed(json!({"must": [narrow, rare]})), Some((vec![7], true)));
    let wide = Filter::parse(&json!({"must": [wide]})).unwrap();
    assert!(store.table().narrow(&wide, 1_000, &Meter::unlimited()).is_none(), "the caller's bound holds");
    let all = store.table().narrow(&wide, u64::MAX, &Meter::unlimited()).unwrap();
    assert_eq!((all.rows.len(), all.exact, all.fields), (1_995, true, BTreeSet::from(["n".to_owned()])));
}

#[test]
fn a_schema_replaces_only_what_differs_and_only_an_older_one() {
    let mut store = four();
    let version = store.table().schema_version();
    let counts = |store: &Store| -> Vec<(String, FieldType, u64)> {
        store.table().indexes().counts().map(|(name, kind, points)| (name.to_owned(), kind, points)).collect()
    };
    let before = counts(&store);
    let older = Command::SetPayloadSchema { collection: DOCS, version, schema: PayloadSchema::new() };
    assert_eq!(store.run(&older), Reply::SchemaSet);
    assert_eq!(counts(&store), before, "an older schema changes nothing");
    store.index(&[("lang", FieldType::Integer), ("n", FieldType::Integer)]);
    assert_eq!(counts(&store), [("lang".to_owned(), FieldType::Integer, 1), ("n".to_owned(), FieldType::Integer, 3)]);
    store.index(&[]);
    assert_eq!(counts(&store), []);
    let digest = store.state.digest;
    assert_eq!(rebuild(&Setup::default(), &store.records).unwrap().digest, digest);
    store.run(&Command::DropCollection { collection: DOCS });
    let dropped = rebuild(&Setup::default(), &store.records).unwrap();
    assert_eq!(store.state.digest, dropped.digest);
    assert!(dropped.tables.is_empty(), "a schema goes with its collection");
}

#[test]
fn a_schema_that_cannot_be_is_refused() {
    let mut store = Store::new();
    let mut set =
        |schema: PayloadSchema| store.run(&Command::SetPayloadSchema { collection: DOCS, version: 1, schema });
    let malformed = set(PayloadSchema::from([("a[".to_owned(), FieldType::Bool)]));
    assert!(
        matches!(malformed, Reply::Refused(Refusal::Invalid { ref field, .. }) if field == "field_name"),
        "{malformed:?}"
    );
    let limit = crate::model::limits::MAX_INDEXED_FIELDS;
    let fields = |count: usize| (0..count).map(|number| (format!("f{number}"), FieldType::Bool)).collect();
    assert!(matches!(set(fields(limit + 1)), Reply::Refused(Refusal::Invalid { .. })));
    assert_eq!(set(fields(limit)), Reply::SchemaSet);
}
