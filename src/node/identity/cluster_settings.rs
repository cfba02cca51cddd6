//! Settings that belong to a cluster: what the flags of this start ask for, beside what the cluster has.
//!
//! Comes in: the settings and the node's place in a cluster. Goes out: warnings of flags without effect, and the
//! timings and Raft settings that the node runs with.

use std::time::Duration;

use raft_groups::RaftSettings;

use super::identity_file::ClusterMembership;
use crate::config::{Origin, ServerSettings};
use crate::placement::RaftTimings;

/// Warns of flags that ask for another cluster than the directory's. Flags that ask for the same pass in silence,
/// because a service starts with the same flags each time.
pub(super) fn warn_of_ignored_flags(settings: &ServerSettings, member: &ClusterMembership) {
    warn_of_ignored_timings(settings, member);
    let map = &member.first_map;
    let differs = |flag: &str| match flag {
        // Timings have a warning of their own.
        "--heartbeat-ms" | "--election-min-ms" | "--election-max-ms" => false,
        // A member uses it to tell other members where it is.
        "--join" => false,
        "--bootstrap" => settings.origin != Origin::Bootstrap(map.nodes.len()),
        "--shards" => settings.shards as usize != map.shards.len(),
        "--replication-factor" => settings.replication_factor.is_some_and(|copies| copies != map.wanted_factor),
        _ => true,
    };
    for flag in settings.of_new_cluster.iter().filter(|flag| differs(flag)) {
        let (nodes, shards, copies) = (map.nodes.len(), map.shards.len(), map.replication_factor);
        tracing::warn!(
            nodes,
            shards,
            copies,
            "{flag} is ignored: the data directory belongs to a cluster already, which stays as it was formed; for a \
             new cluster choose an empty --data-dir"
        );
    }
}

/// Warns of timings that are asked for and are not the cluster's.
pub(super) fn warn_of_ignored_timings(settings: &ServerSettings, member: &ClusterMembership) {
    // A cluster without timings of its own runs with each node's flags.
    let (Some(timings), asked) = (member.timings, read_timings(settings)) else { return };
    let differs = |flag: &str| match flag {
        "--heartbeat-ms" => asked.heartbeat_ms != timings.heartbeat_ms,
        "--election-min-ms" => asked.election_min_ms != timings.election_min_ms,
        "--election-max-ms" => asked.election_max_ms != timings.election_max_ms,
        _ => false,
    };
    for flag in settings.of_new_cluster.iter().filter(|flag| differs(flag)) {
        tracing::warn!(
            ?timings,
            "{flag} is ignored: timings are the cluster's; change them for all nodes by `quiver cluster timings`"
        );
    }
}

/// The timings of the node's flags. A new cluster gets them.
pub(in crate::node) fn read_timings(settings: &ServerSettings) -> RaftTimings {
    let millis = |duration: Duration| duration.as_millis() as u64;
    RaftTimings {
        heartbeat_ms: millis(settings.heartbeat),
        election_min_ms: millis(settings.election_min),
        election_max_ms: millis(settings.election_max),
    }
}

/// The settings of every group of this node, which run with `timings`.
pub(in crate::node) fn make_raft_settings(settings: &ServerSettings, timings: RaftTimings) -> RaftSettings {
    RaftSettings {
        heartbeat: timings.heartbeat(),
        election_min: timings.election_min(),
        election_max: timings.election_max(),
        snapshot_after: settings.snapshot_after,
        keep_entries: settings.keep_entries,
        snapshot_rate: settings.move_rate,
        ..RaftSettings::default()
    }
}
