//! Which survivor of a group that has lost its majority goes on alone. Pure, and the same on every survivor: each judges
//! by the reports of all of them, not by what its own replica happens to know.
//!
//! 1. The report that holds the most (Raft, § 5.4.1) knows the newest membership. That membership is judged: a replica
//!    that missed a change of members knows an older one.
//! 2. Where each of its halves keeps a majority, nothing is done.
//! 3. Otherwise every node that any report names must be lost or have reported; then the member that holds the most
//!    goes on alone.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use raft_groups::NodeId;
use raft_groups::mutants::{Mutant, is_planted};
use serde::{Deserialize, Serialize};

/// What a survivor's replica knows of its group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survivor {
    /// Members with a vote, by the last membership in its log: one set, or two while the group changes from the first to
    /// the second. Each needs a majority of its own.
    pub voters: Vec<BTreeSet<NodeId>>,
    /// Members without one.
    pub learners: BTreeSet<NodeId>,
    /// Term and index of its last log entry: the greater, the more it holds (Raft, § 5.4.1).
    pub last: (u64, u64),
    /// The greatest term it has heard of.
    pub term: u64,
}

impl Survivor {
    /// All members.
    pub fn members(&self) -> BTreeSet<NodeId> {
        self.voters.iter().flatten().chain(&self.learners).copied().collect()
    }

    /// Whether each half of the membership has a majority among the nodes that `lives` says are left.
    fn keeps_majority(&self, lives: impl Fn(NodeId) -> bool) -> bool {
        let has_majority = |half: &BTreeSet<NodeId>| 2 * half.iter().filter(|node| lives(**node)).count() > half.len();
        if is_planted(Mutant::JudgesTheUnion) {
            return has_majority(&self.voters.iter().flatten().copied().collect());
        }
        self.voters.iter().all(has_majority)
    }
}

/// What is to become of a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// The group has a majority without the lost nodes: nothing is done, it repairs itself.
    HasMajority,
    /// This replica holds the most of all that are left: it goes on as the only member.
    GoesOnAlone,
    /// That node's replica holds more, or as much: it goes on, and this one is replaced by a copy of it.
    LeftTo {
        /// The node.
        node: NodeId,
    },
    /// Nobody knows yet who holds the most: these survivors have not reported.
    NeedsReports {
        /// The nodes.
        of: BTreeSet<NodeId>,
    },
    /// The group does not count the replica's node among its members any more: it is not asked.
    NoMember,
}

/// Decides about the replica of `me`. `reports` are those of all survivors, with that of `me`; one that reported to hold no
/// sound replica is `None` there. `known` are the nodes of the cluster as far as any survivor knows them: who is neither
/// lost nor has reported may know more.
pub fn verdict(
    me: NodeId,
    lost: &BTreeSet<NodeId>,
    known: &BTreeSet<NodeId>,
    reports: &BTreeMap<NodeId, Option<Survivor>>,
) -> Verdict {
    let sound = || reports.iter().filter_map(|(node, copy)| Some((*node, copy.as_ref()?)));
    // The newest log decides, and of equals the lowest node, so all survivors judge alike.
    let holds_most = |(node, copy): &(NodeId, &Survivor)| (copy.last, Reverse(*node));
    let newest = match is_planted(Mutant::JudgesByItself) {
        true => reports.get(&me).and_then(Option::as_ref),
        false => sound().max_by_key(holds_most).map(|(_, copy)| copy),
    };
    let Some(newest) = newest else { return Verdict::NoMember };

    // Who has not reported is taken to be sound: where that is enough, nothing is done.
    let may_live = |node| !lost.contains(&node) && !matches!(reports.get(&node), Some(None));
    if newest.keeps_majority(may_live) {
        return Verdict::HasMajority;
    }
    // A silent node may know more, so nothing is done before all of them are heard.
    let named = sound().flat_map(|(_, copy)| copy.members()).chain(known.iter().copied());
    let silent: BTreeSet<NodeId> = named.filter(|node| !lost.contains(node) && !reports.contains_key(node)).collect();
    if !silent.is_empty() {
        return Verdict::NeedsReports { of: silent };
    }
    let members = newest.members();
    // Of the members that survive, the one with the newest log goes on. All others leave it to that one.
    match sound().filter(|(node, _)| members.contains(node) && !lost.contains(node)).max_by_key(holds_most) {
        _ if !members.contains(&me) => Verdict::NoMember,
        Some((node, _)) if node != me => Verdict::LeftTo { node },
        Some(_) => Verdict::GoesOnAlone,
        None => Verdict::NoMember,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use raft_groups::mutants::plant;

    use super::*;

    fn set(nodes: impl IntoIterator<Item = NodeId>) -> BTreeSet<NodeId> {
        nodes.into_iter().collect()
    }

    fn survivor(voters: Vec<BTreeSet<NodeId>>, last: (u64, u64)) -> Survivor {
        Survivor { voters, learners: BTreeSet::new(), last, term: last.0 }
    }

    /// What each survivor is told when all of them have reported.
    fn verdicts(lost: &BTreeSet<NodeId>, reports: &BTreeMap<NodeId, Option<Survivor>>) -> BTreeMap<NodeId, Verdict> {
        let known = reports.keys().copied().collect();
        let sound = reports.iter().filter(|(_, copy)| copy.is_some());
        sound.map(|(me, _)| (*me, verdict(*me, lost, &known, reports))).collect()
    }

    fn alone(verdicts: &BTreeMap<NodeId, Verdict>) -> Vec<NodeId> {
        verdicts.iter().filter(|(_, verdict)| **verdict == Verdict::GoesOnAlone).map(|(node, _)| *node).collect()
    }

    /// A group's memberships in the order of its log, one half or two, over nodes 1 to 7.
    fn memberships() -> impl Strategy<Value = Vec<Vec<BTreeSet<NodeId>>>> {
        let half = || prop::collection::btree_set(1u64..8, 1..5);
        let stable = prop::collection::vec(half(), 1..5);
        stable.prop_map(|stable| {
            let changes = stable.windows(2).flat_map(|two| [two.to_vec(), vec![two[1].clone()]]);
            std::iter::once(vec![stable[0].clone()]).chain(changes).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// Each node holds the group's log up to some entry; any of them are lost.
        #[test]
        fn at_most_one_goes_on_and_it_holds_the_most_of_all_members(
            memberships in memberships(),
            held in prop::collection::vec(prop::option::weighted(0.9, 0usize..99), 7),
            lost in prop::collection::btree_set(1u64..8, 0..7),
        ) {
            let copy = |held: usize| {
                let entry = held % memberships.len();
                survivor(memberships[entry].clone(), (1 + entry as u64 / 2, entry as u64))
            };
            let reports: BTreeMap<NodeId, Option<Survivor>> = (1..8u64).zip(&held)
                .filter(|(node, _)| !lost.contains(node)).map(|(node, held)| (node, held.map(copy))).collect();
            let verdicts = verdicts(&lost, &reports);
            let alone = alone(&verdicts);
            prop_assert!(alone.len() <= 1, "{:?}", verdicts);
            let newest = reports.values().flatten().max_by_key(|copy| copy.last);
            let Some(newest) = newest else { return Ok(()) };
            let lives = |node: &NodeId| reports.get(node).is_some_and(Option::is_some);
            let kept = newest.voters.iter().all(|half| 2 * half.iter().filter(|node| lives(node)).count() > half.len());
            prop_assert_eq!(kept, verdicts.values().any(|verdict| *verdict == Verdict::HasMajority));
            if let [winner] = alone[..] {
                let members = newest.members();
                let last_of = |node: &NodeId| reports[node].as_ref().map(|copy| copy.last);
                prop_assert!(members.contains(&winner));
                prop_assert!(members.iter().filter(|node| lives(node)).all(|node| last_of(node) <= last_of(&winner)));
            } else if !kept {
                prop_assert!(!newest.members().iter().any(lives), "a member is left and none goes on: {:?}", verdicts);
            }
        }
    }

    /// Members were 1, 2, 3; then 4 came in the place of 1, of which 1 and another did not hear.
    fn one_missed_a_change() -> BTreeMap<NodeId, Option<Survivor>> {
        let (before, after) = (vec![set([1, 2, 3])], vec![set([2, 3, 4])]);
        BTreeMap::from([(1, Some(survivor(before, (2, 12)))), (4, Some(survivor(after, (3, 58))))])
    }

    #[test]
    fn a_survivor_that_missed_a_change_of_members_does_not_go_on_beside_another() {
        let lost = set([2, 3]);
        let told = verdicts(&lost, &one_missed_a_change());
        assert_eq!(told, BTreeMap::from([(1, Verdict::NoMember), (4, Verdict::GoesOnAlone)]));
        let _bug = plant(Mutant::JudgesByItself);
        assert_eq!(alone(&verdicts(&lost, &one_missed_a_change())), [1, 4], "the bug is not planted");
    }

    #[test]
    fn a_joint_membership_needs_a_majority_of_each_half() {
        let joint = vec![set([1, 2, 3]), set([3, 4, 5])];
        let lost = set([1, 2]);
        let reports = |last| (3..6).map(|node| (node, Some(survivor(joint.clone(), (2, last + node))))).collect();
        let told = verdicts(&lost, &reports(10));
        assert_eq!(alone(&told), [5], "{told:?}");
        let one_lost = verdicts(&set([1]), &(2..6).map(|n| (n, Some(survivor(joint.clone(), (2, n))))).collect());
        assert!(one_lost.values().all(|verdict| *verdict == Verdict::HasMajority));
        let _bug = plant(Mutant::JudgesTheUnion);
        let told = verdicts(&lost, &reports(10));
        assert!(told.values().all(|verdict| *verdict == Verdict::HasMajority), "the bug is not planted: {told:?}");
    }

    #[test]
    fn nobody_goes_on_before_all_survivors_have_reported() {
        let mine = survivor(vec![set(1..=5)], (3, 9));
        let lost = set([3, 4, 5]);
        let told = |known: &BTreeSet<NodeId>, others: &[(NodeId, Option<Survivor>)]| {
            let mut reports = BTreeMap::from([(1, Some(mine.clone()))]);
            reports.extend(others.iter().cloned());
            verdict(1, &lost, known, &reports)
        };
        assert_eq!(told(&set([]), &[]), Verdict::NeedsReports { of: set([2]) });
        assert_eq!(told(&set([]), &[(2, None)]), Verdict::GoesOnAlone);
        // A node that only the map knows may hold more.
        assert_eq!(told(&set([1, 6]), &[(2, None)]), Verdict::NeedsReports { of: set([6]) });
        assert_eq!(told(&set([1, 6]), &[(2, None), (6, None)]), Verdict::GoesOnAlone);
    }

    #[test]
    fn what_reported_to_be_damaged_is_no_part_of_a_majority() {
        let reports = BTreeMap::from([(1, Some(survivor(vec![set(1..=3)], (3, 9)))), (2, None)]);
        assert_eq!(verdict(1, &set([3]), &set([]), &reports), Verdict::GoesOnAlone);
    }

    #[test]
    fn a_learner_goes_on_where_it_holds_the_most() {
        let mine = Survivor { learners: set([4]), ..survivor(vec![set(1..=3)], (2, 7)) };
        let reports = BTreeMap::from([(4, Some(mine.clone()))]);
        assert_eq!(verdict(4, &set([1, 2, 3]), &set([]), &reports), Verdict::GoesOnAlone);
        assert_eq!(verdict(4, &set([1, 2]), &set([]), &reports), Verdict::NeedsReports { of: set([3]) });
        let behind = Survivor { last: (2, 6), ..mine.clone() };
        let both = BTreeMap::from([(3, Some(behind)), (4, Some(mine))]);
        assert_eq!(alone(&verdicts(&set([1, 2]), &both)), [4], "only it has the last entry");
    }
}
