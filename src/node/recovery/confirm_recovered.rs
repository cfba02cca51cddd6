//! Confirms in the map that groups go on with this node alone, after the recovery of last resort.
//!
//! Comes in: the groups that `node.json` names as recovered. Goes out: for each group one command into the map, written
//! by the group's only voter. Groups that the map knows of are taken out of `node.json`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use raft_groups::{GroupId, NodeId, Role};
use tokio::time::Instant;

use crate::node::control::map_feed;
use crate::node::identity::identity_file::{ClusterMembership, IdentityFile};
use crate::placement::{MetaCommand, MetaReply, ShardId};
use crate::routing::{LocalGroups, MapCell, Router};

/// How long one write into the map may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pause between two rounds.
const PAUSE: Duration = Duration::from_millis(500);

/// The loop that confirms, and what it needs.
pub(in crate::node) struct RecoveryConfirmation {
    pub me: NodeId,
    pub groups: Arc<LocalGroups>,
    pub router: Router,
    pub map: MapCell,
}

impl RecoveryConfirmation {
    /// Tells the map of the groups until it knows of all. Returns the file, so that others can write it.
    pub async fn confirm_all(self, mut identity: IdentityFile) -> IdentityFile {
        while let Some(member) = identity.identity.member.clone().filter(|member| !member.recovered.is_empty()) {
            map_feed::wait_until_formed(&self.map).await;
            // A group that cannot be confirmed yet is tried again in the next round.
            let mut left = member.recovered.clone();
            for group in &member.recovered {
                if self.confirm(*group).await {
                    left.remove(group);
                }
            }
            // The rest is written down, so that a restart tells only of these.
            if left != member.recovered
                && let Err(error) = identity.set_member(ClusterMembership { recovered: left, ..member })
            {
                tracing::warn!(%error, "node.json does not say yet that the map knows; the map is told once more");
            }
            tokio::time::sleep(PAUSE).await;
        }
        identity
    }

    /// Tells the map of one group, if this node is its leader and only voter. Returns `true` if the map knows of the
    /// recovery.
    async fn confirm(&self, group: GroupId) -> bool {
        // Only a leader without other voters may say so.
        let status = match ShardId::of_group(group) {
            Some(shard) => self.groups.shard(shard).map(|group| group.status()),
            None => self.groups.meta().map(|meta| meta.status()),
        };
        let alone = BTreeSet::from([self.me]);
        let status = status.filter(|status| status.role == Role::Leader && status.voters == alone);
        let Some(at) = status.and_then(|status| status.members_at) else { return false };
        // `Stale` means that the map already knows this, or something newer.
        let command = MetaCommand::Recover { group, node: self.me, at };
        match self.router.change_map(command, Instant::now() + PATIENCE).await {
            Ok(MetaReply::Confirmed | MetaReply::Stale) => {
                tracing::warn!(%group, "the map knows that this group goes on with this node alone");
                return true;
            }
            Ok(reply) => tracing::error!(%group, ?reply, "the map does not take this group's recovery"),
            Err(error) => tracing::debug!(%group, %error, "the map does not know of this group's recovery yet"),
        }
        false
    }
}
