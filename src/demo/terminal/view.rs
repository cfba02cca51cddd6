//! What the terminal shows at one moment, collected from the supervisor.
//!
//! In: the supervisor, and what is chosen. Out: a [`Screen`], which needs nothing else to be drawn.

use std::time::Duration;

use serde_json::Value;

use crate::demo::supervisor::{ProcessState, Supervisor};

/// How many entries of each log are shown, from its end.
const ENTRIES: usize = 16;
/// Most events that are shown.
const EVENTS: usize = 64;
/// How long one moment waits for a node's log.
const LOG_PATIENCE: Duration = Duration::from_millis(300);

/// What the terminal shows at one moment.
#[derive(Debug, Default)]
pub(super) struct Screen {
    pub group: u64,
    pub nodes: Vec<NodeRow>,
    /// The latest events, oldest first.
    pub events: Vec<String>,
    /// What the last key did.
    pub said: String,
}

/// One node.
#[derive(Debug, Default)]
pub(super) struct NodeRow {
    pub name: String,
    pub chosen: bool,
    /// `up`, `down` or `paused`. Role, term and log follow, as the node last showed them.
    pub state: &'static str,
    pub role: String,
    pub term: u64,
    pub committed: u64,
    pub last_log: u64,
    /// Index and term of its last entries.
    pub log: Vec<(u64, u64)>,
}

impl Screen {
    /// Collects the present moment for this group.
    pub async fn of(supervisor: &Supervisor, chosen: &str, group: u64, said: &str) -> Self {
        let nodes = supervisor.nodes();
        let rows = nodes.iter().map(|(name, node)| async move {
            let log = if node.state == ProcessState::Up { log(supervisor, &node.url, group).await } else { Vec::new() };
            let replica = supervisor.view.lock().replica(group, name).cloned().unwrap_or_default();
            let state = match node.state {
                ProcessState::Up => "up",
                ProcessState::Down => "down",
                ProcessState::Paused => "paused",
            };
            let (role, term, committed, last_log) = (replica.role, replica.term, replica.committed, replica.last_log);
            NodeRow { name: name.clone(), chosen: name == chosen, state, role, term, committed, last_log, log }
        });
        let nodes = futures::future::join_all(rows).await;
        // Events of other groups are left out; those of nodes and links have no group.
        let notable = supervisor.events.notable(supervisor.events.last().saturating_sub(20_000));
        let ours = notable.iter().filter(|event| event["group"].as_u64().is_none_or(|of| of == group));
        let mut events: Vec<String> = ours.rev().take(EVENTS).map(|event| sentence(event)).collect();
        // The newest comes last, as in a log.
        events.reverse();
        Self { group, nodes, events, said: said.to_owned() }
    }
}

async fn log(supervisor: &Supervisor, url: &str, group: u64) -> Vec<(u64, u64)> {
    let url = format!("{url}/quiver/v1/groups/{group}/log?last={ENTRIES}");
    let Ok(answer) = supervisor.http.get(url).timeout(LOG_PATIENCE).send().await else { return Vec::new() };
    let body: Value = answer.json().await.unwrap_or_default();
    let entry = |entry: &Value| Some((entry["index"].as_u64()?, entry["term"].as_u64()?));
    body["entries"].as_array().into_iter().flatten().filter_map(entry).collect()
}

/// An event as one line: the node, what happened, and all other members.
fn sentence(event: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let who = if event["node"].is_null() { "demo".to_owned() } else { text(&event["node"]) };
    let kind = text(&event["kind"]).replace('_', " ");
    let term = event["term"].as_u64().map_or_else(String::new, |term| format!(" in term {term}"));
    // What the line has said already is left out.
    let rest = event.as_object().into_iter().flatten().filter(|(name, value)| {
        !["seq", "at", "node", "group", "term", "kind"].contains(&name.as_str()) && !value.is_null()
    });
    let rest: Vec<String> = rest.map(|(name, value)| format!("{name} {}", text(value))).collect();
    format!("{who}: {kind}{term} {}", rest.join(", ")).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_told_in_a_line() {
        let refused = json!({"seq": 7, "at": 1.0, "node": "node1", "group": 1, "term": 4, "kind": "vote_refused",
                             "candidate": "node2", "pre": false, "reason": "log_behind"});
        assert_eq!(sentence(&refused), "node1: vote refused in term 4 candidate node2, pre false, reason log_behind");
        assert_eq!(sentence(&json!({"node": null, "kind": "link_cut", "from": "node1"})), "demo: link cut from node1");
    }
}
