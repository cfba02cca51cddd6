//! A slow node counts as alive, and a hanging one does not: slow links, a disk that does not answer, a machine that
//! slept.

use super::*;
use crate::NodeId;
use crate::network::faults::LinkFaults;
use crate::tests::kit::Cluster;

/// Delays every message between nodes by `delay`.
fn far_apart(cluster: &Cluster, delay: Duration) {
    for (id, group) in cluster.groups() {
        let delay_to = others(cluster, id).into_iter().map(|other| (other, delay)).collect();
        group.replica().peers.faults.set(LinkFaults { delay_to, ..LinkFaults::default() });
    }
}

/// Returns how many of 60 lease reads, and of 60 writes, are served if every message takes `delay` longer.
async fn served_far_apart(seed: u64, delay: Duration) -> (u32, u32) {
    let cluster = start(seed, 3, RaftSettings::default()).await;
    write_somewhere(&cluster, &[], 1).await;
    // The links change under a running group, which may need an election.
    far_apart(&cluster, delay);
    sleep(Duration::from_secs(5)).await;
    let (mut reads, mut writes) = (0, 0);
    for round in 0..60 {
        sleep(Duration::from_secs(1)).await;
        let leader = cluster.groups().find(|(_, group)| group.status().role == Role::Leader);
        let Some((_, group)) = leader else { continue };
        reads += u32::from(group.read(ReadMode::Lease, later()).await.is_ok());
        writes += u32::from(group.write(Order::set("x", round).encode(), later()).await.is_ok());
    }
    assert_eq!(cluster.violation(), None);
    (reads, writes)
}

#[test]
fn nodes_that_are_far_apart_serve_as_long_as_messages_are_there_and_back_before_an_election() {
    for delay in [5, 45, 75, 90, 125, 160].map(Duration::from_millis) {
        for seed in 0..3 {
            assert_eq!(simulate(served_far_apart(seed, delay)), (60, 60), "{delay:?} seed {seed}");
        }
    }
    let _planted = plant(Mutant::HurriesFollowers);
    let (reads, _) = simulate(served_far_apart(0, Duration::from_millis(90)));
    assert!(reads < 10, "the planted bug is not to be seen: {reads} reads");
}

/// Makes the leader's disk hang for a while. Returns the node that leads then and takes writes; the old leader as an
/// error if no other does.
async fn with_hung_leader(seed: u64) -> Result<NodeId, NodeId> {
    let cluster = start(seed, 3, settings()).await;
    let old = write_somewhere(&cluster, &[], 1).await;
    let node = cluster.node(old);
    for disk in [&node.log, &node.state] {
        disk.slow_down(Duration::from_secs(3_600));
    }
    // A disk only counts as hanging while a write waits for it.
    let group = cluster.group(old).expect("runs");
    assert!(group.write(Order::set("x", 2).encode(), soon()).await.is_err(), "it is not applied before it is durable");
    sleep(settings().longest_sync() + settings().election_max * 5).await;
    for (id, group) in cluster.groups().filter(|(id, _)| *id != old) {
        if group.status().role == Role::Leader {
            group.write(Order::set("x", 3).encode(), later()).await.expect("two of three are well");
            assert_eq!(cluster.violation(), None);
            return Ok(id);
        }
    }
    Err(old)
}

#[test]
fn a_leader_whose_disk_hangs_does_not_lead_for_ever() {
    for seed in 0..10 {
        assert!(simulate(with_hung_leader(seed)).is_ok(), "seed {seed}: the node whose disk hangs leads on");
    }
    let _planted = plant(Mutant::HangsUnseen);
    assert!((0..10).any(|seed| simulate(with_hung_leader(seed)).is_err()), "the planted bug is not to be seen");
}

#[test]
fn nobody_believes_in_a_leader_without_a_majority_not_even_itself() {
    simulate(async {
        let cluster = start(1, 3, settings()).await;
        let old = write_somewhere(&cluster, &[], 1).await;
        let [first, second] = others(&cluster, old)[..] else { panic!("three nodes") };
        // Every node is alone for longer than any timeout.
        for id in [old, first, second] {
            cluster.net.isolate(id, others(&cluster, id));
        }
        sleep(settings().election_max * 4).await;
        for (id, group) in cluster.groups() {
            let status = group.status();
            assert!(status.leader.is_none(), "node {id}: {status:?}");
        }
        cluster.net.heal();
        write_somewhere(&cluster, &[], 2).await;
        sleep(settings().election_max).await;
        assert!(cluster.groups().all(|(_, group)| group.status().leader.is_some()));
    });
}

/// Returns `true` if a leader that nobody hears serves a read right after its machine has slept.
async fn serves_from_sleep(seed: u64) -> bool {
    let cluster = start(seed, 3, settings()).await;
    let leader = write_somewhere(&cluster, &[], 1).await;
    let group = cluster.group(leader).expect("runs");
    sleep(settings().election_max).await;
    group.read(ReadMode::Lease, later()).await.expect("its lease holds");
    cluster.net.isolate(leader, others(&cluster, leader));
    // If it had not slept, its lease would hold for a while.
    group.replica().suspension.wake();
    let served = group.read(ReadMode::Lease, soon()).await.is_ok();
    cluster.net.heal();
    write_somewhere(&cluster, &[], 2).await;
    sleep(settings().election_max).await;
    // Once a majority has answered, leases hold again.
    let leader = cluster.groups().find(|(_, group)| group.status().role == Role::Leader).expect("someone leads").1;
    leader.read(ReadMode::Lease, later()).await.expect("a majority has answered since");
    served
}

#[test]
fn what_was_heard_before_the_machine_slept_is_no_lease() {
    assert!((0..10).all(|seed| !simulate(serves_from_sleep(seed))));
    let _planted = plant(Mutant::SleepsOnLease);
    assert!((0..10).all(|seed| simulate(serves_from_sleep(seed))), "the planted bug is not to be seen");
}
