//! Chooses the next safe step from the members that a group has to those that it should have.
//!
//! Pure: comes in what is wanted and what is, goes out the next step. Each step may be taken again after a crash
//! anywhere, because it is chosen anew from what is. Voters change by joint consensus (Ongaro's thesis, § 4.3) in a
//! single step.

use std::collections::BTreeSet;

use crate::{GroupStatus, NodeId, Role};

/// Entries that a learner may lack when it is given a vote. It catches up with so few at once.
const CLOSE_ENTRIES: u64 = 64;

/// The next step of the leader towards the wanted members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MembershipStep {
    /// The members are as wanted.
    Done,
    /// Let this node copy the log, without a vote.
    AddLearner(NodeId),
    /// Wait: these learners still lack too much of the log to be given a vote.
    AwaitLearners(BTreeSet<NodeId>),
    /// Hand leadership to this node, because the leader itself must go and should not vote itself out.
    TransferLeader(NodeId),
    /// Make exactly these nodes the voters. A node that loses its vote stays as a learner.
    ChangeVoters(BTreeSet<NodeId>),
    /// Let these learners go.
    RemoveLearners(BTreeSet<NodeId>),
}

/// Returns the next step towards the voters `wanted`, for the leader with the status `actual`.
pub fn next_step(wanted: &BTreeSet<NodeId>, actual: &GroupStatus) -> MembershipStep {
    let step = choose_step(wanted, actual);
    debug_assert_eq!(check_step(&step, actual), Ok(()));
    step
}

/// Says what is unsafe about a step, if anything is. These rules hold whatever is wanted.
fn check_step(step: &MembershipStep, actual: &GroupStatus) -> Result<(), String> {
    let is_member = |node: &NodeId| actual.voters.contains(node) || actual.learners.contains(node);
    let holds = match step {
        MembershipStep::Done => true,
        MembershipStep::AddLearner(node) => !is_member(node),
        // Only members get a vote, because they have been copying the log.
        MembershipStep::AwaitLearners(nodes) | MembershipStep::ChangeVoters(nodes) => nodes.iter().all(is_member),
        MembershipStep::TransferLeader(node) => actual.voters.contains(node) && actual.leader != Some(*node),
        // No voter is removed.
        MembershipStep::RemoveLearners(nodes) => nodes.iter().all(|node| !actual.voters.contains(node)),
    };
    if holds { Ok(()) } else { Err(format!("{step:?} of {:?} and {:?}", actual.voters, actual.learners)) }
}

fn choose_step(wanted: &BTreeSet<NodeId>, actual: &GroupStatus) -> MembershipStep {
    let members: BTreeSet<NodeId> = actual.voters.union(&actual.learners).copied().collect();
    if let Some(new) = wanted.difference(&members).next() {
        return MembershipStep::AddLearner(*new);
    }
    if actual.joint || actual.voters != *wanted {
        // A newcomer votes only once its own log says that it is a member. If it had a vote before that, an election
        // could need it while it does not vote, and no leader would be left to send it that entry.
        let told_at = actual.members_at.unwrap_or(actual.last_log);
        let caught_up = |at: u64| at >= told_at && at + CLOSE_ENTRIES >= actual.last_log;
        let near = |node: &NodeId| actual.matched.get(node).is_some_and(|at| caught_up(*at));
        let close = |node: &&NodeId| near(node) && !actual.silent.contains(node);
        let behind: BTreeSet<_> = wanted.difference(&actual.voters).filter(|node| !close(node)).copied().collect();
        if !behind.is_empty() {
            return MembershipStep::AwaitLearners(behind);
        }
        return hand_over(wanted, actual).unwrap_or_else(|| MembershipStep::ChangeVoters(wanted.clone()));
    }
    // Former voters stay as learners until the change is committed, and are removed after it.
    let leftover: BTreeSet<_> = actual.learners.difference(wanted).copied().collect();
    if leftover.is_empty() {
        return MembershipStep::Done;
    }
    // A leader that lost its vote may still lead. If it removed itself, it would be asked for the next change as
    // well, and openraft asserts that whoever changes the members is a member.
    hand_over(wanted, actual).unwrap_or(MembershipStep::RemoveLearners(leftover))
}

/// If the leader itself must go: the step by which a voter that stays takes over, if one answers.
fn hand_over(wanted: &BTreeSet<NodeId>, actual: &GroupStatus) -> Option<MembershipStep> {
    actual.leader.filter(|leader| !wanted.contains(leader))?;
    let candidates = wanted.intersection(&actual.voters).filter(|node| !actual.silent.contains(node));
    candidates.max_by_key(|node| actual.matched.get(node).copied()).map(|node| MembershipStep::TransferLeader(*node))
}

/// Returns `true` if leadership can pass from the leader with this status to `node` without a pause. Then `node`
/// votes, answers and lacks few entries, and the members are not being changed.
pub fn can_take_over(node: NodeId, leader: &GroupStatus) -> bool {
    let near = leader.matched.get(&node).is_some_and(|at| at + CLOSE_ENTRIES >= leader.last_log);
    let settled = !leader.joint && leader.members_at.is_some();
    let is_other = leader.role == Role::Leader && leader.leader != Some(node);
    is_other && settled && near && leader.voters.contains(&node) && !leader.silent.contains(&node)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::GroupId;

    fn status(voters: BTreeSet<NodeId>, learners: BTreeSet<NodeId>) -> GroupStatus {
        GroupStatus {
            group: GroupId(1),
            role: Role::Leader,
            term: 1,
            leader: voters.first().copied(),
            last_log: 1000,
            committed: 1000,
            applied: 1000,
            snapshot: 0,
            purged: 0,
            matched: voters.iter().map(|node| (*node, 1000)).collect(),
            voters,
            learners,
            joint: false,
            leader_contact: None,
            catching_up: false,
            silent: BTreeSet::new(),
            members_at: Some(1),
            stopped: None,
            digests: std::collections::BTreeMap::new(),
        }
    }

    /// Changes the status as the group would, at once.
    fn take(step: &MembershipStep, actual: &mut GroupStatus) {
        match step {
            MembershipStep::Done => {}
            MembershipStep::AddLearner(node) => drop(actual.learners.insert(*node)),
            MembershipStep::AwaitLearners(nodes) => actual.matched.extend(nodes.iter().map(|node| (*node, 1000))),
            MembershipStep::TransferLeader(node) => actual.leader = Some(*node),
            MembershipStep::ChangeVoters(nodes) => {
                let former = std::mem::replace(&mut actual.voters, nodes.clone());
                actual.learners.extend(former);
                actual.learners.retain(|node| !nodes.contains(node));
            }
            MembershipStep::RemoveLearners(nodes) => actual.learners.retain(|node| !nodes.contains(node)),
        }
    }

    proptest! {
        #[test]
        fn every_walk_ends_where_it_should(
            voters in prop::collection::btree_set(0u64..8, 1..5), wanted in prop::collection::btree_set(0u64..8, 1..5),
        ) {
            let mut actual = status(voters, BTreeSet::new());
            for _ in 0..20 {
                let step = next_step(&wanted, &actual);
                if step == MembershipStep::Done {
                    break;
                }
                if let MembershipStep::ChangeVoters(next) = &step {
                    let ready = |node: &NodeId| actual.voters.contains(node) || actual.learners.contains(node);
                    prop_assert!(next.iter().all(ready), "a node is given a vote before it has the log");
                }
                take(&step, &mut actual);
            }
            // The walk has ended, with exactly the wanted voters and no learner.
            prop_assert_eq!(next_step(&wanted, &actual), MembershipStep::Done);
            prop_assert_eq!(&actual.voters, &wanted);
            prop_assert!(actual.learners.is_empty());
        }
    }

    #[test]
    fn a_learner_far_behind_gets_no_vote() {
        let mut actual = status([1, 2, 3].into(), [4].into());
        actual.matched.insert(4, 100);
        let wanted = [2, 3, 4].into();
        assert_eq!(next_step(&wanted, &actual), MembershipStep::AwaitLearners([4].into()));
        actual.matched.insert(4, 990);
        assert_eq!(next_step(&wanted, &actual), MembershipStep::TransferLeader(3));
    }

    #[test]
    fn a_learner_that_does_not_know_itself_yet_gets_no_vote() {
        let mut actual = status([1, 2, 3].into(), [4].into());
        actual.members_at = Some(980);
        actual.matched.insert(4, 979);
        assert_eq!(next_step(&[3, 4].into(), &actual), MembershipStep::AwaitLearners([4].into()));
        actual.matched.insert(4, 980);
        assert_eq!(next_step(&[1, 4].into(), &actual), MembershipStep::ChangeVoters([1, 4].into()));
    }

    #[test]
    fn a_leader_without_a_vote_does_not_remove_itself() {
        let mut actual = status([1, 2].into(), [3, 4].into());
        actual.leader = Some(3);
        assert!(matches!(next_step(&[1, 2].into(), &actual), MembershipStep::TransferLeader(1 | 2)));
        actual.leader = Some(1);
        assert_eq!(next_step(&[1, 2].into(), &actual), MembershipStep::RemoveLearners([3, 4].into()));
    }

    #[test]
    fn a_change_that_was_interrupted_is_finished() {
        let mut actual = status([1, 2, 3].into(), BTreeSet::new());
        actual.joint = true;
        assert_eq!(next_step(&[1, 2, 3].into(), &actual), MembershipStep::ChangeVoters([1, 2, 3].into()));
    }
}
