//! Memory rebuilt from records equals memory built by commands, and damage to a record is found.

use std::io::{self, ErrorKind};
use std::ops::ControlFlow;

use bytes::Bytes;
use proptest::prelude::*;
use raft_groups::StateReader;

use super::codec::commands;
use super::*;

fn same(live: &Engine, rebuilt: &Engine) {
    assert_eq!(live.digest(), rebuilt.digest());
    assert_eq!(live.collections(), rebuilt.collections());
    assert_eq!(live.points(), rebuilt.points());
    for stats in live.collections() {
        let collection = stats.collection;
        assert_eq!(contents(live, collection), contents(rebuilt, collection));
        let query = SearchQuery { collection, ..nearest(&[0.3, -0.2, 0.9], 5) };
        assert_eq!(live.search(&query), rebuilt.search(&query));
    }
}

/// All pairs of a state.
fn pairs(state: &MemoryState) -> Vec<(Vec<u8>, Bytes)> {
    let mut pairs = Vec::new();
    let visit = &mut |key: &[u8], value: &[u8]| {
        pairs.push((key.to_vec(), Bytes::copy_from_slice(value)));
        ControlFlow::Continue(())
    };
    state.scan(&[], visit).unwrap();
    pairs
}

proptest! {
    #[test]
    fn rebuilt_equals_live_and_goes_on_alike(before in prop::collection::vec(commands(), 0..60), after in prop::collection::vec(commands(), 0..20)) {
        let mut live = Shard::with_docs(3, Distance::Cosine);
        for command in &before {
            live.run(command);
        }
        let mut rebuilt = Shard { engine: live.reopened(), state: live.state.clone(), index: live.index };
        same(&live.engine, &rebuilt.engine);
        for command in &after {
            prop_assert_eq!(live.run(command), rebuilt.run(command));
        }
        same(&live.engine, &rebuilt.engine);
        same(&live.engine, &live.reopened());
        prop_assert_eq!(pairs(&live.state), pairs(&rebuilt.state));
    }

    #[test]
    fn different_states_differ_in_digest(first in prop::collection::vec(commands(), 1..20), second in prop::collection::vec(commands(), 1..20)) {
        let run = |commands: &[Command]| {
            let mut shard = Shard::with_docs(3, Distance::Cosine);
            commands.iter().for_each(|command| { shard.run(command); });
            shard.clear_away();
            shard
        };
        let (first, second) = (run(&first), run(&second));
        let records = |shard: &Shard| pairs(&shard.state).into_iter().filter(|(key, _)| key != b"i").collect::<Vec<_>>();
        prop_assert_eq!(records(&first) == records(&second), first.engine.digest().1 == second.engine.digest().1);
    }

    #[test]
    fn damage_is_found_and_names_the_kind(record in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), bit in 0u8..8) {
        let shard = full();
        let mut pairs = pairs(&shard.state);
        let record = record.index(pairs.len());
        let (key, value) = &mut pairs[record];
        let kind = match key[0] { b'c' => "collection", b'f' => "payload schema", b'i' => "index", b'p' => "point", _ => "request" };
        let mut damaged = value.to_vec();
        let place = place.index(damaged.len());
        damaged[place] ^= 1 << bit;
        *value = damaged.into();
        let error = open(pairs).unwrap_err();
        prop_assert_eq!(error.kind(), ErrorKind::InvalidData);
        prop_assert!(error.to_string().starts_with(&format!("the {kind} record ")), "{}", error);
    }
}

/// A shard with a record of every kind.
fn full() -> Shard {
    let mut shard = Shard::with_docs(3, Distance::Cosine);
    let schema = PayloadSchema::from([("colour".to_owned(), FieldType::Keyword)]);
    shard.run(&Command::SetPayloadSchema { collection: DOCS, version: 1, schema });
    shard.run(&Command::Upsert { collection: DOCS, request: request(1), points: vec![point(1, &[1.0, 2.0, 3.0])] });
    shard
}

fn open(pairs: Vec<(Vec<u8>, Bytes)>) -> io::Result<Engine> {
    let (mut state, mut changes) = (MemoryState::default(), Changes::default());
    pairs.into_iter().for_each(|(key, value)| changes.put(key, value));
    state.commit(&changes);
    Engine::open(&Setup::default(), &state)
}

#[test]
fn records_that_do_not_belong_are_found() {
    let all = pairs(&full().state);
    let orphan = all.iter().filter(|(key, _)| key[0] != b'c').cloned().collect();
    assert!(open(orphan).unwrap_err().to_string().ends_with("belongs to no collection"));
    let stray = |mut pairs: Vec<(Vec<u8>, Bytes)>| {
        let (key, value) = pairs.iter().find(|(key, _)| key[0] == b'p').cloned().unwrap();
        let mut other = key;
        *other.last_mut().unwrap() ^= 1;
        pairs.push((other, value));
        open(pairs).unwrap_err().to_string()
    };
    assert!(stray(all.clone()).ends_with("fails its checksum"), "a record under another key");
    let unknown = [all, vec![(b"zoo".to_vec(), Bytes::new())]].concat();
    assert_eq!(open(unknown).unwrap_err().to_string(), "a record has the unknown key 7a6f6f");
}

#[test]
fn an_empty_state_is_an_empty_engine() {
    let engine = Engine::open(&Setup::default(), &MemoryState::default()).unwrap();
    assert_eq!((engine.digest(), engine.points()), ((0, 0), 0));
}

#[test]
fn the_index_survives_a_command_that_changes_nothing() {
    let mut shard = full();
    shard.run(&Command::DropCollection { collection: CollectionId(9) });
    shard.run_bytes(b"\x02garbage");
    assert_eq!(shard.reopened().digest(), (5, shard.engine.digest().1));
}
