//! Lease reads of a leader whose clock is slow. Within the stated bound no read is stale; outside of it some are.
//!
//! A leader uses four fifths of the promise of its followers, so no follower's clock may run more than a quarter
//! faster than the leader's. At rates of 0.8 and above no lease read can be stale, whatever the elections do.
//!
//! The same holds if nodes have different settings, as while an operator changes them node by node. A follower
//! promises what its leader asks, and a restart waits out what was promised before.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::for_all;
use crate::mutants::{Mutant, plant};
use crate::sim::SimPlan;
use crate::tests::kit::{Cluster, Order, later, others, simulate, soon, write_somewhere};
use crate::{RaftSettings, ReadMode, Role};

/// The slowest clock of a leader, against its followers' clocks, under which lease reads are never stale.
const BOUND: f64 = 0.8;

/// Followers elect soon after their promise ends, so the promise is nearly all that protects the old leader's reads.
fn settings() -> RaftSettings {
    RaftSettings {
        heartbeat: Duration::from_millis(30),
        election_min: Duration::from_millis(90),
        election_max: Duration::from_millis(600),
        ..RaftSettings::default()
    }
}

/// [`settings`], but followers campaign as soon as possible after their promise. Only the promise separates the old
/// leader's reads from a new leader's writes.
fn eager_settings() -> RaftSettings {
    RaftSettings { heartbeat: Duration::from_millis(10), election_min: Duration::from_millis(30), ..settings() }
}

/// Runs a leader whose clock has this `rate`. It is cut off, and the others elect a leader, which takes a write.
/// Returns how many lease reads of the old leader are stale.
async fn stale_reads(seed: u64, rate: f64) -> usize {
    let clock_rates = [(1, rate)].into();
    let plan = SimPlan { clock_rates, ..SimPlan::new(seed, 3, eager_settings()) };
    let cluster = Cluster::start(plan).await.expect("starts");
    stale_at_first(&cluster, seed, settings().election_max * 4).await
}

/// Makes node 1 lead, and cuts it off. The others must elect a leader within `patience`, which takes a write.
/// Returns how many lease reads of the old leader are stale.
async fn stale_at_first(cluster: &Cluster, seed: u64, patience: Duration) -> usize {
    let slow = cluster.group(1).expect("runs");
    while write_somewhere(cluster, &[], 1).await != 1 {
        let leader = cluster.leader().and_then(|leader| cluster.group(leader));
        if let Some(leader) = leader {
            leader.transfer_leader(1).await.expect("runs");
        }
        sleep(Duration::from_millis(100)).await;
    }
    slow.read(ReadMode::Lease, later()).await.expect("a leader with a majority");
    cluster.net.isolate(1, others(cluster, 1));
    let (cut, mut stale, mut written) = (Instant::now(), 0, false);
    while cut.elapsed() < patience {
        let leads = |(id, group): &(u64, &crate::Group<_>)| *id != 1 && group.status().role == Role::Leader;
        if let Some((_, new)) = cluster.groups().find(leads).filter(|_| !written) {
            written = new.write(Order::set("x", 2).encode(), soon()).await.is_ok();
        }
        // A read is stale if it sees the old value after the new one was acknowledged.
        let served = slow.read(ReadMode::Lease, soon()).await.is_ok();
        stale += usize::from(written && served && slow.machine().get("x") == Some(1));
        sleep(Duration::from_millis(5)).await;
    }
    assert!(written, "seed {seed}: nobody was elected in place of the old leader");
    stale
}

fn stale_in_all(rate: f64, seeds: u64) -> usize {
    for_all(0..seeds, |seed| simulate(stale_reads(seed, rate))).values().sum()
}

#[test]
fn lease_reads_are_never_stale_within_the_bound_on_clock_rates() {
    for rate in [1.0, 0.9, BOUND] {
        assert_eq!(stale_in_all(rate, 40), 0, "stale lease reads of a leader whose clock runs at {rate}");
    }
    let mutant = |seed| {
        let _bug = plant(Mutant::LeaseIsPromise);
        simulate(stale_reads(seed, BOUND))
    };
    assert!((0..40).any(|seed| mutant(seed) > 0), "the margin of the lease is not what the bound rests on");
}

#[test]
fn lease_reads_of_a_leader_at_half_rate_are_seen_to_be_stale() {
    let stale = stale_in_all(0.5, 40);
    println!("{stale} stale lease reads in 40 runs at half rate");
    assert!(stale > 0, "the test above would not see a stale read either");
}

/// Long timeouts. Followers with short ones would elect another leader long before the lease of such a leader ends.
fn slow_settings() -> RaftSettings {
    RaftSettings { election_min: Duration::from_millis(1000), election_max: Duration::from_millis(2000), ..settings() }
}

async fn stale_under_mixed_settings(seed: u64) -> usize {
    let own_settings = [(1, slow_settings())].into();
    let cluster = Cluster::start(SimPlan { own_settings, ..SimPlan::new(seed, 3, settings()) }).await.expect("starts");
    stale_at_first(&cluster, seed, slow_settings().election_max * 4).await
}

/// All nodes have long timeouts. While the leader is cut off, the others restart with short ones. Returns how many
/// lease reads of the old leader are stale.
async fn stale_after_a_change_of_settings(seed: u64) -> usize {
    let mut cluster = Cluster::start(SimPlan::new(seed, 3, slow_settings())).await.expect("starts");
    let old = write_somewhere(&cluster, &[], 1).await;
    let leader = cluster.group(old).expect("runs");
    leader.wait_applied_everywhere(leader.status().applied, later()).await.expect("all have it");
    leader.read(ReadMode::Lease, later()).await.expect("a leader with a majority");
    let cut = Instant::now();
    cluster.net.isolate(old, others(&cluster, old));
    for id in others(&cluster, old) {
        cluster.set_settings(id, settings());
        cluster.crash(id).await;
    }
    // The restarted nodes must wait for the long promise, whatever their new settings.
    let (mut stale, mut written) = (0, false);
    for id in others(&cluster, old) {
        cluster.restart(id).await.expect("restarts");
    }
    while cut.elapsed() < slow_settings().election_max * 4 {
        let new = cluster.groups().find(|(id, group)| *id != old && group.status().role == Role::Leader);
        if let Some((_, new)) = new.filter(|_| !written) {
            written = new.write(Order::set("x", 2).encode(), soon()).await.is_ok();
        }
        let served = leader.read(ReadMode::Lease, soon()).await.is_ok();
        stale += usize::from(written && served && leader.machine().get("x") == Some(1));
        sleep(Duration::from_millis(5)).await;
    }
    assert!(written, "seed {seed}: nobody was elected in place of the old leader");
    stale
}

#[test]
fn lease_reads_are_never_stale_under_mixed_settings() {
    let stale =
        |seeds| -> usize { for_all(0..seeds, |seed| simulate(stale_under_mixed_settings(seed))).values().sum() };
    assert_eq!(stale(40), 0);
    let mutant = |seed| {
        let _bug = plant(Mutant::PromisesItsOwn);
        simulate(stale_under_mixed_settings(seed))
    };
    assert!((0..5).any(|seed| mutant(seed) > 0), "the promise is not what the test above rests on");
}

#[test]
fn a_promise_outlives_a_restart_with_shorter_settings() {
    let run = |seed| simulate(stale_after_a_change_of_settings(seed));
    let stale: usize = for_all(0..20, run).values().sum();
    assert_eq!(stale, 0);
    let mutant = |seed| {
        let _bug = plant(Mutant::ForgetsLongPromises);
        run(seed)
    };
    assert!((0..5).any(|seed| mutant(seed) > 0), "the wait after a restart is not what the test above rests on");
}
