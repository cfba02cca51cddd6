//! This node's replicas: opened as the map says; one that is damaged stays closed, and says so.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use raft_groups::{Group, Host, Machine, NodeId, OpenError};
use tokio::time::Instant;

use super::graph_files::GraphFiles;
use crate::engine::Setup;
use crate::placement::{ClusterMap, META, MetaCommand, MetaMachine};
use crate::routing::{LocalGroups, MapCell};

/// Pause between two tries to begin a group, or to write the first map.
const PAUSE: Duration = Duration::from_millis(100);

/// How long one try to write the first map may take.
const FORM_PATIENCE: Duration = Duration::from_secs(2);

/// Opens this node's replica of the meta group, where `map` gives it one, and begins the group on its first node.
pub(super) async fn open_meta(
    host: &Host,
    me: NodeId,
    map: &ClusterMap,
    groups: &LocalGroups,
) -> Option<Group<MetaMachine>> {
    if !map.meta.contains(&me) {
        return None;
    }
    match host.open_group::<MetaMachine>(META, ()).await {
        Ok(group) => {
            groups.put_meta(group.clone());
            if map.meta.first() == Some(&me) {
                tokio::spawn(begin(group.clone(), map.meta.clone()));
            }
            Some(group)
        }
        Err(error) => {
            quarantine(groups, META, &error);
            None
        }
    }
}

/// Opens this node's replicas of shards, and begins the groups whose preferred leader it is.
pub(super) async fn open_shards(host: &Host, dir: &Path, me: NodeId, map: &ClusterMap, groups: &LocalGroups) {
    for (shard, entry) in map.shards.iter().filter(|(_, entry)| entry.target.contains(&me)) {
        let shelf = Arc::new(GraphFiles::new(dir, *shard));
        match host.open_group(shard.group(), Setup { shelf: Some(shelf) }).await {
            Ok(group) => {
                groups.put_shard(*shard, group.clone());
                if entry.preferred == me {
                    tokio::spawn(begin(group, entry.target.clone()));
                }
            }
            Err(error) => quarantine(groups, shard.group(), &error),
        }
    }
}

/// Writes the first map until there is a map. Every voter of the meta group tries: each holds the same map, only the
/// group's leader can write, and who leads may change; a second `Form` changes nothing.
pub(super) async fn write_first_map(meta: Group<MetaMachine>, first: ClusterMap, map: MapCell) {
    let command = MetaCommand::Form { map: first }.encode();
    while !map.get().is_formed() {
        match meta.write(command.clone(), Instant::now() + FORM_PATIENCE).await {
            Ok(_) => {
                map.offer(meta.machine().map());
            }
            Err(error) => tracing::debug!(%error, "the first map is not written yet"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Gives a group its first members, if it has none.
async fn begin<M: Machine>(group: Group<M>, voters: std::collections::BTreeSet<NodeId>) {
    while group.status().voters.is_empty() && group.status().stopped.is_none() {
        if let Err(error) = group.initialize(voters.clone()).await {
            tracing::debug!(group = %group.id(), %error, "the group has not begun yet");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn quarantine(groups: &LocalGroups, group: raft_groups::GroupId, error: &OpenError) {
    tracing::error!(%group, %error, "this replica stays closed");
    groups.quarantine(group, error.to_string());
}

/// Waits until there is a formed map.
pub(super) async fn formed(map: &MapCell) -> Arc<ClusterMap> {
    let mut changes = map.watch();
    match changes.wait_for(|map| map.is_formed()).await {
        Ok(map) => Arc::clone(&map),
        // The cell holds the sender, so the channel cannot close while `map` is borrowed.
        Err(_) => map.get(),
    }
}
