//! The links between nodes: which are cut, which are slow. Each node is told its part of it, again whenever it comes
//! back.
//!
//! In: pairs of nodes, and what is to become of the way from one to the other. Out: requests to the nodes' own links,
//! and events of what changed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::demo::supervisor::refused::Refused;
use crate::demo::supervisor::{ProcessState, Supervisor};

/// What is wrong with the way from one node to another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Link {
    cut: bool,
    delay_ms: u64,
}

/// All links with which something is wrong, by their two ends.
#[derive(Debug, Default)]
pub(in crate::demo) struct Links(BTreeMap<(String, String), Link>);

/// What `POST /api/links` asks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::demo) struct Change {
    pub from: String,
    pub to: String,
    pub cut: bool,
    /// The other way too.
    pub both: bool,
    pub delay_ms: u64,
}

impl Links {
    /// As `/api/state` shows them: those with which something is wrong.
    pub fn shown(&self) -> Vec<Value> {
        let link = |((from, to), link): (&(String, String), &Link)| json!({"from": from, "to": to, "cut": link.cut, "delay_ms": link.delay_ms});
        self.0.iter().map(link).collect()
    }

    /// A node's part of it, as the node wants to be told.
    fn part_of(&self, node: &str) -> Value {
        let cut = |end: fn(&(String, String)) -> (&String, &String)| -> Vec<String> {
            let mine = self.0.iter().filter(|(key, link)| link.cut && end(key).0 == node);
            mine.map(|(key, _)| end(key).1.clone()).collect()
        };
        let slow = self.0.iter().filter(|((from, _), link)| from == node && link.delay_ms > 0);
        let delays: BTreeMap<&String, u64> = slow.map(|((_, to), link)| (to, link.delay_ms)).collect();
        json!({"cut_to": cut(|(from, to)| (from, to)), "cut_from": cut(|(from, to)| (to, from)), "delay_ms": delays})
    }

    /// Sets a link; the events that tell of what has changed.
    fn set(&mut self, from: &str, to: &str, link: Link) -> Vec<Value> {
        let key = (from.to_owned(), to.to_owned());
        let before = self.0.get(&key).copied().unwrap_or_default();
        if link == Link::default() {
            self.0.remove(&key)
        } else {
            self.0.insert(key, link)
        };
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

impl Supervisor {
    /// Changes a link.
    pub async fn change_link(&self, change: &Change) -> Result<String, Refused> {
        let Change { from, to, cut, both, delay_ms } = change;
        self.known(from)?;
        self.known(to)?;
        if from == to {
            return Err(Refused::Conflict("a node has no link to itself".to_owned()));
        }
        let mut ends = vec![(from.clone(), to.clone())];
        ends.extend(both.then(|| (to.clone(), from.clone())));
        self.set_links(ends, Link { cut: *cut, delay_ms: *delay_ms }).await?;
        let arrow = if *both { "⇄" } else { "→" };
        let how = match (cut, delay_ms) {
            (true, _) => "is cut".to_owned(),
            (false, 0) => "is whole".to_owned(),
            (false, ms) => format!("takes {ms} ms longer"),
        };
        Ok(format!("{from} {arrow} {to} {how}"))
    }

    /// Cuts a node off from all others, or ends that.
    pub async fn isolate(&self, name: &str, cut: bool) -> Result<String, Refused> {
        self.known(name)?;
        let others: Vec<String> = self.nodes().into_keys().filter(|other| other != name).collect();
        let ends = others.into_iter().flat_map(|other| [(name.to_owned(), other.clone()), (other, name.to_owned())]);
        self.set_links(ends.collect(), Link { cut, delay_ms: 0 }).await?;
        Ok(if cut { format!("{name} is cut off") } else { format!("{name} can be reached again") })
    }

    /// Mends every link.
    pub async fn heal(&self) -> Result<String, Refused> {
        let ends = self.links.lock().0.keys().cloned().collect();
        self.set_links(ends, Link::default()).await?;
        Ok("every link is whole".to_owned())
    }

    async fn set_links(&self, ends: Vec<(String, String)>, link: Link) -> Result<(), Refused> {
        let events: Vec<Value> = {
            let mut links = self.links.lock();
            ends.iter().flat_map(|(from, to)| links.set(from, to, link)).collect()
        };
        let concerned: std::collections::BTreeSet<_> = ends.iter().flat_map(|(from, to)| [from, to]).collect();
        let told = concerned.into_iter().map(|node| self.apply(node));
        let outcomes = futures::future::join_all(told).await;
        events.into_iter().for_each(|event| self.tell(event));
        outcomes.into_iter().collect()
    }

    /// Tells a node its part; one that does not run learns of it when it does.
    async fn apply(&self, name: &str) -> Result<(), Refused> {
        let Some(node) = self.node(name).filter(|node| node.state == ProcessState::Up) else { return Ok(()) };
        let part = self.links.lock().part_of(name);
        let put = self.http.put(format!("{}/quiver/v1/faults", node.url)).json(&part).send().await?;
        if put.status().is_success() {
            return Ok(());
        }
        // It does not know a name yet, or any more: whom it does not know it cannot reach either.
        tracing::debug!(name, status = %put.status(), "a node did not take its links");
        Ok(())
    }

    /// Tells a node that has come back its part.
    pub fn reapply(&self, name: &str) {
        let part = self.links.lock().part_of(name);
        let Some(node) = self.node(name) else { return };
        let (http, url) = (self.http.clone(), format!("{}/quiver/v1/faults", node.url));
        tokio::spawn(async move {
            if let Err(error) = http.put(url).json(&part).send().await {
                tracing::debug!(%error, "a node that came back did not take its links");
            }
        });
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
        assert_eq!(links.shown().len(), 1);
    }
}
