//! Single scenarios in simulation, step by step. The random runs of `tests::simulation` meet such cases by chance.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::mutants::{Mutant, plant};
use crate::sim::disk::DiskFault;
use crate::tests::kit::{Order, Registers, later, others, settings, simulate, soon, start, write_somewhere};
use crate::{Group, GroupId, Machine as _, RaftSettings, ReadError, ReadMode, Role, WriteError};

mod backlog;
mod closing;
mod restarts;
mod slowness;
mod votes;

fn value(group: &Group<Registers>) -> Option<u64> {
    group.machine().get("x")
}

#[test]
fn a_leader_that_is_cut_off_refuses_while_the_majority_serves() {
    for seed in 0..10 {
        simulate(async {
            let cluster = start(seed, 3, settings()).await;
            let old = write_somewhere(&cluster, &[], 1).await;
            let group = cluster.group(old).expect("runs");
            cluster.net.isolate(old, others(&cluster, old));
            let cut = Instant::now();
            // Cut off, it can neither confirm itself nor commit.
            let linearizable = group.read(ReadMode::Linearizable, soon()).await;
            assert!(linearizable.is_err(), "no majority can have confirmed this read");
            let write = group.write(Order::set("x", 99).encode(), soon()).await;
            assert!(matches!(write, Err(WriteError::Indeterminate { .. } | WriteError::NotLeader { .. })), "{write:?}");

            // Its lease ends before its followers' promise, and never comes back.
            while group.read(ReadMode::Lease, soon()).await.is_ok() {
                assert!(cut.elapsed() < settings().election_max, "the lease outlives the promises it rests on");
                sleep(Duration::from_millis(5)).await;
            }
            let new = write_somewhere(&cluster, &[old], 2).await;
            assert_ne!(new, old);
            assert!(group.read(ReadMode::Lease, soon()).await.is_err(), "a lease came back without a majority");
            let stale = group.read(ReadMode::Follower, soon()).await.expect("follower reads are always served");
            assert_eq!(value(&group), Some(1), "what was never committed is not shown");
            assert!(stale.leader_contact.is_some_and(|contact| contact > Duration::ZERO), "a stale read says so");

            // Back in the group it serves the new value.
            cluster.net.heal();
            group.read(ReadMode::Linearizable, later()).await.expect("served after the cut is mended");
            assert_eq!(value(&group), Some(2));
        });
    }
}

#[test]
fn every_replica_serves_linearizable_reads() {
    simulate(async {
        let cluster = start(1, 3, settings()).await;
        for round in 1..50 {
            write_somewhere(&cluster, &[], round).await;
            for (id, group) in cluster.groups() {
                let point = group.read(ReadMode::Linearizable, later()).await.expect("served");
                assert!(point.index > 0);
                assert_eq!(value(group), Some(round), "node {id} served an older state");
            }
        }
        // A follower has no lease, and names its leader.
        let follower =
            cluster.groups().find(|(_, group)| group.status().role == Role::Follower).expect("there are two");
        let refused = follower.1.read(ReadMode::Lease, soon()).await;
        assert!(
            matches!(refused, Err(ReadError::NotLeader { leader: Some(_) })),
            "only leaders have leases: {refused:?}"
        );
    });
}

/// The link between the leader and one follower is cut. Later the link to the other follower is cut too, and that
/// follower loses its power and restarts. It has forgotten its promise to the leader. Returns how many lease reads
/// of the old leader were stale.
async fn forgotten_promise(seed: u64) -> usize {
    let mut cluster = start(seed, 3, settings()).await;
    let old = write_somewhere(&cluster, &[], 1).await;
    let group = cluster.group(old).expect("runs");
    let [first, second] = others(&cluster, old)[..] else { panic!("three nodes") };
    cluster.net.isolate(old, [first]);
    sleep(Duration::from_millis(700)).await;
    // Without a wait, the two others could elect a leader while the old lease still holds.
    cluster.net.isolate(old, [second]);
    cluster.crash(second).await;
    cluster.restart(second).await.expect("restarts");
    let mut stale = 0;
    for _ in 0..200 {
        let new = cluster.groups().find(|(id, group)| *id != old && group.status().role == Role::Leader);
        if let Some((_, new)) = new {
            let written = new.write(Order::set("x", 2).encode(), soon()).await.is_ok();
            stale +=
                usize::from(written && group.read(ReadMode::Lease, soon()).await.is_ok() && value(&group) == Some(1));
        }
        sleep(Duration::from_millis(5)).await;
    }
    stale
}

#[test]
fn a_restarted_node_keeps_the_promises_it_has_forgotten() {
    let stale = || (0..20).map(|seed| simulate(forgotten_promise(seed))).sum::<usize>();
    assert_eq!(stale(), 0, "stale lease reads although restarted nodes wait");
    let _planted = plant(Mutant::ForgetsPromises);
    assert!(stale() > 0, "the scenario does not show what the wait is for");
}

#[test]
fn a_follower_behind_the_purged_log_catches_up_by_snapshot() {
    simulate(async {
        let settings = RaftSettings { snapshot_after: 20, keep_entries: 5, ..settings() };
        let mut cluster = start(3, 3, settings).await;
        let leader = write_somewhere(&cluster, &[], 1).await;
        // One follower is down until the leader's log no longer has what it lacks.
        let lost = others(&cluster, leader)[0];
        cluster.crash(lost).await;
        let mut written = 1;
        let leader = loop {
            written += 1;
            let leader = cluster.group(write_somewhere(&cluster, &[], written).await).expect("runs");
            if leader.status().purged > 50 {
                break leader;
            }
            assert!(written < 3000, "nothing is purged: {:?}", leader.status());
            sleep(Duration::from_millis(20)).await;
        };
        cluster.restart(lost).await.expect("restarts");
        let group = cluster.group(lost).expect("runs");
        group.wait_applied(leader.status().applied, later()).await.expect("catches up");
        assert!(group.status().snapshot > 50, "it did not come by snapshot: {:?}", group.status());
        assert_eq!(group.machine().digest(), leader.machine().digest());
        let (ours, theirs) = (group.status().digests, leader.status().digests);
        let common: Vec<_> = ours.iter().filter(|(index, _)| theirs.contains_key(index)).collect();
        assert!(
            !common.is_empty() && common.iter().all(|(index, digest)| theirs[index] == **digest),
            "{ours:?} {theirs:?}"
        );
        // The installed snapshot survives a power loss.
        cluster.crash(lost).await;
        cluster.restart(lost).await.expect("restarts");
        assert!(value(&cluster.group(lost).expect("runs")) >= Some(45));
    });
}

#[test]
fn a_disk_that_fails_stops_its_replica_and_nothing_else() {
    for fault in [DiskFault::SyncOnce, DiskFault::Full] {
        simulate(async {
            let mut cluster = start(4, 3, settings()).await;
            let leader = write_somewhere(&cluster, &[], 1).await;
            // The leader's log store fails once, and the replica stops for good.
            cluster.node(leader).log.arm(Some(fault));
            let failed = cluster.group(leader).expect("runs").write(Order::set("x", 9).encode(), soon()).await;
            assert!(failed.is_err() || value(&cluster.group(leader).expect("runs")) == Some(9));
            let new = write_somewhere(&cluster, &[leader], 2).await;
            let stopped = cluster.group(leader).expect("runs").status().stopped.expect("it says that it has stopped");
            assert!(stopped.contains("restart"), "the way out is missing: {stopped}");
            let write = cluster.group(leader).expect("runs").write(Order::set("x", 3).encode(), soon()).await;
            assert!(matches!(write, Err(WriteError::Stopped { .. })), "{write:?}");
            // On a working disk a restart is enough.
            cluster.node(leader).log.arm(None);
            cluster.crash(leader).await;
            cluster.restart(leader).await.expect("restarts on a mended disk");
            let index = cluster.group(new).expect("runs").status().applied;
            cluster.group(leader).expect("runs").wait_applied(index, later()).await.expect("catches up");
        });
    }
}

#[test]
fn damage_keeps_a_replica_closed() {
    for seed in 0..20 {
        simulate(async move {
            let mut cluster = start(seed, 3, settings()).await;
            for value in 1..20 {
                write_somewhere(&cluster, &[], value).await;
            }
            cluster.crash(1).await;
            // A follower or leader alike: it must not open, and the others go on.
            cluster.node(1).log.flip_a_bit(&GroupId(1).0.to_be_bytes());
            let error = cluster.restart(1).await.expect_err("a replica with a damaged log takes part");
            assert!(error.to_string().contains("damaged") && error.to_string().contains("other replicas"), "{error}");
            write_somewhere(&cluster, &[], 20).await;
        });
    }
}
