//! Health and sharding of a cluster of three, whole and broken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raft_groups::mutants::{Mutant, plant};
use raft_groups::{GroupStatus, NodeId, Role};

use super::fake;
use crate::api::HealthState;
use crate::gateway::admin::overview::{health, sharding, status};
use crate::placement::{self, ClusterMap, MetaCommand, RaftTimings};
use crate::routing::{NodeOverview, NodeReport, Overview, ReplicaReport};

const NODES: [NodeId; 3] = [1, 2, 3];

/// Three nodes, two shards on each; node 1 leads everything.
fn whole() -> Overview {
    let nodes = NODES.map(|node| (node, fake::node(&format!("node{node}"), 8000 + node as u16)));
    let mut map = ClusterMap::default();
    map.apply(MetaCommand::Form { map: placement::form([7; 16], BTreeMap::from(nodes), 2, 3).unwrap() });
    let nodes = NODES.map(|node| NodeOverview { node, report: Ok(report(&map, node)) });
    Overview { map: Arc::new(map), nodes: nodes.into() }
}

fn report(map: &ClusterMap, node: NodeId) -> NodeReport {
    let replicas = map.shards.keys().map(|shard| ReplicaReport {
        index: crate::engine::IndexProgress::default(),
        shard: *shard,
        status: member(shard.group(), node),
        points: 100,
        collections: BTreeMap::new(),
        fields: BTreeMap::new(),
        memory_bytes: 0,
        digest_index: 9,
        digest: 1,
    });
    NodeReport {
        node,
        uptime_seconds: 1,
        load: 0.0,
        memory_bytes: 0,
        disk_bytes: 0,
        epoch: 1,
        meta: Some(member(placement::META, node)),
        replicas: replicas.collect(),
        quarantined: Vec::new(),
        round_trips_ms: BTreeMap::new(),
    }
}

fn member(group: raft_groups::GroupId, node: NodeId) -> GroupStatus {
    let role = if node == 1 { Role::Leader } else { Role::Follower };
    GroupStatus { role, voters: BTreeSet::from(NODES), ..fake::status(group, 10 - node) }
}

fn lose(overview: &mut Overview, node: NodeId) {
    overview.nodes[node as usize - 1].report = Err("connection refused".to_owned());
}

fn codes(overview: &Overview) -> Vec<String> {
    health(overview).issues.into_iter().map(|issue| issue.code).collect()
}

#[test]
fn a_whole_cluster_is_healthy_and_can_lose_one() {
    let health = health(&whole());
    assert_eq!((health.status, health.can_lose_nodes, health.groups.total), (HealthState::Healthy, 1, 3));
    assert!(health.issues.is_empty());
    assert_eq!(status(&whole()).total_vectors, 200);
    assert_eq!(status(&whole()).nodes[2].vector_count, 200);
}

#[test]
fn one_lost_follower_degrades() {
    let mut overview = whole();
    lose(&mut overview, 3);
    let health = health(&overview);
    assert_eq!((health.status, health.can_lose_nodes), (HealthState::Degraded, 0));
    assert_eq!((health.groups.with_leader, health.groups.under_replicated), (3, 3));
    assert_eq!(codes(&overview), ["node_unreachable", "under_replicated"]);
    assert!(health.issues[0].message.contains("node3"));
    assert_eq!((status(&overview).healthy_nodes, status(&overview).total_vectors), (2, 200));
}

#[test]
fn a_lost_leader_or_majority_is_unavailable() {
    let mut overview = whole();
    lose(&mut overview, 1);
    assert_eq!(health(&overview).status, HealthState::Unavailable);
    assert_eq!(codes(&overview).iter().filter(|code| *code == "no_leader").count(), 3);
    lose(&mut overview, 2);
    assert_eq!(codes(&overview).iter().filter(|code| *code == "no_quorum").count(), 3);
    let issues = health(&overview).issues;
    let of = |code: &str| issues.iter().find(|issue| issue.code == code).unwrap();
    for part in ["node1, node2 do not take part", "unsafe-recover"] {
        assert!(of("no_quorum").fix.contains(part), "{}", of("no_quorum").fix);
    }
    for part in ["--join", "`quiver node leave node1`"] {
        assert!(of("node_unreachable").fix.contains(part), "{}", of("node_unreachable").fix);
    }
}

#[test]
fn fewer_copies_than_the_cluster_was_formed_with_are_told_and_do_not_degrade() {
    let mut overview = whole();
    let mut map = ClusterMap::clone(&overview.map);
    map.wanted_factor = 5;
    overview.map = Arc::new(map);
    let health = health(&overview);
    assert_eq!((health.status, health.groups.under_replicated), (HealthState::Healthy, 0));
    assert_eq!(codes(&overview), ["fewer_copies"]);
    let issue = &health.issues[0];
    assert!(issue.message.contains("3 of the 5 copies") && issue.fix.contains("add a node"), "{issue:?}");
}

#[test]
fn a_recovered_shard_with_one_copy_of_three_lacks_replicas() {
    let mut overview = whole();
    let mut map = ClusterMap::clone(&overview.map);
    for entry in map.shards.values_mut() {
        entry.placement.target = BTreeSet::from([1]);
    }
    overview.map = Arc::new(map);
    for replica in &mut overview.nodes[0].report.as_mut().unwrap().replicas {
        replica.status.voters = BTreeSet::from([1]);
    }
    for node in [1, 2] {
        overview.nodes[node].report.as_mut().unwrap().replicas.clear();
    }
    assert_eq!(health(&overview).groups.under_replicated, 2);
    assert_eq!(
        (health(&overview).status, codes(&overview)),
        (HealthState::Degraded, vec!["under_replicated".to_owned()])
    );
}

fn set_digest(overview: &mut Overview, node: NodeId, index: u64, digest: u64) {
    let report = overview.nodes[node as usize - 1].report.as_mut().unwrap();
    report.replicas[0].status.digests = BTreeMap::from([(index, digest), (4, 4)]);
}

#[test]
fn a_replica_that_differs_from_a_majority_at_one_index_is_named() {
    let mut overview = whole();
    NODES.iter().for_each(|node| set_digest(&mut overview, *node, 9, 1));
    set_digest(&mut overview, 3, 8, 2);
    assert!(codes(&overview).is_empty(), "an older state may differ");
    set_digest(&mut overview, 3, 9, 2);
    let group = overview.map.shards.keys().next().unwrap().group();
    assert_eq!(overview.differing(), BTreeMap::from([(group, BTreeSet::from([3]))]));
    assert_eq!(codes(&overview), ["replicas_differ"]);
    assert!(health(&overview).issues[0].message.contains("node3"));
    {
        let _planted = plant(Mutant::NeverComparesStates);
        assert!(codes(&overview).is_empty());
    }
    assert_eq!((overview.damaged(), overview.disputed()), (BTreeSet::from([(3, group)]), BTreeSet::new()));
    set_digest(&mut overview, 2, 9, 3);
    assert_eq!((overview.damaged(), overview.disputed()), (BTreeSet::new(), BTreeSet::from([group])));
    assert_eq!(overview.differing(), BTreeMap::from([(group, BTreeSet::new())]), "nobody is right");
    lose(&mut overview, 3);
    assert_eq!(overview.differing(), BTreeMap::from([(group, BTreeSet::new())]), "two of three are no majority");
    assert!(codes(&overview).contains(&"replicas_differ".to_owned()));
}

#[test]
fn the_maps_own_replicas_are_compared_like_those_of_a_shard() {
    let mut overview = whole();
    let set = |overview: &mut Overview, node: NodeId, digests: &[(u64, u64)]| {
        let report = overview.nodes[node as usize - 1].report.as_mut().unwrap();
        report.meta.as_mut().unwrap().digests = digests.iter().copied().collect();
    };
    // They are not equally far, and two of them have what the third contradicts at an index that all have passed.
    set(&mut overview, 1, &[(256, 5), (300, 8)]);
    set(&mut overview, 2, &[(256, 6), (300, 9)]);
    set(&mut overview, 3, &[(256, 6), (301, 7)]);
    assert_eq!(overview.damaged(), BTreeSet::from([(1, placement::META)]));
    assert!(health(&overview).issues[0].message.contains("node1"));
}

#[test]
fn nodes_that_are_too_far_apart_for_the_timings_are_named_with_the_way_out() {
    let mut overview = whole();
    let set = |overview: &mut Overview, node: NodeId, far: &[(NodeId, u64)]| {
        let report = overview.nodes[node as usize - 1].report.as_mut().unwrap();
        report.round_trips_ms = far.iter().copied().collect();
    };
    set(&mut overview, 1, &[(2, 340), (3, 12)]);
    assert!(codes(&overview).is_empty(), "340 ms is what the defaults bear");
    set(&mut overview, 1, &[(2, 341), (3, 12), (9, 5_000)]);
    set(&mut overview, 3, &[(2, 600)]);
    let health = health(&overview);
    assert_eq!((health.status, health.issues.len()), (HealthState::Degraded, 1));
    let issue = &health.issues[0];
    assert_eq!(issue.code, "nodes_too_far_apart");
    for part in ["node2 and node3", "600 ms", "340 ms"] {
        assert!(issue.message.contains(part), "{}", issue.message);
    }
    assert!(issue.fix.contains("--election-min-ms 1400 --election-max-ms 2800"), "{}", issue.fix);
    // What is advised is enough.
    let mut map = ClusterMap::clone(&overview.map);
    map.timings = Some(RaftTimings { heartbeat_ms: 420, election_min_ms: 1400, election_max_ms: 2800 });
    overview.map = Arc::new(map);
    assert!(codes(&overview).is_empty());
}

#[test]
fn an_unformed_cluster_is_starting() {
    let overview = Overview { map: Arc::default(), nodes: Vec::new() };
    assert_eq!(health(&overview).status, HealthState::Starting);
    assert_eq!(codes(&overview), ["no_map"]);
    assert_eq!(status(&overview).total_nodes, 0);
}

#[test]
fn sharding_tells_lag_and_who_is_missing() {
    let mut overview = whole();
    lose(&mut overview, 3);
    let sharding = sharding(&overview);
    let states: Vec<_> =
        sharding.shards[0].replicas.iter().map(|row| (row.node.as_str(), row.state.as_str(), row.lag)).collect();
    assert_eq!(states, [("node1", "voter", Some(0)), ("node2", "voter", Some(1)), ("node3", "unreachable", None)]);
    assert_eq!(sharding.shards[0].range, ["0x0000000000000000", "0x7fffffffffffffff"]);
}
