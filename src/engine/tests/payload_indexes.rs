//! Indexes change how fast an answer is, never which.

use proptest::prelude::*;

use super::*;
use crate::engine::filter::reference;

/// Two shards that are told the same; only the first has indexes.
struct Twins([Shard; 2]);

impl Twins {
    fn new(schema: &PayloadSchema) -> Self {
        let mut twins = [Shard::with_docs(1, Distance::Dot), Shard::with_docs(1, Distance::Dot)];
        for (shard, schema) in twins.iter_mut().zip([schema.clone(), PayloadSchema::new()]) {
            let set = Command::SetPayloadSchema { collection: DOCS, version: 1, schema };
            assert_eq!(shard.run(&set), Reply::SchemaSet);
        }
        Self(twins)
    }

    fn run(&mut self, command: &Command) {
        let [one, other] = self.0.each_mut().map(|shard| shard.run(command));
        assert_eq!(one, other);
    }
}

fn schemas() -> impl Strategy<Value = PayloadSchema> {
    use FieldType::{Bool, Datetime, Integer, Keyword};
    let kind = prop::sample::select(vec![Keyword, Integer, Bool, Datetime]);
    prop::collection::btree_map(reference::key(), kind, 1..8)
}

proptest! {
    #[test]
    fn counts_pages_and_deletions_are_the_same_without(
        schema in schemas(),
        payloads in prop::collection::vec((0u64..40, reference::payload()), 1..60),
        conditions in prop::collection::vec(reference::filter(), 1..8),
        (first, limit) in (0u64..40, 1usize..10),
    ) {
        let mut twins = Twins::new(&schema);
        for (id, given) in payloads {
            let points = vec![PointWrite { payload: payload(given), ..point(id, &[1.0]) }];
            twins.run(&Command::Upsert { collection: DOCS, request: None, points });
        }
        for condition in conditions {
            let filter = filter(json!({"must": [condition]}));
            let query = CountQuery { collection: DOCS, filter: Some(filter.clone()) };
            let count = |shard: &Shard| shard.engine.count(&query);
            prop_assert_eq!(count(&twins.0[0]), count(&twins.0[1]));
            for offset in [None, Some(PointId::Num(first))] {
                let query = ScrollQuery { filter: Some(filter.clone()), ..page(offset, limit) };
                prop_assert_eq!(twins.0[0].engine.scroll(&query), twins.0[1].engine.scroll(&query));
            }
            let selector = Selector::Filter(filter);
            twins.run(&Command::Delete { collection: DOCS, request: None, selector });
            let contents = twins.0.each_ref().map(|shard| contents(&shard.engine, DOCS));
            prop_assert_eq!(&contents[0], &contents[1]);
        }
    }
}

/// Pages of a few candidates, and of many, among many points.
#[test]
fn pages_are_in_the_order_of_ids_however_many_match() {
    let schema = PayloadSchema::from([("group".to_owned(), FieldType::Keyword), ("n".to_owned(), FieldType::Integer)]);
    let mut twins = Twins::new(&schema);
    let given =
        |id: u64| payload(json!({"group": if id.is_multiple_of(97) { "rare" } else { "common" }, "n": id % 500}));
    // Rows are given out in the order of writing, ids here come backwards.
    let points = (0..3_000).rev().map(|id| PointWrite { payload: given(id), ..point(id, &[1.0]) }).collect();
    twins.run(&Command::Upsert { collection: DOCS, request: None, points });
    for condition in [
        json!({"key": "group", "match": {"value": "rare"}}),
        json!({"key": "group", "match": {"value": "common"}}),
        json!({"key": "n", "range": {"gte": 3}}),
        json!({"key": "n", "range": {"gte": 497}}),
    ] {
        for limit in [1, 7, 1_000] {
            let filter = Some(filter(json!({"must": [condition]})));
            let query = ScrollQuery { filter, ..page(Some(PointId::Num(96)), limit) };
            let [indexed, plain] = twins.0.each_ref().map(|shard| shard.engine.scroll(&query).unwrap());
            assert_eq!(indexed, plain, "{condition}");
            assert!(!plain.records.is_empty());
        }
    }
}

#[test]
fn an_index_on_points_that_are_there_is_counted_and_takes_memory() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    let lang = |id: u64| payload(json!({"lang": format!("{}-{id}", "x".repeat(100)), "n": [id, null]}));
    shard.upsert((0..500).map(|id| PointWrite { payload: lang(id), ..point(id, &[1.0]) }).collect());
    let before = shard.engine.memory_bytes();
    let schema = PayloadSchema::from([("lang".to_owned(), FieldType::Keyword), ("n".to_owned(), FieldType::Float)]);
    assert_eq!(shard.run(&Command::SetPayloadSchema { collection: DOCS, version: 4, schema }), Reply::SchemaSet);
    let stats = &shard.engine.collections()[0];
    assert_eq!(stats.schema_version, 4);
    assert_eq!(stats.fields["lang"], FieldStats { kind: FieldType::Keyword, points: 500 });
    assert!(shard.engine.memory_bytes() - before >= 500 * 100);
    shard.delete(Selector::Filter(filter(json!({"must": {"key": "n", "range": {"lt": 400}}}))));
    assert_eq!(shard.engine.collections()[0].fields["n"].points, 100);
    let drop = Command::SetPayloadSchema { collection: DOCS, version: 5, schema: PayloadSchema::new() };
    assert_eq!(shard.run(&drop), Reply::SchemaSet);
    assert!(shard.engine.collections()[0].fields.is_empty());
}
