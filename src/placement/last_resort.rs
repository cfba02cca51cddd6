//! Which survivor of a group that has lost its majority goes on alone. Pure, and the same on every survivor: each
//! decides about its own replica, from what all survivors hold.

use std::collections::{BTreeMap, BTreeSet};

use raft_groups::NodeId;
use serde::{Deserialize, Serialize};

/// What a survivor's replica knows of its group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survivor {
    /// Members with a vote, by the last membership in its log.
    pub voters: BTreeSet<NodeId>,
    /// Members without one.
    pub learners: BTreeSet<NodeId>,
    /// Term and index of its last log entry: the greater, the more it holds (Raft, § 5.4.1).
    pub last: (u64, u64),
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
    /// The replica belongs to no member any more: it is not asked.
    NoMember,
}

/// Decides about the replica of `me`. `others` are the survivors that reported; one that reported to hold no sound
/// replica is `None` there.
pub fn verdict(
    me: NodeId,
    lost: &BTreeSet<NodeId>,
    mine: &Survivor,
    others: &BTreeMap<NodeId, Option<Survivor>>,
) -> Verdict {
    let left: BTreeSet<NodeId> = mine.voters.difference(lost).copied().collect();
    if 2 * left.len() > mine.voters.len() {
        return Verdict::HasMajority;
    }
    // Where no voter is left, a learner's copy is better than none.
    let candidates = if left.is_empty() { mine.learners.difference(lost).copied().collect() } else { left };
    if !candidates.contains(&me) {
        return Verdict::NoMember;
    }
    let silent: BTreeSet<NodeId> =
        candidates.iter().copied().filter(|node| *node != me && !others.contains_key(node)).collect();
    if !silent.is_empty() {
        return Verdict::NeedsReports { of: silent };
    }
    let copies = candidates.iter().filter_map(|node| match *node == me {
        true => Some((mine.last, *node)),
        false => others[node].as_ref().map(|copy| (copy.last, *node)),
    });
    let best = copies.max_by_key(|(last, node)| (*last, std::cmp::Reverse(*node)));
    match best {
        Some((_, node)) if node != me => Verdict::LeftTo { node },
        _ => Verdict::GoesOnAlone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn survivor(voters: impl IntoIterator<Item = NodeId>, last: (u64, u64)) -> Survivor {
        Survivor { voters: voters.into_iter().collect(), learners: BTreeSet::new(), last }
    }

    proptest! {
        #[test]
        fn one_goes_on_and_it_holds_the_most(
            lasts in prop::collection::vec((1u64..4, 1u64..9), 3..6), lost in prop::collection::btree_set(1u64..6, 0..5),
        ) {
            let voters: BTreeSet<NodeId> = (1..=lasts.len() as u64).collect();
            let copies: BTreeMap<NodeId, Survivor> =
                voters.iter().zip(&lasts).map(|(node, last)| (*node, survivor(voters.clone(), *last))).collect();
            let left: BTreeSet<NodeId> = voters.difference(&lost).copied().collect();
            let verdicts: BTreeMap<NodeId, Verdict> = left.iter().map(|me| {
                let others = left.iter().filter(|node| *node != me);
                let others = others.map(|node| (*node, Some(copies[node].clone()))).collect();
                (*me, verdict(*me, &lost, &copies[me], &others))
            }).collect();
            if 2 * left.len() > voters.len() {
                prop_assert!(verdicts.values().all(|verdict| *verdict == Verdict::HasMajority));
            } else if !left.is_empty() {
                let alone: Vec<NodeId> =
                    verdicts.iter().filter(|(_, v)| **v == Verdict::GoesOnAlone).map(|(node, _)| *node).collect();
                prop_assert_eq!(alone.len(), 1, "{:?}", verdicts);
                prop_assert!(left.iter().all(|node| copies[node].last <= copies[&alone[0]].last));
                let rest = verdicts.values().filter(|v| **v == Verdict::LeftTo { node: alone[0] }).count();
                prop_assert_eq!(rest, left.len() - 1);
            }
        }
    }

    #[test]
    fn nobody_goes_on_before_all_survivors_have_reported() {
        let mine = survivor(1..=5, (3, 9));
        let lost = BTreeSet::from([3, 4, 5]);
        let unknown = verdict(1, &lost, &mine, &BTreeMap::new());
        assert_eq!(unknown, Verdict::NeedsReports { of: BTreeSet::from([2]) });
        let has_none = BTreeMap::from([(2, None)]);
        assert_eq!(verdict(1, &lost, &mine, &has_none), Verdict::GoesOnAlone);
    }

    #[test]
    fn a_learner_goes_on_only_where_no_voter_is_left() {
        let mine = Survivor { learners: BTreeSet::from([4]), ..survivor(1..=3, (2, 7)) };
        assert_eq!(verdict(4, &BTreeSet::from([1, 2, 3]), &mine, &BTreeMap::new()), Verdict::GoesOnAlone);
        assert_eq!(verdict(4, &BTreeSet::from([1, 2]), &mine, &BTreeMap::new()), Verdict::NoMember);
    }
}
