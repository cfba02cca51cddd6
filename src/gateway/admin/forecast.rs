//! What a change of nodes or shards would do, in the words of the API, and the guards that rest on it.

use std::collections::BTreeMap;

use raft_groups::NodeId;

use crate::api::{ErrorCode, Plan, PlannedMove};
use crate::gateway::http::error::ApiError;
use crate::placement::planner::{Forecast, Health, Liveness, Obstacle, forecast};
use crate::placement::{ClusterMap, MetaCommand, MetaReply, ShardId, group_name};
use crate::routing::Overview;

/// The nodes' health as their reports tell it: one that does not answer now counts as suspect.
pub(in crate::gateway) fn health(overview: &Overview) -> Health {
    let liveness = |answers: bool| if answers { Liveness::Alive } else { Liveness::Suspect };
    let nodes = overview.nodes.iter().map(|node| (node.node, liveness(node.report.is_ok())));
    let largest = |shard| overview.replicas(shard).map(|(_, replica)| replica.memory_bytes).max().unwrap_or(0);
    let shard_bytes = overview.map.shards.keys().map(|shard| (*shard, largest(*shard))).collect();
    let (damaged, disputed) = (overview.damaged(), overview.disputed());
    let nodes = nodes.collect::<BTreeMap<NodeId, Liveness>>();
    Health { nodes, damaged, disputed, shard_bytes, ..Health::default() }
}

/// What `commands` would lead to, one after the other; without any, what is still to be done.
pub(super) fn foresee(
    overview: &Overview,
    map: &ClusterMap,
    commands: impl IntoIterator<Item = MetaCommand>,
) -> Forecast {
    forecast(map, &health(overview), commands)
}

pub(in crate::gateway) fn plan(map: &ClusterMap, forecast: &Forecast) -> Plan {
    // A node that would join has its name only in the map that is foreseen.
    let name = |node: NodeId| forecast.end.nodes.get(&node).map_or_else(|| map.name_of(node), |e| e.name.to_string());
    let moves = forecast.moves.iter().map(|planned| PlannedMove {
        shard: ShardId::of_group(planned.group).map(|shard| shard.0),
        from: planned.from.map(name),
        to: planned.to.map(name),
        bytes: planned.bytes,
    });
    let (before, after) = forecast.tolerates;
    Plan {
        moves: moves.collect(),
        bytes: forecast.moves.iter().map(|planned| planned.bytes).sum(),
        leader_changes: forecast.leaders,
        replication_factor: [map.replication_factor, forecast.end.replication_factor],
        tolerated_failures: [before, after],
        obstacles: forecast.obstacles.iter().map(obstacle).collect(),
    }
}

/// Refuses what would lose a majority or the last copy.
///
/// # Errors
/// [`ApiError::Guard`], with the loss named.
pub(super) fn guard(forecast: &Forecast, force: bool) -> Result<(), ApiError> {
    // No `force` helps here, since nothing would be left to serve.
    if let MetaReply::LastNode { .. } = forecast.reply {
        let reason = "it is the last node that holds data, so all of it would be lost; add another node first, or stop \
                      the process and remove its data directory if that is what you want";
        return Err(ApiError::Guard { code: ErrorCode::WouldLoseData, reason: reason.to_owned() });
    }
    // With `force` the change begins all the same, and waits until it can be done.
    let Some(first) = forecast.obstacles.first().filter(|_| !force) else { return Ok(()) };
    // The loss of data is named before the loss of a majority, wherever it stands in the list.
    let last_copy = forecast.obstacles.iter().find(|obstacle| matches!(obstacle, Obstacle::LastCopy { .. }));
    let code = if last_copy.is_some() { ErrorCode::WouldLoseData } else { ErrorCode::WouldLoseQuorum };
    let more = forecast.obstacles.len() - 1;
    let rest = if more == 0 { String::new() } else { format!(", and so on for {more} more") };
    let reason = format!(
        "{}{rest}; bring back the nodes that do not answer, or have those leave first that are lost for good; with \
         force=true (`--force` on the command line) it begins all the same, and waits until it can be done",
        obstacle(last_copy.unwrap_or(first))
    );
    Err(ApiError::Guard { code, reason })
}

fn obstacle(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::LastCopy { group } => format!("{} would lose its last copy that answers", group_name(*group)),
        Obstacle::Quorum { group, answering, members } => format!(
            "{} would be left without a majority: {answering} of its {members} replicas answer now",
            group_name(*group)
        ),
    }
}

/// What the operator should know of the cluster as it will be.
pub(in crate::gateway) fn warnings(forecast: &Forecast) -> Vec<String> {
    let factor = forecast.end.replication_factor;
    let text = match factor {
        1 => "each shard will have one replica: a node that fails takes its points with it until it is back",
        2 => "each shard will have two replicas, and a majority of two is two: no node may fail",
        _ => return Vec::new(),
    };
    vec![text.to_owned()]
}
