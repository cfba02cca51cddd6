//! How a process comes to the newest cluster map: from its own replica of the meta group, or from nodes that have one.
//!
//! Comes in: maps that this node's replica has applied, and answers of other nodes over HTTP. Goes out: the newest of
//! them in the [`MapCell`], and the route on which other processes ask for it. Must not know what anyone does with a
//! map.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::join_all;
use raft_groups::Group;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use crate::gateway::http::extract::{Params, answer};
use crate::placement::{ClusterMap, MetaMachine};
use crate::routing::MapCell;

/// Path of the endpoint on the HTTP port.
const PATH: &str = "/quiver/v1/map";

/// Pause between two looks at other nodes' maps. A doubt about the map ends it early.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// Shortest pause between two looks: many requests may doubt the map at once.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// How long one node may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// After so long without an answer of any node, the log and a gateway's health say so; the log repeats it as often as
/// [`SILENCE_AGAIN`] says.
const SILENCE_TOLD_AFTER: Duration = Duration::from_secs(5);
const SILENCE_AGAIN: Duration = Duration::from_secs(60);

/// What the asking process has already.
#[derive(Debug, Serialize, Deserialize)]
struct KnownEpoch {
    /// Epoch of its map.
    #[serde(default)]
    newer_than: u64,
}

/// The route on which this node gives its map to others. It answers 204 where the map is no newer than `newer_than`.
pub(in crate::node) fn map_router(map: MapCell) -> Router {
    Router::new().route(PATH, get(show_map)).with_state(map)
}

/// Answers with the map, if it is newer than the one that the asking process has.
async fn show_map(State(map): State<MapCell>, Params(known): Params<KnownEpoch>) -> Response {
    let map = map.get();
    if map.epoch <= known.newer_than { StatusCode::NO_CONTENT.into_response() } else { answer(StatusCode::OK, &*map) }
}

/// Puts every map of this node's meta replica into `map`, for as long as the group runs.
pub(in crate::node) async fn follow_replica(meta: Group<MetaMachine>, map: MapCell) {
    let mut changes = meta.watch();
    loop {
        map.offer(meta.machine().map());
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Asks nodes for newer maps, for ever. It asks those at `seeds` and those of the map itself.
pub(in crate::node) async fn poll_nodes(seeds: Vec<String>, map: MapCell) {
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).timeout(PATIENCE).build();
    let client = match client {
        Ok(client) => client,
        Err(error) => return tracing::error!(%error, "no HTTP client, so the cluster map stays as it is"),
    };
    let mut silence = LongSilence { since: Instant::now(), told: None };
    for turn in 0usize.. {
        // Once there is a map, the answer of one node is enough. The first map needs the answers of all.
        let sources = list_sources(&seeds, &map.get());
        let answered = match map.get().is_formed() {
            true => fetch_newer_map(&client, &sources, turn, &map).await,
            false => fetch_first_map(&client, &sources, &map).await,
        };
        if silence.is_due(answered, Instant::now()) {
            let trouble = describe_silence(&sources);
            tracing::warn!("{trouble}");
            map.refuse(trouble);
        }
        tokio::time::sleep(SHORTEST_PAUSE).await;
        // Without a map nothing can be served, and the first map comes from a cluster that is just starting: ask often.
        let pause = if map.get().is_formed() { POLL_EVERY } else { SHORTEST_PAUSE };
        let _ = tokio::time::timeout(pause, map.doubted()).await;
    }
}

/// For how long no node has answered.
struct LongSilence {
    /// The last answer, or the beginning.
    since: Instant,
    /// When it was told last, since the last answer.
    told: Option<Instant>,
}

impl LongSilence {
    /// Notes whether a node has answered. Returns `true` if it is time to tell that none does.
    fn is_due(&mut self, answered: bool, now: Instant) -> bool {
        if answered {
            *self = Self { since: now, told: None };
            return false;
        }
        let is_due = match self.told {
            None => now.duration_since(self.since) >= SILENCE_TOLD_AFTER,
            Some(told) => now.duration_since(told) >= SILENCE_AGAIN,
        };
        if is_due {
            self.told = Some(now);
        }
        is_due
    }
}

/// Says that no node answers, and what to do.
fn describe_silence(sources: &[String]) -> String {
    format!(
        "no node answers at {}: start one of these nodes. If they are at other addresses now, restart this process with \
         those (a gateway with --cluster, a node with --join). Give the port for clients, not that for peers",
        sources.join(", ")
    )
}

/// Asks all nodes for the first map. If they belong to two clusters, it takes none: a node that lost its disk and
/// formed a cluster of its own answers as fast as the nodes that have the data. Returns `true` if a node answered.
async fn fetch_first_map(client: &reqwest::Client, sources: &[String], map: &MapCell) -> bool {
    // All nodes are asked at once. Those that are silent, or have no formed map yet, do not count.
    let answers = join_all(sources.iter().map(|url| fetch_map(client, url, 0))).await;
    let answered = answers.iter().any(Result::is_ok);
    let named = sources.iter().zip(answers).filter_map(|(url, answer)| Some((url, answer.ok()??)));
    let named: Vec<(&String, ClusterMap)> = named.filter(|(_, found)| found.is_formed()).collect();
    // The trouble is logged once, and a gateway's health shows it for as long as it lasts.
    if let Some(trouble) = describe_disagreement(&named) {
        if map.trouble().as_ref() != Some(&trouble) {
            tracing::error!("{trouble}");
        }
        map.refuse(trouble);
        return true;
    }
    if answered {
        map.hear();
    }
    if let Some((_, newest)) = named.into_iter().max_by_key(|(_, found)| found.epoch) {
        map.offer(Arc::new(newest));
    }
    answered
}

/// What is wrong with these maps; `None` if all are of one cluster.
fn describe_disagreement(named: &[(&String, ClusterMap)]) -> Option<String> {
    let (first, known) = named.first()?;
    // Each map is compared with the first: one that differs is enough.
    let (other, found) = named.iter().find(|(_, found)| found.cluster != known.cluster)?;
    let name = |map: &ClusterMap| Uuid::from_bytes(map.cluster);
    Some(format!(
        "{first} belongs to cluster {}, and {other} to {}: neither is served. A node that was started with an empty \
         data directory may have formed a cluster of its own; stop it, or name nodes of one cluster only",
        name(known),
        name(found)
    ))
}

/// Asks the nodes one after the other until one answers. `turn` chooses which node is asked first. Returns `true` if a
/// node answered.
async fn fetch_newer_map(client: &reqwest::Client, sources: &[String], turn: usize, map: &MapCell) -> bool {
    // Each turn begins with another node, so that no node answers for all processes.
    let mut order = sources.to_vec();
    if !order.is_empty() {
        order.rotate_left(turn % sources.len());
    }
    for url in order {
        match fetch_map(client, &url, map.get().epoch).await {
            Ok(None) => {
                map.hear();
                return true;
            }
            // A map of another cluster is refused, and the next node is asked.
            Ok(Some(newer)) => match map.offer(Arc::new(newer)) {
                true => {
                    map.hear();
                    return true;
                }
                false => tracing::warn!(url, "a node of another cluster answers at this address"),
            },
            Err(error) => tracing::debug!(url, %error, "no map from this node"),
        }
    }
    false
}

/// The map of the node at `url`; `None` if it is no newer than the epoch `newer_than`.
async fn fetch_map(client: &reqwest::Client, url: &str, newer_than: u64) -> Result<Option<ClusterMap>, reqwest::Error> {
    let request = client.get(format!("{url}{PATH}?newer_than={newer_than}"));
    let response = request.send().await?.error_for_status()?;
    if response.status() == StatusCode::NO_CONTENT { Ok(None) } else { response.json().await.map(Some) }
}

/// URLs at which the map's nodes answer.
pub(in crate::node) fn list_urls(map: &ClusterMap) -> Vec<String> {
    map.nodes.values().map(|node| format!("http://{}:{}", node.host, node.port)).collect()
}

/// URLs to ask: the seeds and those of the map, each once.
fn list_sources(seeds: &[String], map: &ClusterMap) -> Vec<String> {
    let mut sources: Vec<String> = seeds.iter().cloned().chain(list_urls(map)).collect();
    sources.sort();
    sources.dedup();
    sources
}

/// Waits until there is a formed map.
pub(in crate::node) async fn wait_until_formed(map: &MapCell) -> Arc<ClusterMap> {
    let mut changes = map.watch();
    match changes.wait_for(|map| map.is_formed()).await {
        Ok(map) => Arc::clone(&map),
        // `map` holds the channel's sender, so the channel cannot close while `map` is borrowed.
        Err(_) => map.get(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_of_all_nodes_is_told_after_a_while_and_now_and_then() {
        let begin = Instant::now();
        let mut silence = LongSilence { since: begin, told: None };
        let mut at = |answered, after: Duration| silence.is_due(answered, begin + after);
        assert!(!at(false, SILENCE_TOLD_AFTER / 2));
        assert!(at(false, SILENCE_TOLD_AFTER) && !at(false, SILENCE_TOLD_AFTER * 2));
        assert!(at(false, SILENCE_TOLD_AFTER + SILENCE_AGAIN));
        assert!(!at(true, SILENCE_AGAIN * 2) && !at(false, SILENCE_AGAIN * 2 + SILENCE_TOLD_AFTER / 2));
        let text = describe_silence(&["http://10.0.0.1:8001".to_owned()]);
        assert!(text.contains("http://10.0.0.1:8001") && text.contains("--cluster"), "{text}");
    }

    #[tokio::test]
    async fn an_address_where_no_node_answers_is_a_silence() {
        let (client, map) = (reqwest::Client::new(), MapCell::default());
        let nobody = ["http://127.0.0.1:1".to_owned()];
        assert!(!fetch_first_map(&client, &nobody, &map).await);
        assert!(!fetch_newer_map(&client, &nobody, 0, &map).await);
    }
}
