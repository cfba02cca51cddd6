//! The links between nodes: which ones are cut, and which are slow.
//!
//! In: pairs of nodes, and the wanted state of the link from the first to the second. Out: each node's own part, and
//! events of what changed. Pure: tells no node.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

/// The state of the link from one node to another. The default is a whole link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub cut: bool,
    /// How much later messages arrive, in milliseconds.
    pub delay_ms: u64,
}

/// All links that are cut or slow, by their two ends: sender, receiver.
#[derive(Debug, Default)]
pub(crate) struct Links(BTreeMap<(String, String), Link>);

/// What `POST /api/links` asks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LinkChange {
    pub from: String,
    pub to: String,
    pub cut: bool,
    /// `true` to change the link in the other direction as well.
    pub both: bool,
    pub delay_ms: u64,
}

impl Links {
    /// The links that are cut or slow, as `/api/state` shows them.
    pub fn as_json(&self) -> Vec<Value> {
        let link = |((from, to), link): (&(String, String), &Link)| json!({"from": from, "to": to, "cut": link.cut, "delay_ms": link.delay_ms});
        self.0.iter().map(link).collect()
    }

    /// The ends of all links that are cut or slow.
    pub(super) fn ends(&self) -> Vec<(String, String)> {
        self.0.keys().cloned().collect()
    }

    /// A node's own part, in the form of `/quiver/v1/faults`.
    pub(super) fn part_of(&self, node: &str) -> Value {
        let cut = |end: fn(&(String, String)) -> (&String, &String)| -> Vec<String> {
            let mine = self.0.iter().filter(|(key, link)| link.cut && end(key).0 == node);
            mine.map(|(key, _)| end(key).1.clone()).collect()
        };
        let slow = self.0.iter().filter(|((from, _), link)| from == node && link.delay_ms > 0);
        let delays: BTreeMap<&String, u64> = slow.map(|((_, to), link)| (to, link.delay_ms)).collect();
        json!({"cut_to": cut(|(from, to)| (from, to)), "cut_from": cut(|(from, to)| (to, from)), "delay_ms": delays})
    }

    /// Sets the state of a link. Returns the events that tell what has changed.
    pub(super) fn set(&mut self, from: &str, to: &str, link: Link) -> Vec<Value> {
        let key = (from.to_owned(), to.to_owned());
        let before = self.0.get(&key).copied().unwrap_or_default();
        if link == Link::default() {
            self.0.remove(&key)
        } else {
            self.0.insert(key, link)
        };
        // Only what differs from before is told.
        let mut events = Vec::new();
        if before.cut != link.cut {
            events.push(json!({"kind": if link.cut { "link_cut" } else { "link_healed" }, "from": from, "to": to}));
        }
        if before.delay_ms != link.delay_ms {
            events.push(json!({"kind": "link_delayed", "from": from, "to": to, "delay_ms": link.delay_ms}));
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_is_told_its_side_of_a_cut() {
        let mut links = Links::default();
        let cut = Link { cut: true, delay_ms: 0 };
        assert_eq!(links.set("node1", "node2", cut), [json!({"kind": "link_cut", "from": "node1", "to": "node2"})]);
        links.set("node1", "node3", Link { cut: false, delay_ms: 40 });
        let one = json!({"cut_to": ["node2"], "cut_from": [], "delay_ms": {"node3": 40}});
        assert_eq!(links.part_of("node1"), one);
        assert_eq!(links.part_of("node2"), json!({"cut_to": [], "cut_from": ["node1"], "delay_ms": {}}));
        assert_eq!(links.set("node1", "node2", cut), Vec::<Value>::new());
        let healed = links.set("node1", "node2", Link::default());
        assert_eq!(healed, [json!({"kind": "link_healed", "from": "node1", "to": "node2"})]);
        assert_eq!(links.as_json().len(), 1);
    }
}
