//! Every planted bug is caught, by the checker that is meant to catch it, within a stated number of seeds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::coverage::Coverage;
use super::{Mischief, for_all, run};
use crate::ReadMode;
use crate::mutants::{Mutant, plant};
use crate::tests::kit::{Order, others, settings, simulate, soon, start, write_somewhere};

/// What clients see.
const CLIENTS: [&str; 3] = ["linearizability", "set", "session"];

/// The first of `seeds` seeds at which one of these checkers finds something.
fn first_caught(seeds: u64, checkers: &[&str], run: impl Fn(u64) -> Vec<(&'static str, String)> + Sync) -> Option<u64> {
    let first = AtomicU64::new(u64::MAX);
    for_all(1..1 + seeds, |seed| {
        if first.load(Ordering::Relaxed) > seed && run(seed).iter().any(|(checker, _)| checkers.contains(checker)) {
            first.fetch_min(seed, Ordering::Relaxed);
        }
    });
    Some(first.into_inner()).filter(|first| *first < u64::MAX)
}

fn must_be_caught(mutant: Mutant, seeds: u64, checkers: &[&str]) {
    let caught = first_caught(seeds, checkers, |seed| {
        let _planted = plant(mutant);
        run(seed, Mischief::default()).judged().problems
    });
    println!("{mutant:?}: caught at seed {caught:?} of {seeds} by one of {checkers:?}");
    assert!(caught.is_some(), "{mutant:?} is not caught by {checkers:?} in {seeds} seeds");
}

#[test]
fn syncs_that_do_nothing() {
    must_be_caught(Mutant::SkipsSync, 10, &["invariant"]);
}

#[test]
fn one_replica_answering_for_all() {
    must_be_caught(Mutant::OneForAll, 5, &CLIENTS);
}

#[test]
fn leases_that_are_taken_for_granted() {
    must_be_caught(Mutant::LeaseUnchecked, 100, &CLIENTS);
}

#[test]
fn confirmations_without_a_round() {
    must_be_caught(Mutant::NoReadRound, 20, &CLIENTS);
}

/// Seen in the moment between an election and its first commit only, so it takes some seeds.
#[test]
fn reads_before_an_entry_of_the_own_term() {
    must_be_caught(Mutant::ReadsTooEarly, 200, &CLIENTS);
}

/// openraft notices that a follower lacks what it is said to have, and gives up; or it does not, and entries are lost.
#[test]
fn commits_by_a_minority() {
    must_be_caught(Mutant::SilenceIsConsent, 60, &["invariant", "stop"]);
}

/// What an older copy has forgotten is voted for, acknowledged or shown anew; or it is not refused, which is wrong by
/// itself.
#[test]
fn older_copies_that_take_part() {
    must_be_caught(Mutant::IgnoresLives, 100, &["lives", "invariant", "linearizability", "session"]);
}

#[test]
fn forgotten_votes() {
    must_be_caught(Mutant::ForgetsVotes, 20, &["invariant"]);
}

/// Both followers' disks are slow as a write comes, and they lose their power soon after, while the leader is cut off.
/// Returns `true` if the write was acknowledged and is gone.
async fn acknowledged_and_lost(seed: u64) -> bool {
    let mut cluster = start(seed, 3, settings()).await;
    let leader = write_somewhere(&cluster, &[], 1).await;
    let followers = others(&cluster, leader);
    followers.iter().for_each(|id| cluster.node(*id).log.slow_down(Duration::from_secs(5)));
    let write = Order::set("x", 2).encode();
    let within = Instant::now() + Duration::from_millis(100);
    let acknowledged = cluster.group(leader).expect("runs").write(write, within).await.is_ok();
    cluster.net.isolate(leader, followers.iter().copied());
    for id in &followers {
        cluster.crash(*id).await;
        cluster.node(*id).log.slow_down(Duration::ZERO);
    }
    for id in &followers {
        cluster.restart(*id).await.expect("a crash damages nothing");
    }
    let group = cluster.group(followers[0]).expect("runs");
    while group.read(ReadMode::Linearizable, soon()).await.is_err() {
        sleep(Duration::from_millis(20)).await;
    }
    acknowledged && group.machine().get("x") != Some(2)
}

#[test]
fn acknowledgements_before_the_sync() {
    let lost = |seed| simulate(acknowledged_and_lost(seed));
    assert!(!(0..20).any(lost), "an acknowledged write is lost");
    let _planted = plant(Mutant::AcksTooEarly);
    assert!((0..20).any(lost), "early acknowledgements lose nothing in 20 seeds, so nothing shows that they are not");
}

#[test]
fn deletions_that_are_not_stored() {
    must_be_caught(Mutant::LosesDeletes, 10, &["invariant", "replicas"]);
}

/// The group that saw its store fail stops; another one on the same store would go on, with a hole in its state.
#[test]
fn stores_that_are_believed_after_a_failure() {
    must_be_caught(Mutant::BelievesFailedStores, 200, &["second group", "invariant", "replicas"]);
}

#[test]
fn erasures_that_take_the_next_group_with_them() {
    must_be_caught(Mutant::ErasesNeighbours, 60, &["second group", "invariant", "recovery", "stop"]);
}

#[test]
fn checksums_that_are_not_compared() {
    must_be_caught(Mutant::TrustsDamage, 30, &["damage"]);
}

#[test]
fn snapshots_over_old_keys() {
    must_be_caught(Mutant::KeepsOldKeys, 20, &["invariant", "replicas"]);
}

/// The order of a hash map on the wire shows as two runs of one seed that differ.
#[test]
fn pairs_in_the_order_of_a_hash_map() {
    let parted = for_all(1..11, |seed| {
        let _planted = plant(Mutant::ShufflesPairs);
        let trace = || run(seed, Mischief::default()).trace_hash();
        trace() != trace()
    });
    assert!(parted.values().any(|parted| *parted), "10 seeds run the same twice though hash maps have their say");
}

/// A harness that takes a lost reply for a refusal finds reads of what it believes was never written.
#[test]
fn unknown_outcomes_written_down_as_failures() {
    let caught = first_caught(5, &CLIENTS, |seed| run(seed, Mischief { lies: true, idle: false }).judged().problems);
    assert!(caught.is_some(), "lies about outcomes are not caught in 5 seeds");
}

#[test]
fn a_nemesis_that_does_nothing() {
    let mut coverage = Coverage::default();
    for outcome in for_all(1..11, |seed| run(seed, Mischief { lies: false, idle: true })).into_values() {
        assert_eq!(outcome.problems, [], "nothing was done, and something is wrong");
        coverage.merge(&outcome.coverage);
    }
    assert!(coverage.missing().len() > 5, "runs without faults cover all but {:?}", coverage.missing());
}
