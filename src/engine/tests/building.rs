//! Payload indexes that are built beside the commands: never a wrong answer, and in the end the same as built at once.

use proptest::prelude::*;

use super::*;

const POINTS: u64 = 6_000;

fn written(id: u64, group: u64) -> PointWrite {
    PointWrite { payload: payload(json!({"group": group})), ..point(id, &[1.0]) }
}

fn count(shard: &Shard, group: u64) -> u64 {
    let filter = filter(json!({"must": [{"key": "group", "match": {"value": group}}]}));
    shard.engine.count(&CountQuery { collection: DOCS, filter: Some(filter) }).unwrap()
}

fn schema(fields: &[(&str, FieldType)], version: u64) -> Command {
    let schema = fields.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
    Command::SetPayloadSchema { collection: DOCS, version, schema }
}

/// How many rows the index of the field has; `None` while there is none that can be asked.
fn indexed(shard: &Shard) -> Option<u64> {
    shard.engine.collections()[0].fields.get("group").map(|field| field.points)
}

#[derive(Debug, Clone)]
enum Step {
    Write(u64, u64),
    Delete(u64),
    Build,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = 0..POINTS + 200;
    let step = prop_oneof![
        (id.clone(), 0..4u64).prop_map(|(id, group)| Step::Write(id, group)),
        id.prop_map(Step::Delete),
        Just(Step::Build),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn an_index_that_is_built_beside_commands_is_never_wrong(steps in steps()) {
        let mut shard = Shard::with_docs(1, Distance::Dot);
        shard.upsert((0..POINTS).map(|id| written(id, id % 4)).collect());
        let mut groups: BTreeMap<u64, u64> = (0..POINTS).map(|id| (id, id % 4)).collect();
        shard.run(&schema(&[("group", FieldType::Integer)], 1));
        prop_assert_eq!(indexed(&shard), None, "it is not asked before it is complete");
        for step in steps {
            match step {
                Step::Write(id, group) => {
                    shard.upsert(vec![written(id, group)]);
                    groups.insert(id, group);
                }
                Step::Delete(id) => {
                    shard.delete(Selector::Ids(vec![id.into()]));
                    groups.remove(&id);
                }
                Step::Build => drop(shard.engine.index(8, false)),
            }
        }
        let expected = |group: u64| groups.values().filter(|of| **of == group).count() as u64;
        prop_assert_eq!(count(&shard, 1), expected(1));
        while shard.engine.index(8, false) {}
        prop_assert_eq!(indexed(&shard), Some(groups.len() as u64));
        for group in 0..4 {
            prop_assert_eq!(count(&shard, group), expected(group));
        }
        prop_assert_eq!(shard.reopened().digest(), shard.engine.digest());
    }
}

#[test]
fn another_schema_in_the_middle_begins_anew_what_it_still_asks_for() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    shard.upsert((0..POINTS).map(|id| written(id, id % 4)).collect());
    shard.run(&schema(&[("group", FieldType::Integer)], 1));
    assert!(shard.engine.index(8, false));
    shard.run(&schema(&[("group", FieldType::Integer), ("other", FieldType::Keyword)], 2));
    while shard.engine.index(8, false) {}
    assert_eq!((indexed(&shard), count(&shard, 3)), (Some(POINTS), POINTS / 4));
    shard.run(&schema(&[], 3));
    assert_eq!(indexed(&shard), None);
    assert!(!shard.engine.index(8, false), "nothing is left to be built");
}
