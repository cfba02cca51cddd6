//! Where other nodes are now, until the map says so: members that come back at new addresses find each other.
//!
//! The map has the addresses of before, and changing it takes a majority that can reach each other. So a member that
//! starts tells the nodes at its `--join` addresses where it is, and hears from them where others are. What is told of a
//! start counts until the map knows of that start, or of a later one. It is taken only from who knows the cluster's
//! identity, the node's number and its incarnation, as every message between nodes is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Router, body::Bytes};
use parking_lot::RwLock;
use raft_groups::NodeId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::join;
use super::peer_addresses::Peers;
use crate::gateway::body::answer;
use crate::placement::ClusterMap;

/// Path of the endpoint on the peer port.
const PATH: &str = "/here";
/// Pause between two rounds, and how long one question may take.
const PAUSE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(2);
/// Rounds without an answer after which the log says so.
const ROUNDS_PER_COMPLAINT: u32 = 20;

/// Where a node is since one of its starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::node) struct Claim {
    pub cluster: Uuid,
    pub node: NodeId,
    pub incarnation: Uuid,
    pub life: u64,
    /// `host:port` of its peer port.
    pub peer_addr: String,
}

/// What was told, by node.
#[derive(Debug, Default)]
pub(in crate::node) struct Whereabouts(RwLock<BTreeMap<NodeId, Claim>>);

impl Whereabouts {
    /// Takes a claim that fits the map and is newer than what is known; whether it was news.
    pub(in crate::node) fn hear(&self, claim: Claim, map: &ClusterMap) -> bool {
        let fits = *claim.cluster.as_bytes() == map.cluster
            && map
                .nodes
                .get(&claim.node)
                .is_some_and(|entry| entry.incarnation == *claim.incarnation.as_bytes() && entry.life < claim.life);
        let mut known = self.0.write();
        let is_news = fits && known.get(&claim.node).is_none_or(|known| known.life < claim.life);
        if is_news {
            known.insert(claim.node, claim);
        }
        is_news
    }

    /// Where a node is, where that is known better than the map knows it.
    pub(in crate::node) fn of(&self, node: NodeId, map: &ClusterMap) -> Option<String> {
        let known = self.0.read();
        let claim = known.get(&node)?;
        let is_newer = map.nodes.get(&node).is_none_or(|entry| entry.life < claim.life);
        is_newer.then(|| claim.peer_addr.clone())
    }

    fn all(&self) -> Vec<Claim> {
        self.0.read().values().cloned().collect()
    }
}

/// What the endpoint needs.
#[derive(Clone)]
pub(in crate::node) struct Here {
    pub me: Claim,
    pub peers: Arc<Peers>,
}

/// The route of the peer port at which other members say where they are.
pub(in crate::node) fn router(here: Here) -> Router {
    Router::new().route(PATH, post(hear)).with_state(here)
}

async fn hear(State(here): State<Here>, body: Bytes) -> Response {
    let Ok(claims) = serde_json::from_slice::<Vec<Claim>>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if claims.iter().any(|claim| claim.cluster != here.me.cluster) {
        return StatusCode::MISDIRECTED_REQUEST.into_response();
    }
    claims.into_iter().for_each(|claim| here.hear(claim));
    answer(StatusCode::OK, &here.known())
}

impl Here {
    fn known(&self) -> Vec<Claim> {
        let mut claims = self.peers.whereabouts().all();
        claims.push(self.me.clone());
        claims
    }

    fn hear(&self, claim: Claim) {
        let (node, peer_addr) = (claim.node, claim.peer_addr.clone());
        if node != self.me.node && self.peers.hear(claim) {
            tracing::info!(node, peer_addr, "a member says where it is now; the map has yet to learn it");
        }
    }

    /// Tells the nodes at `urls`, and those that are heard of, where this one is, until the map knows.
    pub(in crate::node) async fn tell(self, urls: Vec<String>) {
        let client = match reqwest::Client::builder().no_proxy().timeout(PATIENCE).build() {
            Ok(client) => client,
            Err(error) => return tracing::error!(%error, "no HTTP client, so nobody is told where this node is"),
        };
        for round in 1u32.. {
            if self.peers.map_knows(self.me.node, self.me.life) {
                return;
            }
            let mut answered = false;
            for peer_addr in self.targets(&urls).await {
                let question = client.post(format!("http://{peer_addr}{PATH}")).json(&self.known());
                let Ok(answer) = question.send().await.and_then(reqwest::Response::error_for_status) else { continue };
                let Ok(claims) = answer.json::<Vec<Claim>>().await else { continue };
                answered = true;
                claims.into_iter().for_each(|claim| self.hear(claim));
            }
            if !answered && round.is_multiple_of(ROUNDS_PER_COMPLAINT) {
                tracing::warn!(
                    "no other member answers: if they are at other addresses than before, start this node with --join and \
                     the URL of one that runs"
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Where others may be: the peer ports of the nodes at `urls`, those that were heard of, and those of the map.
    async fn targets(&self, urls: &[String]) -> Vec<String> {
        let mut targets = self.peers.addresses();
        for url in urls {
            if let Ok((cluster, peer_addr)) = join::peer_port(url).await
                && cluster == Some(self.me.cluster)
            {
                targets.push(peer_addr);
            }
        }
        targets.retain(|target| *target != self.me.peer_addr);
        targets.sort();
        targets.dedup();
        targets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::tests::map_of;

    #[test]
    fn only_who_knows_the_node_says_where_it_is_and_the_newest_start_counts() {
        let mut map = ClusterMap { epoch: 1, ..map_of(3, 1, 3) };
        map.nodes.get_mut(&2).unwrap().life = 5;
        let (cluster, incarnation) = (Uuid::from_bytes(map.cluster), Uuid::from_bytes(map.nodes[&2].incarnation));
        let claim =
            |life, port: u16| Claim { cluster, node: 2, incarnation, life, peer_addr: format!("10.0.0.9:{port}") };
        let known = Whereabouts::default();
        assert!(!known.hear(Claim { cluster: Uuid::nil(), ..claim(6, 1) }, &map), "another cluster");
        assert!(!known.hear(Claim { incarnation: Uuid::new_v4(), ..claim(6, 1) }, &map), "another node of that number");
        assert!(!known.hear(Claim { node: 9, ..claim(6, 1) }, &map), "no member");
        assert!(!known.hear(claim(5, 1), &map), "the map knows of that start");
        assert_eq!(known.of(2, &map), None);
        assert!(known.hear(claim(6, 1), &map) && known.hear(claim(8, 2), &map) && !known.hear(claim(7, 3), &map));
        assert_eq!(known.of(2, &map).as_deref(), Some("10.0.0.9:2"));
        map.nodes.get_mut(&2).unwrap().life = 8;
        assert_eq!(known.of(2, &map), None, "the map has caught up");
    }
}
