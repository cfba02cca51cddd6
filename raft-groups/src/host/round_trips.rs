//! Measures the round trip to other nodes: the least recent time for a message and its answer.
//!
//! Heartbeats cannot measure it for distant nodes, because an answer that is later than their patience is dropped.
//! So a question that needs no work is sent now and then, on a connection of its own, with a far longer deadline.
//! Every answer counts, a refusal too. The least of several counts, because a busy node or a new connection only
//! makes one longer.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Host;
use crate::network::Lane;
use crate::network::wire::{PeerRequest, RequestEnvelope, encode};
use crate::{GroupId, GroupStatus, NodeId};

/// Pause between two questions to a node.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

impl Host {
    /// Returns how long a message to each peer and its answer take, for the peers with enough recent answers.
    pub fn round_trips(&self) -> BTreeMap<NodeId, Duration> {
        self.0.round_trips.least_of_each()
    }

    /// Measures the round trips to the peers of this node's groups, without end.
    pub async fn measure_distances(self) {
        loop {
            let peers = self.peers_with_groups();
            self.0.round_trips.keep(&peers);
            futures::future::join_all(peers.into_iter().map(|(node, group)| self.measure_one(node, group))).await;
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Returns the other members of this node's groups, each with one group that it shares with this node.
    fn peers_with_groups(&self) -> BTreeMap<NodeId, GroupId> {
        let statuses: Vec<_> = self.0.groups.read().values().map(|open| open.status()).collect();
        let members_of = |status: GroupStatus| {
            let group = status.group;
            status.voters.into_iter().chain(status.learners).map(move |node| (node, group))
        };
        statuses.into_iter().flat_map(members_of).filter(|(node, _)| *node != self.identity().node).collect()
    }

    /// Asks a peer whether it has applied index 0, which is always so, and notes how long the answer took.
    async fn measure_one(&self, node: NodeId, group: GroupId) {
        if self.0.faults.loses_to(node) {
            return;
        }
        let (request, lease_ms) = (PeerRequest::AwaitApplied { index: 0, within_ms: 0 }, 0);
        let identity = self.identity();
        let (cluster, from, to) = (identity.cluster, identity.node, node);
        let (life, known) = (self.0.lives.own(), self.0.lives.newest_of(node));
        // A lease of zero asks for no promise.
        let question = encode(&RequestEnvelope { cluster, from, to, life, known, group, lease_ms, request });
        let begun = Instant::now();
        self.0.faults.delay_to(node).await;
        if self.0.transport.call(node, Lane::Wait, question, PATIENCE).await.is_ok() {
            self.0.round_trips.note(node, begun.elapsed());
        }
    }
}
