//! The map's machine: what it stores, refuses and survives.

use raft_groups::MemoryState;
use raft_groups::mutants::plant;

use super::*;
use crate::placement::tests::{map_of, vectors};

fn run(machine: &MetaMachine, state: &mut MemoryState, index: u64, command: MetaCommand) -> MetaReply {
    let mut changes = Changes::default();
    let at = Position { index, term: 1 };
    let reply = machine.apply(at, &command.encode(), &mut changes).unwrap();
    state.commit(&changes);
    MetaReply::decode(&reply).unwrap()
}

fn create(name: &str) -> MetaCommand {
    let (config, default_consistency) = (vectors(4), "quorum".to_owned());
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
