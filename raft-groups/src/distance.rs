//! How far other nodes are, as the least time in which a message and its answer came lately.
//!
//! Heartbeats cannot tell where it matters most: what takes longer than their patience is not waited for. So a question
//! that asks for nothing is sent now and then, on a connection of its own kind, and waited for far longer. Whatever is
//! answered counts, also a refusal. The least of some counts, since a busy node or a new connection only adds to it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::network::Lane;
use crate::network::wire::{Envelope, Request, encode};
use crate::{GroupId, GroupStatus, Host, NodeId};

/// Pause between two questions to a node.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Answers that are remembered of each node, and how many there must be before they count.
const REMEMBERED: usize = 8;
const NEEDED: usize = 3;

/// How long the last answers of each node took.
#[derive(Default)]
pub(crate) struct Distances(Mutex<BTreeMap<NodeId, VecDeque<Duration>>>);

impl Distances {
    /// An answer of `node` took so long.
    fn note(&self, node: NodeId, took: Duration) {
        let mut known = self.0.lock();
        let last = known.entry(node).or_default();
        last.push_back(took);
        if last.len() > REMEMBERED {
            last.pop_front();
        }
    }

    /// Forgets all nodes but these.
    fn keep(&self, nodes: &BTreeMap<NodeId, GroupId>) {
        self.0.lock().retain(|node, _| nodes.contains_key(node));
    }

    fn least(&self) -> BTreeMap<NodeId, Duration> {
        let known = self.0.lock();
        let enough = known.iter().filter(|(_, last)| last.len() >= NEEDED);
        enough.filter_map(|(node, last)| Some((*node, *last.iter().min()?))).collect()
    }
}

impl Host {
    /// How long a message to each peer and its answer take, where enough were answered lately.
    pub fn round_trips(&self) -> BTreeMap<NodeId, Duration> {
        self.0.distances.least()
    }

    /// Measures how far the peers of this node's groups are, for ever.
    pub async fn measure_distances(self) {
        loop {
            let peers = self.members();
            self.0.distances.keep(&peers);
            futures::future::join_all(peers.into_iter().map(|(node, group)| self.ask(node, group))).await;
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// The other members of this node's groups, each with a group that it has in common with this node.
    fn members(&self) -> BTreeMap<NodeId, GroupId> {
        let statuses: Vec<_> = self.0.groups.read().values().map(|open| open.inspect.status()).collect();
        let of = |status: GroupStatus| {
            let group = status.group;
            status.voters.into_iter().chain(status.learners).map(move |node| (node, group))
        };
        statuses.into_iter().flat_map(of).filter(|(node, _)| *node != self.identity().node).collect()
    }

    /// Asks a peer for what is always so: that it has applied what every replica begins with.
    async fn ask(&self, node: NodeId, group: GroupId) {
        if self.0.faults.loses_to(node) {
            return;
        }
        let (request, lease_ms) = (Request::AwaitApplied { index: 0, within_ms: 0 }, 0);
        let identity = self.identity();
        let (cluster, from, to) = (identity.cluster, identity.node, node);
        let (life, known) = (self.0.lives.own(), self.0.lives.of(node));
        let question = encode(&Envelope { cluster, from, to, life, known, group, lease_ms, request });
        let begun = Instant::now();
        self.0.faults.delay_to(node).await;
        if self.0.transport.call(node, Lane::Wait, question, PATIENCE).await.is_ok() {
            self.0.distances.note(node, begun.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_the_last_answers_counts_once_there_are_enough() {
        let (distances, ms) = (Distances::default(), Duration::from_millis);
        for took in [900, 400] {
            distances.note(2, ms(took));
        }
        assert!(distances.least().is_empty(), "a new connection and a busy moment say nothing yet");
        distances.note(2, ms(410));
        assert_eq!(distances.least(), [(2, ms(400))].into());
        (0..REMEMBERED).for_each(|_| distances.note(2, ms(450)));
        assert_eq!(distances.least(), [(2, ms(450))].into(), "what is long ago is forgotten");
        distances.keep(&[(3, GroupId(1))].into());
        assert!(distances.least().is_empty());
    }
}
