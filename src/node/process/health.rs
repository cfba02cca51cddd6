//! How fit a node is to serve. This file is pure: others collect the signs that it judges.
//!
//! Comes in: [`HealthSigns`]. Goes out: a state, and the checks that explain it. Must not know where the signs come
//! from.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::HealthState;
use crate::gateway::NodeHealth;

/// What health says of a directory that is gone: what the node writes now is in no file that a later start finds.
const LOST_DIRECTORY: &str = "the data directory is gone while the node runs: nothing that it writes outlives it. Put \
                              the directory back and restart it; where it is lost, have the node leave and join anew \
                              with an empty one";

/// What health and the log say beside the groups without a leader.
pub(super) const NO_LEADER: &str = "no leader is known here for these groups, so they take no writes from here: `quiver cluster \
                         health` says which nodes are missing";

/// What a node's health is judged from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct HealthSigns {
    /// The process is about to stop.
    pub stopping: bool,
    /// There is a formed map, and the replicas were opened.
    pub opened: bool,
    /// The node was ready once since it started.
    pub was_ready: bool,
    /// Groups with a replica here.
    pub groups: usize,
    /// Those of these groups whose leader is known.
    pub with_leader: usize,
    /// The names of the others.
    pub leaderless: Vec<String>,
    /// What the node waits for before it has a place in a cluster.
    pub waits_for: Option<String>,
    /// The data directory was removed while the process runs, or another file system was mounted over it.
    pub has_lost_directory: bool,
    /// Groups whose replica here has stopped, each with the reason.
    pub stopped: Vec<String>,
    /// Groups whose replica here stays closed, each with the reason.
    pub quarantined: Vec<String>,
}

impl HealthSigns {
    /// Returns `true` if the replicas are open and every group knows its leader.
    pub fn is_ready(&self) -> bool {
        self.opened && self.with_leader == self.groups
    }

    /// Judges the signs. A node that was ready and has lost a leader still serves its other groups, and reads at ONE.
    /// So it is degraded, not starting.
    pub fn judge(&self) -> NodeHealth {
        // The first sign that holds decides: a node that stops is draining, whatever else is wrong.
        let state = if self.stopping {
            HealthState::Draining
        } else if !self.is_ready() && !self.was_ready {
            HealthState::Starting
        } else if !self.is_ready()
            || self.has_lost_directory
            || !self.stopped.is_empty()
            || !self.quarantined.is_empty()
        {
            HealthState::Degraded
        } else {
            HealthState::Healthy
        };
        NodeHealth { state, checks: self.list_checks() }
    }

    fn list_checks(&self) -> BTreeMap<String, Value> {
        let mut checks = BTreeMap::from([
            ("formed".to_owned(), json!(self.opened)),
            ("leaders".to_owned(), json!({ "groups": self.groups, "known": self.with_leader })),
        ]);
        if self.has_lost_directory {
            checks.insert("data_dir".to_owned(), json!(LOST_DIRECTORY));
        }
        if !self.leaderless.is_empty() {
            checks.insert("no_leader".to_owned(), json!({ "groups": self.leaderless, "reason": NO_LEADER }));
        }
        if let Some(wait) = &self.waits_for {
            checks.insert("waits_for".to_owned(), json!(wait));
        }
        // A check about replicas is shown only where there is something wrong.
        for (name, list) in [("stopped", &self.stopped), ("quarantined", &self.quarantined)] {
            if !list.is_empty() {
                checks.insert(name.to_owned(), json!(list));
            }
        }
        checks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(change: impl FnOnce(&mut HealthSigns)) -> HealthState {
        let mut signs =
            HealthSigns { opened: true, was_ready: true, groups: 9, with_leader: 9, ..HealthSigns::default() };
        change(&mut signs);
        signs.judge().state
    }

    #[test]
    fn what_is_missing_is_told_in_words() {
        let checks = HealthSigns { leaderless: vec!["shard 3".to_owned()], ..HealthSigns::default() }.judge().checks;
        assert_eq!(checks["no_leader"]["groups"], json!(["shard 3"]));
        assert!(!checks.contains_key("waits_for"));
        let checks = HealthSigns { waits_for: Some("2 nodes".to_owned()), ..HealthSigns::default() }.judge().checks;
        assert_eq!(checks["waits_for"], json!("2 nodes"));
    }

    #[test]
    fn each_sign_has_its_verdict() {
        assert_eq!(state(|_| {}), HealthState::Healthy);
        assert_eq!(state(|s| s.stopping = true), HealthState::Draining);
        assert_eq!(state(|s| s.with_leader = 8), HealthState::Degraded);
        assert_eq!(state(|s| s.quarantined = vec!["damaged".to_owned()]), HealthState::Degraded);
        assert_eq!(state(|s| s.stopped = vec!["disk full".to_owned()]), HealthState::Degraded);
        assert_eq!(state(|s| s.has_lost_directory = true), HealthState::Degraded);
        let young = |s: &mut HealthSigns| (s.was_ready, s.with_leader) = (false, 8);
        assert_eq!(state(young), HealthState::Starting);
        assert_eq!(HealthSigns::default().judge().state, HealthState::Starting);
    }
}
