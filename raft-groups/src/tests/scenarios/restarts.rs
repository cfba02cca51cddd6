//! What a replica shows after its node restarted: never less than before, and it serves again as soon as it can know
//! that.

use futures::future::join_all;

use super::*;
use crate::GroupStatus;
use crate::mutants::{Mutant, plant};
use crate::sim::SimPlan;
use crate::tests::kit::{Cluster, snapshot_storm};

/// Reads at a restarted node that no other node answers. Returns how many reads were served, and how many refused.
async fn lonely_restart(seed: u64) -> (u32, u32) {
    let mut cluster = start(seed, 3, settings()).await;
    for value in 1..=10 {
        write_somewhere(&cluster, &[], value).await;
    }
    let victim = seed % 3 + 1;
    let group = cluster.group(victim).expect("runs");
    group.read(ReadMode::Linearizable, later()).await.expect("served");
    let shown = value(&group);
    assert_eq!(shown, Some(10));
    // The power loss may take what was applied. Alone, the replica cannot learn how far it was.
    cluster.crash(victim).await;
    cluster.net.isolate(victim, others(&cluster, victim));
    cluster.restart(victim).await.expect("restarts");
    let group = cluster.group(victim).expect("runs");
    let (mut served, mut refused) = (0, 0);
    for _ in 0..50 {
        match group.read(ReadMode::Follower, soon()).await {
            Ok(_) => {
                assert!(value(&group) >= shown, "node {victim} went back from {shown:?} to {:?}", value(&group));
                served += 1;
            }
            Err(error) => {
                assert_eq!(error, ReadError::Unsettled);
                refused += 1;
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
    // With its leader it serves again soon.
    cluster.net.heal();
    let healed = Instant::now();
    while group.read(ReadMode::Follower, soon()).await.is_err() {
        assert!(healed.elapsed() < Duration::from_secs(10), "it refuses although its leader is there");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(value(&group) >= shown);
    (served, refused)
}

#[test]
fn a_restarted_replica_never_shows_less_than_before() {
    let both = (0..30).map(|seed| simulate(lonely_restart(seed)));
    let (served, refused) = both.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert!(refused > 0, "no crash took what was applied: the scenario does not show what the refusal is for");
    println!("{served} reads served, {refused} refused");
}

/// A restarted replica must not wait for ever for the end of its log, if that was never committed.
#[test]
fn a_log_whose_end_was_never_committed_does_not_keep_its_replica_silent() {
    for seed in 0..10 {
        simulate(async {
            let mut cluster = start(seed, 3, settings()).await;
            let old = write_somewhere(&cluster, &[], 1).await;
            let group = cluster.group(old).expect("runs");
            cluster.net.isolate(old, others(&cluster, old));
            // The cut-off leader appends what no majority gets, and restarts with it.
            let writes = (0..40).map(|_| group.write(Order::set("x", 99).encode(), soon()));
            assert!(join_all(writes).await.iter().all(Result::is_err), "no majority can have taken these");
            let end = group.status().last_log;
            cluster.crash(old).await;
            write_somewhere(&cluster, &[old], 2).await;
            cluster.restart(old).await.expect("restarts");
            let group = cluster.group(old).expect("runs");
            assert_eq!(group.read(ReadMode::Follower, soon()).await, Err(ReadError::Unsettled));
            // A leader's commit in its own term shows how far the replica must get.
            cluster.net.heal();
            let healed = Instant::now();
            while group.read(ReadMode::Follower, soon()).await.is_err() {
                assert!(healed.elapsed() < Duration::from_secs(10), "the lost end is waited for: {:?}", group.status());
                sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(value(&group), Some(2));
            assert!(group.status().applied < end, "the log that was given up was not longer than the new one");
        });
    }
}

/// A follower's disk loses what the follower acknowledged, and no check can see it. Its leader sends the entries
/// again. Returns `true` if entries were lost at all.
async fn unseen_loss(seed: u64) -> bool {
    let mut cluster = start(seed, 3, settings()).await;
    let leader = write_somewhere(&cluster, &[], 1).await;
    let follower = others(&cluster, leader)[0];
    cluster.group(follower).expect("runs").read(ReadMode::Linearizable, later()).await.expect("served");
    // No disk syncs, and one of them loses its power.
    let lying = plant(Mutant::SkipsSync);
    for value in 2..6 {
        write_somewhere(&cluster, &[], value).await;
    }
    let group = cluster.group(leader).expect("runs");
    group.wait_applied_everywhere(group.status().applied, later()).await.expect("all have it");
    let before = cluster.group(follower).expect("runs").status().last_log;
    drop(lying);
    cluster.crash(follower).await;
    if cluster.restart(follower).await.is_err() {
        // A check has seen the loss, for example by the state.
        return false;
    }
    let lost = cluster.group(follower).expect("runs").status().last_log < before;
    write_somewhere(&cluster, &[], 6).await;
    let index = group.status().applied;
    assert_eq!(group.status().stopped, None, "the leader ended over a follower's loss");
    cluster.group(follower).expect("runs").wait_applied(index, later()).await.expect("it is filled again");
    lost
}

#[test]
fn a_loss_that_no_check_sees_does_not_take_the_leader_along() {
    let lost = (0..20).filter(|seed| simulate(unseen_loss(*seed))).count();
    assert!(lost > 0, "no crash lost an acknowledged entry unseen: the scenario does not show what it is for");
    println!("{lost} of 20 followers lost entries unseen");
}

/// A leader is cut off with entries that nobody else has, loses its power, and comes back. By then the other logs
/// are purged beyond what it shares with them, so its log conflicts with their snapshot. Its last memberships were
/// committed. Returns `true` if its stored state still has them.
async fn conflict_with_a_snapshot(seed: u64) -> bool {
    let plan = SimPlan { spares: 1, ..SimPlan::new(seed, 3, snapshot_storm()) };
    let mut cluster = Cluster::start(plan).await.expect("empty disks open");
    let old = write_somewhere(&cluster, &[], 1).await;
    let group = cluster.group(old).expect("runs");
    // Two memberships are committed: the log shows that the first one is.
    let (more, before) = ((1..=4).collect(), (1..=3).collect());
    for members in [&more, &before] {
        while group.status().voters != *members || group.status().members_at.is_none() {
            group.converge(members, later()).await.expect("a healthy group");
            sleep(Duration::from_millis(10)).await;
        }
    }
    let members_at = group.status().members_at.expect("they are at rest");
    cluster.net.isolate(old, others(&cluster, old));
    let writes = (0..200).map(|_| group.write(Order::set("x", 99).encode(), soon()));
    assert!(join_all(writes).await.iter().all(Result::is_err), "no majority can have taken these");
    // Its log is longer than the others' for now, with entries of no majority.
    let GroupStatus { committed, last_log: end, .. } = group.status();
    cluster.crash(old).await;
    let mut last = 1;
    let leader = loop {
        last += 1;
        let id = write_somewhere(&cluster, &[old], last).await;
        let leader = cluster.group(id).expect("it took a write");
        // From here on the others cannot send what follows the common part.
        if leader.status().purged > committed {
            break leader;
        }
    };
    assert!(leader.status().snapshot < end, "the log ends before the snapshot, and nothing in it conflicts");
    cluster.restart(old).await.expect("restarts");
    let group = cluster.group(old).expect("runs");
    let knew = group.status().applied >= members_at;
    cluster.net.heal();
    group.wait_applied(leader.status().applied, later()).await.expect("it takes the snapshot for its log");
    assert_eq!(value(&group), Some(last));
    assert_eq!(cluster.violation(), None);
    knew
}

#[test]
fn a_log_that_conflicts_with_a_snapshot_gives_way_to_it() {
    let knew = (0..20).filter(|seed| simulate(conflict_with_a_snapshot(*seed))).count();
    assert!(knew < 20, "no crash took the memberships that the log still shows to be committed");
    println!("the stored state still knew the members in {knew} of 20");
}
