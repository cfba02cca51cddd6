//! How long the last answers of each node took, and which of these times counts.
//!
//! Comes in: measurements. Goes out: for each node, the least of its last few, once there are enough. A busy node or
//! a new connection makes a measurement longer, never shorter.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;

use crate::{GroupId, NodeId};

/// Answers that are remembered of each node, and how many of them are needed for a result.
const REMEMBERED: usize = 8;
const NEEDED: usize = 3;

const _: () = assert!(0 < NEEDED && NEEDED <= REMEMBERED);

/// The times of the last answers, by node, the oldest first.
#[derive(Default)]
pub(crate) struct RoundTripTable(Mutex<BTreeMap<NodeId, VecDeque<Duration>>>);

impl RoundTripTable {
    /// Notes that an answer of `node` took this long.
    pub(super) fn note(&self, node: NodeId, took: Duration) {
        let mut known = self.0.lock();
        let last = known.entry(node).or_default();
        last.push_back(took);
        if last.len() > REMEMBERED {
            last.pop_front();
        }
        debug_assert!(last.len() <= REMEMBERED, "more answers of node {node} are kept than count");
    }

    /// Forgets all nodes that are not in `nodes`.
    pub(super) fn keep(&self, nodes: &BTreeMap<NodeId, GroupId>) {
        self.0.lock().retain(|node, _| nodes.contains_key(node));
    }

    /// Returns the least time of each node's last answers, for the nodes that have enough.
    pub(super) fn least_of_each(&self) -> BTreeMap<NodeId, Duration> {
        let known = self.0.lock();
        let enough = known.iter().filter(|(_, last)| last.len() >= NEEDED);
        enough.filter_map(|(node, last)| Some((*node, *last.iter().min()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_the_last_answers_counts_once_there_are_enough() {
        let (table, ms) = (RoundTripTable::default(), Duration::from_millis);
        for took in [900, 400] {
            table.note(2, ms(took));
        }
        assert!(table.least_of_each().is_empty(), "a new connection and a busy moment say nothing yet");
        table.note(2, ms(410));
        assert_eq!(table.least_of_each(), [(2, ms(400))].into());
        (0..REMEMBERED).for_each(|_| table.note(2, ms(450)));
        assert_eq!(table.least_of_each(), [(2, ms(450))].into(), "what is long ago is forgotten");
        table.keep(&[(3, GroupId(1))].into());
        assert!(table.least_of_each().is_empty());
    }
}
