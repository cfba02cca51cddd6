//! The nodes' reports summed up: status, health, sharding. Pure: an [`Overview`] in, pages out.
//!
//! A node that does not answer counts as lost for now; its replicas neither lead nor vote here until it answers.

use std::collections::{BTreeMap, BTreeSet};

use raft_groups::{GroupId, GroupStatus, NodeId};

use crate::api::{
    ClusterHealth, ClusterSharding, ClusterStatus, Consistency, GroupCounts, HealthState, Issue, NodeStatus,
    ShardReplica, ShardingRow,
};
use crate::gateway::admin::{far_apart, fewer_copies};
use crate::gateway::node::reports::collections;
use crate::placement::{META, NodeState, ShardEntry, ShardId, group_name};
use crate::routing::{NodeOverview, Overview};

/// `GET /cluster/status`.
pub(in crate::gateway) fn status(overview: &Overview) -> ClusterStatus {
    let map = &overview.map;
    let nodes: Vec<NodeStatus> = overview.nodes.iter().map(|node| node_status(overview, node)).collect();
    ClusterStatus {
        total_nodes: map.nodes.len(),
        healthy_nodes: nodes.iter().filter(|node| node.status == HealthState::Healthy).count(),
        total_shards: map.shards.len(),
        total_collections: map.collections.len(),
        total_vectors: overview.points(),
        replication_factor: map.replication_factor,
        consistency_level: Consistency::default(),
        meta_leader: overview.meta_leader().map(|node| map.name_of(node)),
        nodes,
    }
}

/// `GET /cluster/health`.
pub(in crate::gateway) fn health(overview: &Overview) -> ClusterHealth {
    let groups = groups(overview);
    let counts = GroupCounts {
        total: groups.len(),
        with_leader: groups.iter().filter(|group| group.leader.is_some()).count(),
        under_replicated: groups.iter().filter(|group| group.alive < group.wanted).count(),
    };
    let nodes: Vec<NodeStatus> = overview.nodes.iter().map(|node| node_status(overview, node)).collect();
    let issues = issues(overview, &groups, &nodes);
    // Requests are served while every group has a leader and a majority of its voters.
    let served =
        !groups.is_empty() && groups.iter().all(|group| group.leader.is_some() && group.alive >= group.majority());
    // A cluster of too few nodes has all the copies that it can have.
    let is_whole = issues.iter().all(|issue| issue.code == fewer_copies::CODE);
    let status = match (overview.map.is_formed(), served, is_whole) {
        (false, ..) => HealthState::Starting,
        (true, false, _) => HealthState::Unavailable,
        (true, true, false) => HealthState::Degraded,
        (true, true, true) => HealthState::Healthy,
    };
    // The weakest group decides how many more nodes may fail.
    let can_lose_nodes = groups.iter().map(|group| group.alive.saturating_sub(group.majority())).min().unwrap_or(0);
    ClusterHealth { status, can_lose_nodes, groups: counts, nodes, issues }
}

/// `GET /cluster/sharding`.
pub(in crate::gateway) fn sharding(overview: &Overview) -> ClusterSharding {
    let map = &overview.map;
    ClusterSharding {
        strategy: "consistent_hashing".to_owned(),
        hash: "xxh3".to_owned(),
        shard_count: map.shards.len(),
        shards: map.shards.iter().map(|(shard, entry)| sharding_row(overview, *shard, entry)).collect(),
        moves_in_progress: map.shards.iter().filter_map(|(shard, entry)| moving(overview, *shard, entry)).collect(),
    }
}

/// How one node is.
pub(super) fn node_health(overview: &Overview, node: NodeId) -> HealthState {
    let seen = overview.nodes.iter().find(|seen| seen.node == node);
    seen.map_or(HealthState::Unavailable, |seen| node_status(overview, seen).status)
}

fn node_status(overview: &Overview, node: &NodeOverview) -> NodeStatus {
    let entry = overview.map.nodes.get(&node.node);
    let (host, port) = entry.map_or_else(Default::default, |entry| (entry.host.clone(), entry.port));
    let id = overview.map.name_of(node.node);
    // A node that does not answer has no figures, only its name and its address.
    let Ok(report) = &node.report else {
        return NodeStatus {
            id,
            host,
            port,
            status: HealthState::Unavailable,
            load: 0.0,
            vector_count: 0,
            collections: Vec::new(),
        };
    };
    // The meta replica counts like the replicas of shards.
    let statuses = report.meta.iter().chain(report.replicas.iter().map(|replica| &replica.status));
    let stopped = statuses.into_iter().any(|status| status.stopped.is_some());
    // What the map plans for a node is said before what the node says of itself.
    let state = entry.map(|entry| entry.state);
    let status = match state {
        Some(NodeState::Joining) => HealthState::Starting,
        Some(NodeState::Draining | NodeState::Leaving) => HealthState::Draining,
        _ if stopped || !report.quarantined.is_empty() => HealthState::Degraded,
        _ => HealthState::Healthy,
    };
    let load = f64::from(report.load).clamp(0.0, 1.0);
    NodeStatus {
        id,
        host,
        port,
        status,
        load,
        vector_count: report.points(),
        collections: collections(&overview.map, report),
    }
}

/// A group as its live replicas tell it.
struct GroupView {
    group: GroupId,
    leader: Option<NodeId>,
    /// Members with a vote.
    voters: BTreeSet<NodeId>,
    /// Voters that answer and take part.
    alive: usize,
    /// Voters that do not.
    missing: BTreeSet<NodeId>,
    /// Voters there should be.
    wanted: usize,
}

impl GroupView {
    fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }
}

fn groups(overview: &Overview) -> Vec<GroupView> {
    if !overview.map.is_formed() {
        return Vec::new();
    }
    // The meta group is to have a copy on each node that the map wants it on.
    let metas: Vec<(NodeId, &GroupStatus)> =
        overview.reports().filter_map(|report| report.meta.as_ref().map(|meta| (report.node, meta))).collect();
    let meta_target = &overview.map.meta.target;
    let meta = group_view(META, overview.meta_leader(), meta_target, meta_target.len(), &metas);
    let copies = overview.map.replication_factor;
    let shards = overview.map.shards.iter().map(|(shard, entry)| {
        let replicas: Vec<_> = overview.replicas(*shard).map(|(node, replica)| (node, &replica.status)).collect();
        let leader = overview.leader(*shard).map(|(node, _)| node);
        // After a recovery a shard may be meant for fewer nodes than the copies that it should have.
        group_view(shard.group(), leader, &entry.placement.target, copies, &replicas)
    });
    std::iter::once(meta).chain(shards).collect()
}

fn group_view(
    group: GroupId,
    leader: Option<NodeId>,
    target: &BTreeSet<NodeId>,
    copies: usize,
    replicas: &[(NodeId, &GroupStatus)],
) -> GroupView {
    // The newest list of voters counts. Without any, the nodes that the map wants are taken for voters.
    let newest = replicas.iter().max_by_key(|(_, status)| (status.term, status.applied));
    let voters = newest.map(|(_, status)| status.voters.clone()).filter(|voters| !voters.is_empty());
    let voters = voters.unwrap_or_else(|| target.clone());
    // A voter takes part if its node reports a replica that has not stopped.
    let takes_part = |node: &NodeId| replicas.iter().any(|(own, status)| own == node && status.stopped.is_none());
    let missing: BTreeSet<NodeId> = voters.iter().copied().filter(|node| !takes_part(node)).collect();
    let alive = voters.len() - missing.len();
    GroupView { group, leader, missing, wanted: target.len().max(voters.len()).max(copies), voters, alive }
}

fn issues(overview: &Overview, groups: &[GroupView], nodes: &[NodeStatus]) -> Vec<Issue> {
    let mut issues = Vec::new();
    // Causes come before what follows from them: the map, the nodes, their replicas, and then the groups.
    if !overview.map.is_formed() {
        let message = "this process has no cluster map yet".to_owned();
        issues.push(issue(
            "no_map",
            "critical",
            message,
            "start the other nodes of the cluster; `checks` of `GET /health` says what this process waits for",
        ));
    }
    for (node, seen) in nodes.iter().zip(&overview.nodes) {
        if let Err(reason) = &seen.report {
            let message = format!("{} does not answer: {reason}", node.id);
            let fix = format!(
                "start it again, or repair the network between it and this node. If it runs at a new address, start it \
                 with --join and the URL of a node that runs. If its disk is lost, `quiver node leave {}`",
                node.id
            );
            issues.push(issue("node_unreachable", "warning", message, &fix));
        }
    }
    for report in overview.reports() {
        let node = overview.map.name_of(report.node);
        for replica in &report.quarantined {
            let message =
                format!("{node} keeps its replica of {} closed: {}", group_name(replica.group), replica.reason);
            let code = if replica.damaged { "replica_damaged" } else { "replica_closed" };
            issues.push(issue(code, "warning", message, "follow the way out that the message names"));
        }
        // A disk takes all replicas of its node along, and one reason is said once.
        let mut stopped: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for status in report.replicas.iter().map(|replica| &replica.status).chain(&report.meta) {
            if let Some(reason) = &status.stopped {
                stopped.entry(reason).or_default().push(group_name(status.group));
            }
        }
        for (reason, groups) in stopped {
            let message = format!("{node} takes no part in {}: {reason}", groups.join(", "));
            issues.push(issue("replica_stopped", "warning", message, "follow the way out that the message names"));
        }
    }
    issues.extend(far_apart::issue(overview));
    issues.extend(fewer_copies::issue(overview));
    issues.extend(overview.differing().iter().map(|(group, odd)| difference(overview, *group, odd)));
    issues.extend(groups.iter().filter_map(|group| group_issue(overview, group)));
    let short = groups.iter().filter(|group| group.alive < group.wanted).count();
    if short > 0 {
        let message = format!("{short} of {} groups have fewer live replicas than they should", groups.len());
        issues.push(issue(
            "under_replicated",
            "warning",
            message,
            "bring back the nodes named above, or have those that are lost leave and add others; replicas are made and \
             catch up by themselves",
        ));
    }
    issues
}

fn difference(overview: &Overview, group: GroupId, odd: &BTreeSet<NodeId>) -> Issue {
    let names: Vec<String> = odd.iter().map(|node| overview.map.name_of(*node)).collect();
    let group = group_name(group);
    let (message, fix) = match names.is_empty() {
        false => (
            format!("the state of {group} on {} differs from that of a majority", names.join(", ")),
            "nothing: the odd replica is let go of, erased, and made anew from the others",
        ),
        true => (
            format!("the replicas of {group} differ, and no majority agrees"),
            "stop writing to it; `quiver shard verify` shows who has what: keep copies of the directories, and remove the \
             nodes whose state is the wrong one",
        ),
    };
    issue("replicas_differ", "critical", message, fix)
}

fn group_issue(overview: &Overview, group: &GroupView) -> Option<Issue> {
    let voters: Vec<String> = group.voters.iter().map(|node| overview.map.name_of(*node)).collect();
    let (name, voters) = (group_name(group.group), voters.join(", "));
    // Without a quorum there can be no leader, so the lack of a leader is not said as well.
    if group.alive < group.majority() {
        let message =
            format!("{name} has no quorum: {} of its {} voters ({voters}) take part", group.alive, group.voters.len());
        let missing = group.missing.iter().map(|node| overview.map.name_of(*node)).collect::<Vec<_>>().join(", ");
        let fix = format!(
            "start more of its nodes: {missing} do not take part. If their disks are lost for good, only the recovery of \
             last resort is left (`quiver cluster unsafe-recover --help`)"
        );
        return Some(issue("no_quorum", "critical", message, &fix));
    }
    if group.leader.is_none() {
        let message = format!("{name} has no leader among {voters}");
        return Some(issue(
            "no_leader",
            "critical",
            message,
            "wait for the election; if it lasts, look for cut links between its nodes",
        ));
    }
    None
}

fn issue(code: &str, severity: &str, message: String, fix: &str) -> Issue {
    Issue { code: code.to_owned(), severity: severity.to_owned(), message, fix: fix.to_owned() }
}

/// Replicas of a shard on their way.
fn moving(overview: &Overview, shard: ShardId, entry: &ShardEntry) -> Option<serde_json::Value> {
    let placement = &entry.placement;
    let names = |nodes: BTreeSet<NodeId>| -> Vec<String> { nodes.iter().map(|n| overview.map.name_of(*n)).collect() };
    let (come, go) = (&placement.target - &placement.actual, &placement.actual - &placement.target);
    (!placement.settled).then(|| serde_json::json!({"shard": shard.0, "to": names(come), "from": names(go)}))
}

fn sharding_row(overview: &Overview, shard: ShardId, entry: &ShardEntry) -> ShardingRow {
    let speaker = overview.speaker(shard);
    let leader = overview.leader(shard);
    // Each node that has a replica, or is meant to have one, gets a row.
    let members = speaker
        .map(|(_, replica)| &replica.status.voters | &replica.status.learners)
        .filter(|members| !members.is_empty());
    let members = &members.unwrap_or_default() | &entry.placement.target;
    let head = leader.map(|(_, replica)| replica.status.last_log);
    let (first, last) = entry.range;
    ShardingRow {
        shard: shard.0,
        range: [format!("0x{first:016x}"), format!("0x{last:016x}")],
        leader: leader.map(|(node, _)| overview.map.name_of(node)),
        replicas: members.iter().map(|node| replica(overview, shard, *node, head)).collect(),
        vectors: speaker.map_or(0, |(_, replica)| replica.points),
    }
}

/// One replica; its lag is counted to the end of the leader's log.
fn replica(overview: &Overview, shard: ShardId, node: NodeId, head: Option<u64>) -> ShardReplica {
    let status = overview.replicas(shard).find(|(own, _)| *own == node).map(|(_, replica)| &replica.status);
    // What keeps a replica from its work is said before its role.
    let state = match status {
        None => "unreachable",
        Some(status) if status.stopped.is_some() => "stopped",
        Some(status) if status.catching_up => "catching_up",
        Some(status) if status.learners.contains(&node) => "learner",
        Some(_) => "voter",
    };
    let lag = status.and_then(|status| head.map(|head| head.saturating_sub(status.applied)));
    ShardReplica { node: overview.map.name_of(node), state: state.to_owned(), lag }
}
