//! How members that come back at new addresses find each other before the map knows where they are.
//!
//! Comes in: claims of other members. Goes out: this node's own claim, which it repeats until the map knows of this
//! start. Must not judge a claim: [`super::claimed_addresses`] does.
//!
//! The map has the old addresses, and a change of it takes a majority that can reach each other. So a member that
//! starts tells the nodes at its `--join` addresses where it is, and hears from them where others are. A claim of a
//! start counts until the map knows of that start, or of a later one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Router, body::Bytes};
use raft_groups::mutants::{Mutant, is_planted};

use super::claimed_addresses::AddressClaim;
use super::end_process::end_process;
use super::join;
use super::peer_addresses::PeerAddresses;
use crate::gateway::http::extract::answer;

/// Path of the endpoint on the peer port.
const PATH: &str = "/here";
/// Pause between two rounds, and how long one question may take.
const PAUSE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(2);
/// The log complains once in so many rounds without an answer.
const ROUNDS_PER_COMPLAINT: u32 = 20;

/// This node's claim, and the place where the claims of others are kept.
#[derive(Clone)]
pub(in crate::node) struct AddressExchange {
    pub me: AddressClaim,
    /// The node's directory.
    pub dir: PathBuf,
    pub peers: Arc<PeerAddresses>,
}

/// The route of the peer port on which other members say where they are.
pub(in crate::node) fn router(exchange: AddressExchange) -> Router {
    Router::new().route(PATH, post(take_claims)).with_state(exchange)
}

/// Takes the claims of a member of this cluster, and answers with all claims that are known here. Answers 400 to what
/// are no claims, and 421 to claims of another cluster.
async fn take_claims(State(exchange): State<AddressExchange>, body: Bytes) -> Response {
    let Ok(claims) = serde_json::from_slice::<Vec<AddressClaim>>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if claims.iter().any(|claim| claim.cluster != exchange.me.cluster) {
        return StatusCode::MISDIRECTED_REQUEST.into_response();
    }
    claims.into_iter().for_each(|claim| exchange.take_claim(claim));
    answer(StatusCode::OK, &exchange.known_claims())
}

impl AddressExchange {
    /// The claims of others, and this node's own.
    fn known_claims(&self) -> Vec<AddressClaim> {
        let mut claims = self.peers.claimed().all();
        claims.push(self.me.clone());
        claims
    }

    /// Takes a claim of another node. Ends the process if the claim is of a later start of this node.
    fn take_claim(&self, claim: AddressClaim) {
        if is_overtaken_by(&self.me, &claim) && !is_planted(Mutant::IgnoresLives) {
            end_process(&self.dir, self.me.life);
        }
        let (node, peer_addr) = (claim.node, claim.peer_addr.clone());
        if node != self.me.node && self.peers.accept(claim) {
            tracing::info!(node, peer_addr, "a member says where it is now; the map has yet to learn it");
        }
    }

    /// Tells other members where this node is, until the map knows of this start. It tells the nodes at `urls` and all
    /// that it hears of.
    pub(in crate::node) async fn announce(self, urls: Vec<String>) {
        let client = match reqwest::Client::builder().no_proxy().timeout(PATIENCE).build() {
            Ok(client) => client,
            Err(error) => return tracing::error!(%error, "no HTTP client, so nobody is told where this node is"),
        };
        for round in 1u32.. {
            // Once the map knows of this start, nobody needs the claim.
            if self.peers.map_knows(self.me.node, self.me.life) {
                return;
            }
            // Each answer holds the claims that the other node knows. So both sides learn.
            let mut answered = false;
            for peer_addr in self.list_targets(&urls).await {
                let question = client.post(format!("http://{peer_addr}{PATH}")).json(&self.known_claims());
                let Ok(answer) = question.send().await.and_then(reqwest::Response::error_for_status) else { continue };
                let Ok(claims) = answer.json::<Vec<AddressClaim>>().await else { continue };
                answered = true;
                claims.into_iter().for_each(|claim| self.take_claim(claim));
            }
            // If nobody answers for long, the operator must give an address.
            if !answered && round.is_multiple_of(ROUNDS_PER_COMPLAINT) {
                tracing::warn!(
                    "no other member answers: if they are at other addresses than before, start this node with --join \
                     and the URL of one that runs"
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The peer ports at which others may be: those of the nodes at `urls`, those of claims, and those of the map. This
    /// node's own is left out.
    async fn list_targets(&self, urls: &[String]) -> Vec<String> {
        let mut targets = self.peers.list_addresses();
        for url in urls {
            // A URL that leads to another cluster is passed over.
            if let Ok((cluster, peer_addr)) = join::ask_peer_port(url).await
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

/// Returns `true` if `claim` is of a later start of the node that claims `me`. Its own claim comes back to a node over
/// others, and so do those of its earlier starts: they are never later.
fn is_overtaken_by(me: &AddressClaim, claim: &AddressClaim) -> bool {
    (claim.cluster, claim.node, claim.incarnation) == (me.cluster, me.node, me.incarnation) && claim.life > me.life
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn only_a_later_start_of_the_same_directory_overtakes() {
        let (cluster, incarnation) = (Uuid::new_v4(), Uuid::new_v4());
        let claim = |life, peer_addr: &str| AddressClaim {
            cluster,
            node: 2,
            incarnation,
            life,
            peer_addr: peer_addr.to_owned(),
        };
        let me = claim(5, "10.0.0.2:8101");
        assert!(is_overtaken_by(&me, &claim(6, "10.0.0.9:8101")));
        assert!(!is_overtaken_by(&me, &me), "its own claim comes back");
        assert!(!is_overtaken_by(&me, &claim(4, "10.0.0.9:8101")), "an older copy ends nobody");
        assert!(!is_overtaken_by(&me, &claim(5, "10.0.0.9:8101")), "which of two equal starts is right is not known");
        assert!(!is_overtaken_by(&me, &AddressClaim { node: 3, ..claim(6, "10.0.0.3:8101") }), "another node");
        assert!(
            !is_overtaken_by(&me, &AddressClaim { incarnation: Uuid::new_v4(), ..claim(6, "a:1") }),
            "another directory"
        );
        assert!(!is_overtaken_by(&me, &AddressClaim { cluster: Uuid::new_v4(), ..claim(6, "a:1") }), "another cluster");
    }
}
