//! How a node comes to its place in a cluster: it keeps the one it has, forms a cluster, or joins one.
//!
//! Comes in: the settings of the start and the node's file. Goes out: a [`ClusterMembership`] that is on disk before
//! anyone is told of it. Must not know how joiners and the forming node speak: [`super::join`] and
//! [`super::formation`] do.

use raft_groups::NodeId;
use uuid::Uuid;

use super::cluster_settings::{read_timings, warn_of_ignored_flags, warn_of_ignored_timings};
use super::formation::{Formation, FormationPlan, JoinAnswer, JoinRequest};
use super::identity_file::{ClusterMembership, IdentityFile};
use super::join;
use crate::config::{Origin, ServerSettings};
use crate::node::NodeError;
use crate::placement::ClusterMap;

/// Finds this node's place in a cluster. When this returns, the place is in the node's file.
///
/// # Errors
/// Why no cluster can be formed or joined, or the error of the disk.
pub(in crate::node) async fn take_place(
    settings: &ServerSettings,
    formation: &Formation,
    me: &JoinRequest,
    identity: &mut IdentityFile,
) -> Result<ClusterMembership, NodeError> {
    // A node that has a place keeps it, whatever the flags say.
    if let Some(member) = identity.identity.member.clone() {
        warn_of_ignored_flags(settings, &member);
        return Ok(member);
    }
    // A new one finds its place. A crash before the file is written leaves a node that asks again and gets the same
    // answer.
    let (node, first_map) = find_cluster(settings, formation, me).await?;
    let cluster = Uuid::from_bytes(first_map.cluster);
    let member = ClusterMembership::new(cluster, node, first_map);
    identity.set_member(member.clone())?;
    tracing::info!(%cluster, node, "this node has a place in a cluster");
    warn_of_ignored_timings(settings, &member);
    Ok(member)
}

/// Forms a cluster or joins one, as the settings say. Returns this node's number, and the map to start from.
async fn find_cluster(
    settings: &ServerSettings,
    formation: &Formation,
    me: &JoinRequest,
) -> Result<(NodeId, ClusterMap), NodeError> {
    match &settings.origin {
        // Other machines can reach this node, so an empty directory may mean a lost disk: it forms no cluster unasked.
        Origin::Unsaid if !settings.listen.ip().is_loopback() || !settings.peer_listen.ip().is_loopback() => {
            Err(NodeError::NoOrigin { dir: settings.data_dir.clone() })
        }
        Origin::Unsaid | Origin::Bootstrap(_) => {
            let nodes = if let Origin::Bootstrap(nodes) = settings.origin { nodes } else { 1 };
            let (shards, replication_factor) = (settings.shards, settings.replication_factor);
            let timings = read_timings(settings);
            if settings.origin == Origin::Unsaid {
                tracing::info!(
                    "the data directory is empty and neither --bootstrap nor --join is given: a new cluster of one node"
                );
            }
            // The forming node is number 1 of its cluster.
            let plan = FormationPlan { nodes, shards, replication_factor, timings };
            Ok((1, formation.gather_nodes(me, plan).await?))
        }
        Origin::Join(urls) => match join::ask_to_join(urls, me).await? {
            JoinAnswer::Member { node, map } => Ok((node, *map)),
            other => Err(NodeError::Refused { url: urls.join(", "), reason: format!("{other:?}") }),
        },
    }
}
