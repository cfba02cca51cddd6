//! Nodes that are too far apart for the cluster's timings, as their reports tell. Pure.

use crate::api::Issue;
use crate::placement::RaftTimings;
use crate::routing::Overview;

/// The pair of nodes that are farthest apart, where elections cannot bear how far that is.
pub(in crate::gateway) fn issue(overview: &Overview) -> Option<Issue> {
    let map = &overview.map;
    let timings = map.timings.unwrap_or_default();
    let longest = timings.longest_round_trip_ms();
    // Each node measures its own round trips. The slowest one between two nodes of the map counts.
    let far = overview.reports().flat_map(|report| {
        let known = report.round_trips_ms.iter().filter(|(node, _)| map.nodes.contains_key(node));
        known
            .filter(|(_, took)| **took > longest)
            .map(|(node, took)| (*took, report.node.min(*node), report.node.max(*node)))
    });
    let (took, from, to) = far.max()?;
    // The fix names timings that bear the measured round trip.
    let RaftTimings { heartbeat_ms, election_min_ms, election_max_ms } = RaftTimings::for_round_trip(took);
    let message = format!(
        "{} and {} are too far apart for the timings: a message and its answer take {took} ms, and may take {longest} ms \
         while the shortest election timeout is {} ms; leaders are lost for no other reason",
        map.name_of(from),
        map.name_of(to),
        timings.election_min_ms
    );
    let fix = format!(
        "bring the nodes nearer, or raise the timings and restart the nodes one by one: `quiver cluster timings \
         --heartbeat-ms {heartbeat_ms} --election-min-ms {election_min_ms} --election-max-ms {election_max_ms}`"
    );
    Some(Issue { code: "nodes_too_far_apart".to_owned(), severity: "warning".to_owned(), message, fix })
}
