//! How a node entered and left groups since a step began, from the `membership` events; and what it is in each group
//! now, as the leaders see it. Pure: knows neither supervisor nor lesson.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::api::events::kind;
use crate::demo::supervisor::cluster_view::ClusterView;

/// The stages that one node went through, by groups.
#[derive(Debug, Default, PartialEq)]
pub(super) struct MembershipWalk {
    /// The groups in which it was a learner.
    pub learnt: BTreeSet<u64>,
    /// The groups in which it was a voter of a joint membership: of the old majority, of the new one, or of both.
    pub joint: BTreeSet<u64>,
}

impl MembershipWalk {
    /// Collects the stages of the node `name` from events.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Value>, name: &str) -> Self {
        let mut walk = Self::default();
        for event in events {
            let (Some(kind::MEMBERSHIP), Some(group)) = (event["kind"].as_str(), event["group"].as_u64()) else {
                continue;
            };
            // Voters and learners are listed by their names.
            let has = |list: &str| event[list].as_array().is_some_and(|all| all.iter().any(|node| node == name));
            if has("learners") {
                walk.learnt.insert(group);
            }
            if event["joint"] == true && has("voters") {
                walk.joint.insert(group);
            }
        }
        walk
    }
}

/// The groups that the node is a member of; `true` for those in which it is a voter and no change is under way.
pub(super) fn memberships(view: &ClusterView, name: &str, groups: impl Iterator<Item = u64>) -> BTreeMap<u64, bool> {
    let of = |group| {
        let (leader, _) = view.leader(group)?;
        let seen = view.replica(group, &leader)?;
        let is_member = seen.voters.contains(name) || seen.learners.contains(name);
        is_member.then(|| (group, seen.voters.contains(name) && !seen.joint))
    };
    groups.filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_walk_is_told_group_by_group_and_of_this_node_alone() {
        let membership = |group, voters: &[&str], learners: &[&str], joint| json!({"kind": "membership", "group": group, "voters": voters, "learners": learners, "joint": joint});
        let events = [
            membership(1, &["node1", "node2"], &["node3"], false),
            membership(1, &["node1", "node2", "node3"], &[], true),
            membership(2, &["node1", "node2"], &["node4"], false),
            membership(4, &["node1", "node2"], &[], true),
            json!({"kind": "status", "group": 5, "voters": ["node3"], "learners": ["node3"], "joint": true}),
        ];
        let walk = MembershipWalk::of(&events, "node3");
        assert_eq!(walk, MembershipWalk { learnt: [1].into(), joint: [1].into() });
        assert_eq!(MembershipWalk::of(&events, "node4"), MembershipWalk { learnt: [2].into(), joint: [].into() });
    }

    #[test]
    fn a_member_is_what_the_leader_says_it_is() {
        let mut view = ClusterView::default();
        for (group, voters, learners, joint) in [
            (0, json!(["node1", "node2"]), json!(["node3"]), false),
            (1, json!(["node1", "node3"]), json!([]), false),
            (2, json!(["node1", "node3"]), json!([]), true),
            (3, json!(["node1", "node2"]), json!([]), false),
        ] {
            view.see(&json!({"kind": "status", "node": "node1", "group": group, "term": 2, "role": "leader",
                               "voters": voters, "learners": learners, "joint": joint}));
        }
        // A follower's word does not count.
        view.see(
            &json!({"kind": "status", "node": "node2", "group": 3, "term": 2, "role": "follower", "voters": ["node3"]}),
        );
        assert_eq!(memberships(&view, "node3", 0..6), BTreeMap::from([(0, false), (1, true), (2, false)]));
    }
}
