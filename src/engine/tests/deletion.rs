//! Deletions in slices, against the meaning of a filter, with writes, repetitions and restarts in between.

use std::collections::BTreeMap;

use proptest::prelude::*;
use raft_groups::mutants::{Mutant, plant};

use super::*;

impl Shard {
    fn put(&mut self, id: u64, colour: u64) {
        let payload = Payload::from(json!({"colour": colour}).as_object().unwrap());
        let vectors = BTreeMap::from([(String::new(), vec![1.0])]);
        let point = PointWrite { id: id.into(), vectors, payload, if_version: None };
        let command = Command::Upsert { collection: DOCS, request: None, points: vec![point] };
        assert!(matches!(self.run(&command), Reply::Upserted(_)));
    }

    fn restart(&mut self) {
        let digest = self.engine.digest();
        self.engine = self.reopened();
        assert_eq!(self.engine.digest(), digest);
    }

    fn count(&self, colour: u64) -> u64 {
        self.engine.count(&CountQuery { collection: DOCS, filter: Some(coloured(colour)) }).unwrap()
    }

    /// One step of a leader: finds, and proposes at most `most` of what it found. The reply, if that was asked.
    fn step(&mut self, deletion: &Deletion, progress: Progress, most: usize) -> Reply {
        let from = (progress.from, progress.begin);
        let found = self.engine.find_matches(DOCS, &deletion.filter, from, &Meter::unlimited()).unwrap().unwrap();
        assert!(found.found.is_sorted());
        let mut ids: Vec<PointId> = found.found.into_iter().map(|(id, _)| id).collect();
        let next = ids.get(most).copied().or(found.next);
        ids.truncate(most);
        let slice = deletion.slice(progress, ids, next);
        self.run_bytes(&slice)
    }

    /// Carries a deletion to its end.
    fn carry_out(&mut self, deletion: &Deletion) -> u64 {
        let mut reply = self.run_bytes(&deletion.begin());
        loop {
            reply = match reply {
                Reply::Deleting { begin, count, from } => self.step(deletion, Progress { begin, count, from }, 2),
                Reply::Deleted { count, .. } => return count,
                other => panic!("{other:?}"),
            }
        }
    }
}

fn coloured(colour: u64) -> Filter {
    Filter::parse(&json!({"must": [{"key": "colour", "match": {"value": colour}}]})).unwrap()
}

fn deletion(name: u128, colour: u64) -> Deletion {
    let (request, selector) = (Some(RequestId(Uuid::from_u128(name))), Selector::Filter(coloured(colour)));
    let command = Command::Delete { collection: DOCS, request, selector };
    let encoded = command.encode();
    Deletion::of(command, &encoded, || unreachable!("it has a name")).unwrap()
}

fn progress(reply: &Reply) -> Progress {
    match *reply {
        Reply::Deleting { begin, count, from } => Progress { begin, count, from },
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn all_that_matched_at_the_beginning_goes_and_is_counted_once() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    (1..=9).for_each(|id| shard.put(id, id % 2));
    assert_eq!(shard.carry_out(&deletion(7, 1)), 5);
    assert_eq!((shard.count(1), shard.count(0)), (0, 4));
    shard.put(1, 1);
    shard.restart();
    assert_eq!(shard.carry_out(&deletion(7, 1)), 5, "a repetition is told the same");
    assert_eq!(shard.count(1), 1, "and deletes nothing that was written since");
    assert_eq!(shard.run_bytes(&deletion(7, 0).begin()), Reply::Refused(Refusal::RequestReused));
}

/// What a leader began, another goes on with.
fn spares_what_is_newer() -> bool {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    (1..=6).for_each(|id| shard.put(id, 1));
    let deletion = deletion(7, 1);
    let begun = progress(&shard.run_bytes(&deletion.begin()));
    let stale = shard.engine.find_matches(DOCS, &deletion.filter, (None, begun.begin), &Meter::unlimited());
    let stale = stale.unwrap().unwrap();
    assert_eq!(progress(&shard.step(&deletion, begun, 2)).count, 2);
    // One of the deleted is written anew, another that is not deleted yet is replaced.
    shard.put(1, 1);
    shard.put(5, 1);
    shard.restart();
    // A copy of the first leader's slice, found before those writes, comes late.
    let late = deletion.slice(begun, stale.found.iter().map(|(id, _)| *id).collect(), None);
    let reply = shard.run_bytes(&late);
    reply == Reply::Deleted { count: 5, version: shard.index } && shard.count(1) == 2
}

#[test]
fn what_is_written_after_the_beginning_is_spared_whoever_goes_on() {
    assert!(spares_what_is_newer());
    let _planted = plant(Mutant::DeletesNewer);
    assert!(!spares_what_is_newer(), "the planted bug is seen");
}

#[test]
fn a_slice_does_nothing_without_its_beginning() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    shard.put(1, 1);
    let (deletion, other) = (deletion(7, 1), deletion(8, 1));
    let nowhere = Progress { begin: 3, count: 0, from: None };
    let expired = Reply::Refused(Refusal::RequestExpired);
    assert_eq!(shard.run_bytes(&deletion.slice(nowhere, vec![1.into()], None)), expired);
    let begun = progress(&shard.run_bytes(&deletion.begin()));
    let reused = Reply::Refused(Refusal::RequestReused);
    assert_eq!(shard.run_bytes(&deletion.slice(nowhere, vec![1.into()], None)), reused);
    assert_eq!(shard.run_bytes(&other.slice(begun, vec![1.into()], None)), expired);
    let gap = Progress { from: Some(9.into()), ..begun };
    assert_eq!(progress(&shard.run_bytes(&deletion.slice(gap, vec![], None))), begun, "a gap does not end it");
    let many = (0..=crate::model::limits::MAX_BATCH as u64).map(PointId::from).collect();
    assert!(matches!(shard.run_bytes(&deletion.slice(begun, many, None)), Reply::Refused(Refusal::Invalid { .. })));
    assert_eq!(shard.count(1), 1);
    assert_eq!(shard.carry_out(&deletion), 1);
    assert_eq!(
        shard.run_bytes(&deletion.slice(begun, vec![], None)),
        Reply::Deleted { count: 1, version: shard.index - 1 }
    );
}

#[test]
fn a_step_looks_at_so_many_points_and_says_where_it_stopped() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    (1..=9_000).for_each(|id| shard.put(id, u64::from(id > 8_990)));
    let (mut from, mut found, mut steps) = (None, Vec::new(), 0);
    loop {
        let step = shard.engine.find_matches(DOCS, &coloured(1), (from, u64::MAX), &Meter::unlimited());
        let step = step.unwrap().unwrap();
        (from, steps) = (step.next, steps + 1);
        found.extend(step.found.into_iter().map(|(id, _)| id));
        if from.is_none() {
            break;
        }
    }
    assert_eq!(found, (8_991..=9_000).map(PointId::from).collect::<Vec<_>>());
    assert_eq!(steps, 3, "each looks at some points");
}

#[test]
fn an_old_entry_with_a_filter_still_means_what_matches_when_it_is_applied() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    (1..=6).for_each(|id| shard.put(id, id % 2));
    let (request, selector) = (Some(RequestId(Uuid::from_u128(7))), Selector::Filter(coloured(1)));
    let old = Command::Delete { collection: DOCS, request, selector }.encode();
    assert_eq!(shard.run_bytes(&old), Reply::Deleted { count: 3, version: 8 });
    assert_eq!(
        shard.run_bytes(&deletion(7, 1).begin()),
        Reply::Deleted { count: 3, version: 8 },
        "and is the same request"
    );
}

#[derive(Debug, Clone)]
enum Act {
    Put(u64, u64),
    Begin(u128),
    Step(u128, usize),
    Restart,
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (1u64..12, 0u64..3).prop_map(|(id, colour)| Act::Put(id, colour)),
        2 => (0u128..3).prop_map(Act::Begin),
        6 => (0u128..3, 1usize..4).prop_map(|(name, most)| Act::Step(name, most)),
        1 => Just(Act::Restart),
    ]
}

proptest! {
    /// The model: a deletion takes what has its colour and was last written before it began, and counts what it takes.
    #[test]
    fn slices_between_any_writes_mean_what_the_model_means(acts in prop::collection::vec(acts(), 0..60)) {
        let mut shard = Shard::with_docs(1, Distance::Dot);
        let mut model = BTreeMap::<u64, (u64, u64)>::new();
        let mut begun = BTreeMap::<u128, (u64, Reply)>::new();
        for act in acts {
            match act {
                Act::Put(id, colour) => {
                    shard.put(id, colour);
                    model.insert(id, (colour, shard.index));
                }
                Act::Begin(name) => {
                    let reply = shard.run_bytes(&deletion(name, name as u64).begin());
                    let fresh = (shard.index, reply.clone());
                    let (begin, known) = begun.entry(name).or_insert(fresh).clone();
                    prop_assert_eq!(&reply, &known, "a repetition learns how far it is");
                    prop_assert!(begin <= shard.index);
                }
                Act::Step(name, most) => {
                    let Some((begin, Reply::Deleting { count, from, .. })) = begun.get(&name).cloned() else { continue };
                    let mut due: Vec<u64> = model.iter().filter(|(_, (colour, version))| *colour == name as u64 && *version <= begin).map(|(id, _)| *id).collect();
                    due.truncate(most);
                    let reply = shard.step(&deletion(name, name as u64), Progress { begin, count, from }, most);
                    model.retain(|id, _| !due.contains(id));
                    let now = match reply { Reply::Deleting { count, .. } | Reply::Deleted { count, .. } => count, ref other => panic!("{other:?}") };
                    prop_assert_eq!(now, count + due.len() as u64);
                    begun.insert(name, (begin, reply));
                }
                Act::Restart => shard.restart(),
            }
        }
        for colour in 0..3 {
            prop_assert_eq!(shard.count(colour), model.values().filter(|(of, _)| *of == colour).count() as u64);
        }
    }
}
