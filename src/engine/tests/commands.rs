//! What commands do and what they are refused for.

use raft_groups::mutants::{Mutant, plant};

use super::*;

fn mismatch(reply: Reply) -> (usize, PointId, u64, u64) {
    match reply {
        Reply::Refused(Refusal::VersionMismatch { position, id, expected, current }) => {
            (position, id, expected, current)
        }
        other => panic!("{other:?}"),
    }
}

fn guarded(id: u64, if_version: u64) -> PointWrite {
    PointWrite { if_version: Some(if_version), ..point(id, &[1.0]) }
}

#[test]
fn creating_and_dropping_are_idempotent() {
    let mut shard = Shard::with_docs(2, Distance::Dot);
    let create =
        |size| Command::CreateCollection { collection: DOCS, config: CollectionConfig::single(size, Distance::Dot) };
    assert_eq!(shard.run(&create(2)), Reply::Created);
    assert_eq!(shard.run(&create(3)), Reply::Refused(Refusal::CollectionDiffers { collection: DOCS }));
    shard.upsert(vec![point(1, &[1.0, 2.0])]);
    for _ in 0..2 {
        assert_eq!(shard.run(&Command::DropCollection { collection: DOCS }), Reply::Dropped);
    }
    let unknown = Refusal::CollectionNotFound { collection: DOCS };
    assert_eq!(shard.upsert(vec![point(1, &[1.0, 2.0])]), Reply::Refused(unknown.clone()));
    assert_eq!(shard.engine.search(&nearest(&[1.0, 2.0], 1)), Err(unknown));
    assert_eq!(shard.engine.points(), 0);
    let mut never = Shard::new();
    never.run(&Command::DropCollection { collection: DOCS });
    assert_eq!(shard.engine.digest().1, never.engine.digest().1, "all that is left is that it was dropped");
}

#[test]
fn a_drop_is_a_small_change_and_its_points_are_erased_beside_the_commands_that_follow() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    shard.upsert((0..2_000).map(|id| point(id, &[1.0])).collect());
    shard.index += 1;
    let mut changes = Changes::default();
    let drop = Command::DropCollection { collection: DOCS }.encode();
    shard.engine.apply(Position { index: shard.index, term: 1 }, &drop, &mut changes).unwrap();
    assert!(changes.iter().count() < 5, "{} records change", changes.iter().count());
    shard.state.commit(&changes);
    // A start in between finds the same state, and what is left to be erased.
    let reopened = shard.reopened();
    assert_eq!((reopened.digest(), reopened.points()), (shard.engine.digest(), 0));
    assert_eq!(reopened.take_garbage().keys.len(), 1);
    assert_eq!((shard.clear_away(), shard.clear_away()), (2_000, 0), "it is given out once");
    let reopened = shard.reopened();
    assert_eq!((reopened.digest(), reopened.take_garbage().keys.len()), (shard.engine.digest(), 0));
}

#[test]
fn a_batch_gets_the_version_of_its_entry() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    let reply = shard.upsert(vec![point(1, &[1.0]), point(2, &[2.0])]);
    assert_eq!(reply, Reply::Upserted(vec![(PointId::Num(1), 2), (PointId::Num(2), 2)]));
    assert_eq!(
        shard.delete(Selector::Ids(vec![1.into(), 9.into(), 1.into()])),
        Reply::Deleted { count: 1, version: 3 }
    );
    assert_eq!(shard.engine.points(), 1);
}

#[test]
fn one_mismatch_refuses_the_whole_batch() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    shard.upsert(vec![guarded(1, 0)]);
    let before = shard.engine.digest().1;
    assert_eq!(mismatch(shard.upsert(vec![point(5, &[1.0]), guarded(1, 0)])), (1, 1.into(), 0, 2));
    assert_eq!(mismatch(shard.upsert(vec![guarded(7, 2)])), (0, 7.into(), 2, 0));
    assert_eq!(mismatch(shard.delete(Selector::Guarded(vec![(1.into(), 2), (5.into(), 1)]))), (1, 5.into(), 1, 0));
    assert_eq!((shard.engine.points(), shard.engine.digest().1), (1, before));
    assert!(matches!(shard.upsert(vec![guarded(1, 2)]), Reply::Upserted(_)));
    assert_eq!(
        shard.delete(Selector::Guarded(vec![(1.into(), 6), (5.into(), 0)])),
        Reply::Deleted { count: 1, version: 7 }
    );
}

#[test]
fn deleting_by_filter_takes_what_matches_now() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    let coloured = |id, colour: &str| PointWrite { payload: payload(json!({"colour": colour})), ..point(id, &[1.0]) };
    shard.upsert(vec![coloured(1, "red"), coloured(2, "blue"), coloured(3, "red")]);
    let red = filter(json!({"must": [{"key": "colour", "match": {"value": "red"}}]}));
    assert_eq!(shard.delete(Selector::Filter(red.clone())), Reply::Deleted { count: 2, version: 3 });
    assert_eq!(shard.delete(Selector::Filter(red)), Reply::Deleted { count: 0, version: 4 });
    assert_eq!(contents(&shard.engine, DOCS).len(), 1);
}

#[test]
fn a_repeated_request_is_answered_and_not_carried_out() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    let write = Command::Upsert { collection: DOCS, request: request(7), points: vec![guarded(1, 0)] };
    let first = shard.run(&write);
    assert_eq!(first, Reply::Upserted(vec![(1.into(), 2)]));
    shard.delete(Selector::Ids(vec![1.into()]));
    let before = shard.engine.digest().1;
    assert_eq!(shard.run(&write), first);
    assert_eq!((shard.engine.points(), shard.engine.digest().1), (0, before));
    let other = Command::Upsert { collection: DOCS, request: request(7), points: vec![guarded(2, 0)] };
    assert_eq!(shard.run(&other), Reply::Refused(Refusal::RequestReused));
    let delete = Command::Delete { collection: DOCS, request: request(7), selector: Selector::Ids(vec![1.into()]) };
    assert_eq!(shard.run(&delete), Reply::Refused(Refusal::RequestReused));
}

#[test]
fn a_refused_request_stays_refused_where_the_refusal_was_final() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    let write = Command::Upsert { collection: DOCS, request: request(7), points: vec![guarded(1, 5)] };
    let first = shard.run(&write);
    assert_eq!(mismatch(first.clone()), (0, 1.into(), 5, 0));
    shard.upsert(vec![point(2, &[1.0])]);
    shard.upsert(vec![point(3, &[1.0])]);
    shard.upsert(vec![point(1, &[1.0])]);
    assert_eq!(
        shard
            .engine
            .get(&GetQuery {
                collection: DOCS,
                ids: vec![1.into()],
                with_payload: PayloadSelector::None,
                with_vector: VectorSelector::None
            })
            .unwrap()[0]
            .version,
        5
    );
    assert_eq!(shard.run(&write), first, "the client was told no");
    // A shard that has not heard of a collection yet is asked again under the same request id.
    let late = CollectionId(2);
    let write = Command::Upsert { collection: late, request: request(8), points: vec![point(1, &[1.0])] };
    assert_eq!(shard.run(&write), Reply::Refused(Refusal::CollectionNotFound { collection: late }));
    shard.run(&Command::CreateCollection { collection: late, config: CollectionConfig::single(1, Distance::Dot) });
    assert!(matches!(shard.run(&write), Reply::Upserted(_)));
}

#[test]
fn a_command_that_cannot_be_read_is_refused() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    let before = shard.engine.digest().1;
    for garbage in
        [&b""[..], b"\0", b"\x02\xff\xff\xff", &[1, 99], &[1, 2, 1, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]]
    {
        assert!(matches!(shard.run_bytes(garbage), Reply::Refused(Refusal::Undecodable { .. })), "{garbage:?}");
    }
    assert_eq!(shard.engine.digest(), (shard.index, before));
}

#[test]
fn an_entry_of_a_newer_release_stops_the_group_and_is_never_answered() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    let command = Command::DropCollection { collection: DOCS }.encode();
    let newer = [&[command[0] + 1][..], &command[1..]].concat();
    let lifetime = Some(Lifetime::unborn(MadeBy::Client));
    let framed = |lifetime| Entry { time_ms: 7, lifetime, command: &newer }.encode().to_vec();
    let frame = [&[5][..], &[0; 30]].concat();
    for entry in [framed(None), framed(lifetime), frame] {
        let (at, mut changes) = (Position { index: shard.index + 1, term: 1 }, Changes::default());
        let stopped = shard.engine.apply(at, &entry, &mut changes).unwrap_err();
        assert!(stopped.to_string().contains("written by a newer Quiver: upgrade this node"), "{stopped}");
        assert_eq!((changes.iter().count(), shard.engine.digest().0), (0, 1), "nothing is changed");
        let _planted = plant(Mutant::AnswersNewerEntries);
        assert!(shard.engine.apply(at, &entry, &mut changes).is_ok(), "the planted bug answers it");
        shard = Shard::with_docs(1, Distance::Dot);
    }
}

#[test]
fn an_index_that_does_not_grow_stops_the_group() {
    let shard = Shard::with_docs(1, Distance::Dot);
    let command = Command::DropCollection { collection: DOCS }.encode();
    let again = shard.engine.apply(Position { index: 1, term: 1 }, &command, &mut Changes::default());
    assert!(again.is_err());
    assert_eq!(shard.engine.collections().len(), 1);
}

#[test]
fn a_panic_while_deciding_is_one_refusal_on_every_replica_and_all_go_on() {
    for (mutant, deletes_only) in [(Mutant::PanicsDeciding, false), (Mutant::PanicsOnDeletes, true)] {
        let mut replicas = [Shard::with_docs(1, Distance::Dot), Shard::with_docs(1, Distance::Dot)];
        replicas.iter_mut().for_each(|shard| drop(shard.upsert(vec![guarded(1, 0)])));
        let digests = |replicas: &[Shard; 2]| [replicas[0].engine.digest(), replicas[1].engine.digest()];
        let before = digests(&replicas)[0].1;
        let planted = plant(mutant);
        for shard in &mut replicas {
            let delete = shard.delete(Selector::Ids(vec![1.into()]));
            assert_eq!(delete, Reply::Refused(Refusal::Undecided));
            assert_eq!((shard.engine.digest(), shard.reopened().digest().1), ((shard.index, before), before));
        }
        for shard in &mut replicas {
            let write = Command::Upsert { collection: DOCS, request: request(1), points: vec![guarded(2, 0)] };
            let taken = matches!(shard.run(&write), Reply::Upserted(_));
            assert_eq!(taken, deletes_only, "one kind of input fails, the others go on");
        }
        drop(planted);
        for shard in &mut replicas {
            assert!(matches!(shard.delete(Selector::Ids(vec![1.into()])), Reply::Deleted { count: 1, .. }));
            assert_eq!(shard.reopened().digest(), shard.engine.digest());
        }
        assert_eq!(digests(&replicas)[0], digests(&replicas)[1]);
    }
}
