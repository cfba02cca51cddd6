//! The map's machine: what it stores, refuses and survives.

use raft_groups::MemoryState;
use raft_groups::mutants::plant;

use super::*;
use crate::engine::{Lifetime, MadeBy};
use crate::model::Consistency;
use crate::placement::MAX_REMEMBERED_CHANGES;
use crate::placement::tests::{map_of, vectors};

fn run(machine: &MetaMachine, state: &mut MemoryState, index: u64, command: MetaCommand) -> MetaReply {
    let mut changes = Changes::default();
    let at = Position { index, term: 1 };
    let reply = machine.apply(at, &command.encode(), &mut changes).unwrap();
    state.commit(&changes);
    MetaReply::decode(&reply).unwrap()
}

fn create(name: &str) -> MetaCommand {
    let (config, default_consistency) = (vectors(4), Consistency::Quorum);
    MetaCommand::CreateCollection { name: name.to_owned(), config, default_consistency }
}

#[test]
fn what_is_stored_opens_as_the_same_map() {
    let mut state = MemoryState::default();
    let machine = MetaMachine::open(&(), &state).unwrap();
    assert_eq!(machine.digest(), (0, 0));
    run(&machine, &mut state, 3, MetaCommand::Form { map: map_of(3, 8, 3) });
    run(&machine, &mut state, 4, create("docs"));
    let MetaReply::Created { entry } = run(&machine, &mut state, 5, create("temp")) else {
        panic!("a new name is created");
    };
    let drop = MetaCommand::DropCollection { name: "temp".to_owned(), id: entry.id };
    run(&machine, &mut state, 7, drop);
    let again = MetaMachine::open(&(), &state).unwrap();
    assert_eq!(again.map(), machine.map());
    assert_eq!(again.digest(), machine.digest());
    assert_eq!(again.digest().0, 7);
}

#[test]
fn a_refusal_changes_nothing() {
    let mut state = MemoryState::default();
    let machine = MetaMachine::open(&(), &state).unwrap();
    assert_eq!(run(&machine, &mut state, 1, create("docs")), MetaReply::NotFormed);
    assert_eq!(machine.digest(), (0, 0));
}

#[test]
fn a_flipped_bit_is_found() {
    let mut changes = Changes::default();
    let mut record = seal(&Head { map: map_of(1, 1, 1), index: 1 });
    record[9] ^= 1;
    changes.put(HEAD, record);
    let mut state = MemoryState::default();
    state.commit(&changes);
    let error = MetaMachine::open(&(), &state).err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[test]
fn bytes_of_a_newer_version_stop_the_group() {
    let machine = MetaMachine::open(&(), &MemoryState::default()).unwrap();
    let at = Position { index: 1, term: 1 };
    let stopped = machine.apply(at, &[9, 9], &mut Changes::default()).unwrap_err();
    assert!(stopped.to_string().contains("upgrade this node"), "{stopped}");
}

#[test]
fn bytes_that_are_no_command_are_refused_and_the_group_goes_on() {
    let mut state = MemoryState::default();
    let machine = MetaMachine::open(&(), &state).unwrap();
    run(&machine, &mut state, 1, MetaCommand::Form { map: map_of(3, 8, 3) });
    let before = machine.digest();
    for garbage in [&b""[..], &[0, 0], &[2, 99], &[2], &[2, 1, 255, 255, 255, 255, 15]] {
        let mut changes = Changes::default();
        let reply = machine.apply(Position { index: 2, term: 1 }, garbage, &mut changes).unwrap();
        assert!(matches!(MetaReply::decode(&reply), Ok(MetaReply::Undecodable { .. })), "{garbage:?}");
        assert!(changes.is_empty());
    }
    assert_eq!(machine.digest(), before);
    assert!(matches!(run(&machine, &mut state, 3, create("docs")), MetaReply::Created { .. }));
}

#[test]
fn a_panic_while_deciding_is_a_refusal_that_changes_nothing() {
    let mut state = MemoryState::default();
    let machine = MetaMachine::open(&(), &state).unwrap();
    run(&machine, &mut state, 1, MetaCommand::Form { map: map_of(3, 8, 3) });
    let before = machine.digest();
    let planted = plant(Mutant::PanicsDeciding);
    assert_eq!(run(&machine, &mut state, 2, create("docs")), MetaReply::Undecided);
    drop(planted);
    assert_eq!(machine.digest(), before);
    assert_eq!(MetaMachine::open(&(), &state).unwrap().digest(), before);
    assert!(matches!(run(&machine, &mut state, 3, create("docs")), MetaReply::Created { .. }));
}

fn once(machine: &MetaMachine, state: &mut MemoryState, at: (u64, u64), born_ms: u64, id: u128) -> MetaReply {
    let change = create("docs").encode();
    let command = MetaCommand::Once { request: RequestId(Uuid::from_u128(id)), change }.encode();
    let lifetime = Some(Lifetime { made_by: MadeBy::Gateway, born_ms, lasts_ms: 1_000 });
    let mut changes = Changes::default();
    let entry = Entry { time_ms: at.1, lifetime, command: &command }.encode();
    let reply = machine.apply(Position { index: at.0, term: 1 }, &entry, &mut changes).unwrap();
    state.commit(&changes);
    MetaReply::decode(&reply).unwrap()
}

#[test]
fn a_change_is_answered_as_before_until_it_is_too_late_for_it() {
    let mut state = MemoryState::default();
    let machine = MetaMachine::open(&(), &state).unwrap();
    run(&machine, &mut state, 1, MetaCommand::Form { map: map_of(1, 1, 1) });
    let first = once(&machine, &mut state, (2, 500), 400, 7);
    let MetaReply::Created { entry } = first.clone() else { panic!("a new name is created") };
    run(&machine, &mut state, 3, MetaCommand::DropCollection { name: "docs".to_owned(), id: entry.id });
    assert_eq!(once(&machine, &mut state, (4, 1_400), 400, 7), first, "what was lost is told again");
    let machine = MetaMachine::open(&(), &state).unwrap();
    assert_eq!(once(&machine, &mut state, (5, 1_400), 400, 7), first, "after a restart");
    assert_eq!(once(&machine, &mut state, (6, 1_401), 400, 7), MetaReply::Expired);
    assert!(machine.map().collections.is_empty(), "what was dropped stays dropped");
    assert!(matches!(once(&machine, &mut state, (7, 1_402), 1_402, 8), MetaReply::Created { .. }));
    let again = MetaMachine::open(&(), &state).unwrap();
    assert_eq!((again.digest(), again.time_ms()), (machine.digest(), 1_402));
}

#[test]
fn no_more_changes_are_remembered_than_the_limit_and_none_is_forgotten_early() {
    let mut state = MemoryState::default();
    let machine = MetaMachine::open(&(), &state).unwrap();
    run(&machine, &mut state, 1, MetaCommand::Form { map: map_of(1, 1, 1) });
    let limit = MAX_REMEMBERED_CHANGES as u64;
    let first = once(&machine, &mut state, (2, 500), 400, 0);
    for id in 1..limit {
        assert!(matches!(once(&machine, &mut state, (2 + id, 500), 400, id.into()), MetaReply::Exists { .. }));
    }
    let full = once(&machine, &mut state, (3 + limit, 500), 400, limit.into());
    assert_eq!(full, MetaReply::TooManyChanges { limit });
    assert_eq!(once(&machine, &mut state, (4 + limit, 500), 400, 0), first);
    let later = once(&machine, &mut state, (5 + limit, 1_500), 1_400, limit.into());
    assert!(matches!(later, MetaReply::Exists { .. }), "room is made in time");
}

#[test]
fn a_change_inside_a_named_change_is_no_change() {
    let machine = MetaMachine::open(&(), &MemoryState::default()).unwrap();
    let named = |change| MetaCommand::Once { request: RequestId(Uuid::nil()), change }.encode();
    let mut bytes = named(create("docs").encode());
    for _ in 0..3 {
        bytes = named(bytes);
    }
    let mut changes = Changes::default();
    let reply = machine.apply(Position { index: 1, term: 1 }, &bytes, &mut changes).unwrap();
    assert_eq!(MetaReply::decode(&reply).unwrap(), MetaReply::NotFormed);
}
