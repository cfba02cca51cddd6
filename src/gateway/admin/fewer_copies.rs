//! Shards that are kept in fewer copies than the cluster was formed with, because it has too few nodes. Pure.

use crate::api::Issue;
use crate::routing::Overview;

/// The code of the issue. A cluster stays healthy with it: every copy that its nodes can hold is in place.
pub(super) const CODE: &str = "fewer_copies";

/// The issue of a cluster that has fewer nodes than the copies it was formed with; `None` where there are enough nodes.
pub(super) fn issue(overview: &Overview) -> Option<Issue> {
    let map = &overview.map;
    // Before there is a map, there are no copies to count.
    if !map.is_formed() || map.replication_factor >= map.wanted_factor {
        return None;
    }
    let (kept, wanted, nodes) = (map.replication_factor, map.wanted_factor, map.members());
    let message = format!(
        "each shard is kept in {kept} of the {wanted} copies that the cluster was formed with, since it has too few nodes \
         ({nodes})"
    );
    let fix = format!(
        "add a node: start it with --join, and take it with `quiver node join NAME HOST:PORT`; {} more are needed",
        wanted - kept
    );
    Some(Issue { code: CODE.to_owned(), severity: "warning".to_owned(), message, fix })
}
