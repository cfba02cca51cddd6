//! Cuts, slows and mends links. Each node is told its own part, and again whenever it comes back.
//!
//! In: the wanted state of a link. Out: requests to the nodes' own `/quiver/v1/faults`, and events of what changed.

use std::collections::BTreeSet;

use serde_json::Value;

use super::links::{Link, LinkChange};
use super::refused::Refused;
use super::{ProcessState, Supervisor};

impl Supervisor {
    /// Changes a link in one direction or in both. Returns a sentence that says what was done.
    pub async fn change_link(&self, change: &LinkChange) -> Result<String, Refused> {
        let LinkChange { from, to, cut, both, delay_ms } = change;
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

    /// Cuts a node off from all others if `cut`; else mends all its links.
    pub async fn isolate(&self, name: &str, cut: bool) -> Result<String, Refused> {
        self.known(name)?;
        let others: Vec<String> = self.nodes().into_keys().filter(|other| other != name).collect();
        let ends = others.into_iter().flat_map(|other| [(name.to_owned(), other.clone()), (other, name.to_owned())]);
        self.set_links(ends.collect(), Link { cut, delay_ms: 0 }).await?;
        Ok(if cut { format!("{name} is cut off") } else { format!("{name} can be reached again") })
    }

    /// Mends every link.
    pub async fn heal(&self) -> Result<String, Refused> {
        let ends = self.links.lock().ends();
        self.set_links(ends, Link::default()).await?;
        Ok("every link is whole".to_owned())
    }

    async fn set_links(&self, ends: Vec<(String, String)>, link: Link) -> Result<(), Refused> {
        // The wanted state is set first. A node that is down learns of it when it comes back.
        let events: Vec<Value> = {
            let mut links = self.links.lock();
            ends.iter().flat_map(|(from, to)| links.set(from, to, link)).collect()
        };
        let concerned: BTreeSet<_> = ends.iter().flat_map(|(from, to)| [from, to]).collect();
        // Only nodes at an end of a changed link have something new to hear.
        let told = concerned.into_iter().map(|node| self.apply(node));
        let outcomes = futures::future::join_all(told).await;
        events.into_iter().for_each(|event| self.tell(event));
        outcomes.into_iter().collect()
    }

    /// Tells a node its part. A node that does not run is told when it does.
    async fn apply(&self, name: &str) -> Result<(), Refused> {
        let Some(node) = self.node(name).filter(|node| node.state == ProcessState::Up) else { return Ok(()) };
        let part = self.links.lock().part_of(name);
        let put = self.http.put(format!("{}/quiver/v1/faults", node.url)).json(&part).send().await?;
        if put.status().is_success() {
            return Ok(());
        }
        // The node does not know some name yet, or no longer. It cannot reach such a node either.
        tracing::debug!(name, status = %put.status(), "a node did not take its links");
        Ok(())
    }

    /// Tells a node that has come back its part, without waiting for it.
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
