//! Keeps in the node's own file where the cluster's nodes are and which timings it has.
//!
//! Comes in: the map, whenever it changes. Goes out: `node.json`, from which the next start knows the other nodes and
//! the timings. Must not change the timings of a running node: its groups keep those that they were opened with.

use super::identity_file::{ClusterMembership, IdentityFile};
use crate::node::control::map_feed;
use crate::routing::MapCell;

/// Writes the nodes' URLs and the timings into the node's file whenever they change, for ever.
pub(in crate::node) async fn save_seeds_and_timings(mut identity: IdentityFile, map: MapCell) {
    let mut changes = map.watch();
    loop {
        let known = map.get();
        let (seeds, timings) = (map_feed::list_urls(&known), known.timings);
        let differs =
            |member: &ClusterMembership| member.seeds != seeds || timings.is_some() && member.timings != timings;
        if let Some(member) = identity.identity.member.clone().filter(differs) {
            // A map without timings keeps those that the file has.
            let timings = timings.or(member.timings);
            // Groups keep the timings that they were opened with.
            if timings != member.timings {
                tracing::warn!("the cluster's timings have changed: this node takes them on when it is started again");
            }
            if let Err(error) = identity.set_member(ClusterMembership { seeds, timings, ..member }) {
                tracing::warn!(%error, "node.json has not taken what the map says; the next change tries again");
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}
