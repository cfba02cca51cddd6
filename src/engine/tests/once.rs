//! A named write is carried out once, however late its copies come and however much is written in between; a dropped
//! collection stays dropped.

use proptest::prelude::*;
use raft_groups::mutants::{Mutant, plant};

use super::*;
use crate::model::limits::{MAX_FORGOTTEN_AT_ONCE, REMEMBERED_MS};

const SECOND: u64 = 1_000;

fn lifetime(made_by: MadeBy, born_ms: u64, lasts_ms: u64) -> Option<Lifetime> {
    Some(Lifetime { made_by, born_ms, lasts_ms: lasts_ms as u32 })
}

fn write(request: u128, id: u64) -> Command {
    Command::Upsert { collection: DOCS, request: super::request(request), points: vec![point(id, &[1.0])] }
}

/// A copy of a write that is under way: it may arrive at any time, again and again.
#[derive(Debug, Clone)]
struct Copy {
    name: u128,
    lifetime: Lifetime,
}

#[derive(Debug, Clone)]
enum Step {
    /// Time passes.
    Pass(u64),
    /// A write is sent, by who knows the time of so long ago; it arrives, perhaps for the first time.
    Send { by_gateway: bool, known_ago: u64, waits: u64 },
    /// The client of the n-th name sends its write again.
    Retry(prop::sample::Index),
    /// A copy that was sent some time arrives.
    Arrive(prop::sample::Index),
    /// The replica starts anew from its records.
    Restart,
    /// Others write much.
    Others(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let any_index = any::<prop::sample::Index>;
    prop_oneof![
        3 => prop_oneof![0..30 * SECOND, 0..REMEMBERED_MS * 5 / 4].prop_map(Step::Pass),
        3 => (any::<bool>(), 0..180 * SECOND, SECOND..600 * SECOND)
            .prop_map(|(by_gateway, known_ago, waits)| Step::Send { by_gateway, known_ago, waits }),
        2 => any_index().prop_map(Step::Retry),
        4 => any_index().prop_map(Step::Arrive),
        1 => Just(Step::Restart),
        1 => (1u8..80).prop_map(Step::Others),
    ]
}

/// A shard beside what clients know.
struct World {
    shard: Shard,
    /// Sees the same commands and never starts anew.
    other: Shard,
    time_ms: u64,
    copies: Vec<Copy>,
    /// When each name's write was carried out last, and the answer.
    done: BTreeMap<u128, (u64, Reply)>,
    others: u128,
}

impl World {
    fn new() -> Self {
        let docs = || Shard::with_docs(1, Distance::Dot);
        let (done, others) = (BTreeMap::new(), 1 << 100);
        Self { shard: docs(), other: docs(), time_ms: 1, copies: Vec::new(), done, others }
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Pass(ms) => self.time_ms += ms,
            Step::Send { by_gateway, known_ago, waits } => {
                let name = self.copies.len() as u128;
                let made_by = if by_gateway { MadeBy::Gateway } else { MadeBy::Client };
                self.send(name, made_by, known_ago, waits)?;
            }
            Step::Retry(index) if !self.copies.is_empty() => {
                let Copy { name, lifetime } = index.get(&self.copies).clone();
                if lifetime.made_by == MadeBy::Client {
                    self.send(name, MadeBy::Client, 0, 10 * SECOND)?;
                }
            }
            Step::Arrive(index) if !self.copies.is_empty() => {
                let copy = index.get(&self.copies).clone();
                self.arrive(&copy)?;
            }
            Step::Retry(_) | Step::Arrive(_) => {}
            Step::Restart => {
                let reopened = self.shard.reopened();
                prop_assert_eq!(reopened.digest(), self.shard.engine.digest());
                self.shard.engine = reopened;
            }
            Step::Others(count) => {
                for _ in 0..count {
                    self.others += 1;
                    let lifetime = lifetime(MadeBy::Gateway, self.time_ms, 130 * SECOND);
                    self.run(&write(self.others, 7), lifetime)?;
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, name: u128, made_by: MadeBy, known_ago: u64, waits: u64) -> Result<(), TestCaseError> {
        let born_ms = self.time_ms.saturating_sub(known_ago).max(1);
        let lasts_ms = (self.time_ms - born_ms + waits + 120 * SECOND) as u32;
        let copy = Copy { name, lifetime: Lifetime { made_by, born_ms, lasts_ms } };
        self.copies.push(copy.clone());
        self.arrive(&copy)
    }

    /// A copy does what the write says if it did not before, and is told what it did; or it is too late.
    fn arrive(&mut self, copy: &Copy) -> Result<(), TestCaseError> {
        let reply = self.run(&write(copy.name, copy.name as u64), Some(copy.lifetime))?;
        let applied = reply == Reply::Upserted(vec![((copy.name as u64).into(), self.shard.index)]);
        let before = self.done.get(&copy.name).filter(|(at, _)| *at > 0);
        match before {
            Some((_, first)) if !applied => {
                let expired = self.time_ms > copy.lifetime.end_ms();
                prop_assert!(reply == *first || expired && reply == Reply::Refused(Refusal::RequestExpired));
            }
            Some((at, _)) => {
                prop_assert!(
                    copy.lifetime.born_ms > *at,
                    "a copy of a write that was carried out is carried out again"
                );
                prop_assert!(self.time_ms > at + REMEMBERED_MS, "a client's retry within the time that is promised");
            }
            None if self.time_ms > copy.lifetime.end_ms() => {
                prop_assert_eq!(&reply, &Reply::Refused(Refusal::RequestExpired));
            }
            None => prop_assert!(applied, "{reply:?}: it came in time, and was not carried out before"),
        }
        if applied {
            self.done.insert(copy.name, (self.time_ms, reply));
        }
        Ok(())
    }

    fn run(&mut self, command: &Command, lifetime: Option<Lifetime>) -> Result<Reply, TestCaseError> {
        let reply = self.shard.run_at(self.time_ms, lifetime, command);
        prop_assert_eq!(&reply, &self.other.run_at(self.time_ms, lifetime, command));
        prop_assert_eq!(self.shard.engine.digest(), self.other.engine.digest());
        Ok(reply)
    }
}

fn story(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut world = World::new();
    steps.into_iter().try_for_each(|step| world.take(step))
}

fn stories() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..60)
}

proptest! {
    #[test]
    fn each_copy_of_a_write_finds_what_it_did_or_comes_too_late(steps in stories()) {
        story(steps)?;
    }
}

/// The property above fails with the bug.
fn must_be_caught(mutant: Mutant) {
    let _planted = plant(mutant);
    // It is meant to fail: nothing of that is worth keeping, however the tests are started.
    let config = proptest::test_runner::Config { failure_persistence: None, max_shrink_iters: 0, ..Default::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    assert!(runner.run(&stories(), story).is_err(), "{mutant:?} is not caught");
}

#[test]
fn what_is_forgotten_early_is_caught() {
    must_be_caught(Mutant::ForgetsEarly);
}

#[test]
fn late_copies_that_are_taken_are_caught() {
    must_be_caught(Mutant::TakesLateCopies);
}

#[test]
fn requests_that_are_repeated_or_lost_with_a_restart_are_caught_here_too() {
    must_be_caught(Mutant::RepeatsRequests);
    must_be_caught(Mutant::ForgetsRequests);
}

#[test]
fn a_retry_gives_the_first_outcome_after_more_writes_than_used_to_be_remembered() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    let by_client = lifetime(MadeBy::Client, 1, 130 * SECOND);
    let first = shard.run_at(1, by_client, &write(1, 1));
    let newer = shard.run_at(2, lifetime(MadeBy::Client, 1, 130 * SECOND), &write(2, 1));
    assert_ne!(first, newer);
    for other in 0..16_500u128 {
        let time_ms = 3 + other as u64;
        shard.run_at(time_ms, lifetime(MadeBy::Gateway, time_ms, 130 * SECOND), &write(100 + other, 2));
    }
    let retry = lifetime(MadeBy::Client, 16_000, 130 * SECOND);
    assert_eq!(shard.run_at(16_600, retry, &write(1, 1)), first, "the newer write must not be undone");
}

#[test]
fn ids_that_gateways_made_go_with_their_writes_and_clients_ids_stay() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    let bytes = |shard: &Shard| shard.engine.memory_bytes();
    shard.upsert(vec![point(1, &[1.0])]);
    let without = bytes(&shard);
    shard.run_at(1, lifetime(MadeBy::Client, 1, SECOND), &write(1, 1));
    let with_one = bytes(&shard);
    for other in 0..200 {
        shard.run_at(2, lifetime(MadeBy::Gateway, 1, 130 * SECOND), &write(100 + other, 1));
    }
    // Whatever is written from then on, some of them are forgotten each time.
    let later = 140 * SECOND;
    for _ in 0..=200 / MAX_FORGOTTEN_AT_ONCE {
        shard.run_at(later, None, &Command::Upsert { collection: DOCS, request: None, points: vec![point(1, &[1.0])] });
    }
    assert_eq!(bytes(&shard), with_one);
    shard.run_at(REMEMBERED_MS + 2, None, &Command::DropCollection { collection: CollectionId(9) });
    assert!(with_one > without);
    assert_eq!(bytes(&shard), without);
}

#[test]
fn time_never_goes_back_and_old_entries_do_not_move_it() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    shard.run_at(5_000, None, &write(1, 1));
    shard.run_at(4_000, None, &write(2, 1));
    shard.run(&write(3, 1));
    assert_eq!((shard.engine.time_ms(), shard.reopened().time_ms()), (5_000, 5_000));
    assert_eq!(shard.reopened().digest(), shard.engine.digest());
}

#[test]
fn a_collection_that_was_dropped_is_not_made_again_however_late_it_is_asked_for() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    let (config, late) = (CollectionConfig::single(1, Distance::Dot), CollectionId(4));
    let create = |collection| Command::CreateCollection { collection, config: config.clone() };
    // One that it had, and one that it is told of only after the drop.
    for collection in [DOCS, late] {
        assert_eq!(shard.run(&Command::DropCollection { collection }), Reply::Dropped);
        let refused = Reply::Refused(Refusal::CollectionDropped { collection });
        assert_eq!(shard.run(&create(collection)), refused);
        shard.engine = shard.reopened();
        assert_eq!(shard.run(&create(collection)), refused, "after a restart");
    }
    assert_eq!(shard.run(&create(CollectionId(5))), Reply::Created);
    let _planted = plant(Mutant::ForgetsDrops);
    assert_eq!(shard.run(&create(late)), Reply::Created, "the bug is a zombie");
}

#[test]
fn ranges_are_retired_only_where_nothing_is_in_them() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    let retire = |first, last| Command::RetireCollections { first: CollectionId(first), last: CollectionId(last) };
    let here = Reply::Refused(Refusal::CollectionDiffers { collection: DOCS });
    assert_eq!(shard.run(&retire(0, 5)), here);
    assert!(matches!(shard.run(&retire(5, 4)), Reply::Refused(Refusal::Invalid { .. })));
    assert_eq!(shard.run(&retire(2, 1 << 40)), Reply::Dropped);
    assert_eq!(shard.run(&Command::DropCollection { collection: DOCS }), Reply::Dropped);
    let all = [(DOCS, CollectionId(1 << 40))];
    assert_eq!((shard.engine.dropped(), shard.reopened().dropped()), (all.to_vec(), all.to_vec()));
    assert_eq!(shard.reopened().digest(), shard.engine.digest());
}
