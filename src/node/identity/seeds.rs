//! Keeps in the node's own file where the cluster's nodes are and what its timings are.
//!
//! Comes in: the map, whenever it changes. Goes out: `node.json`, out of which the next start finds the other nodes
//! and takes on the timings. Must not take the timings on in a running node: its groups keep those that they were
//! opened with.

use super::identity_file::{ClusterMembership, IdentityFile};
use crate::node::control::map_feed;
use crate::routing::MapCell;

/// Writes both down whenever one of them has changed, for ever.
pub(in crate::node) async fn save_seeds_and_timings(mut identity: IdentityFile, map: MapCell) {
    let mut changes = map.watch();
    loop {
        let known = map.get();
        let (seeds, timings) = (map_feed::list_urls(&known), known.timings);
        let differs =
            |member: &ClusterMembership| member.seeds != seeds || timings.is_some() && member.timings != timings;
        if let Some(member) = identity.identity.member.clone().filter(differs) {
            let timings = timings.or(member.timings);
            if timings != member.timings {
                tracing::warn!("the cluster's timings have changed: this node takes them on when it is started again");
            }
            if let Err(error) = identity.set_member(ClusterMembership { seeds, timings, ..member }) {
                tracing::warn!(%error, "what the map says is not written down; the next change is another chance");
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}
