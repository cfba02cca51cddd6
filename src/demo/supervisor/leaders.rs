//! The preferred leaders. Lessons move leaders, and the cluster would move them back in the middle of a lesson.
//!
//! In: a shard and a node. Out: requests of the nodes' own API that move a leader and keep it there.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::demo::supervisor::Supervisor;
use crate::demo::supervisor::refused::answered;

/// How long one request may take. If no node answers, no node moves leaders either.
const PATIENCE: Duration = Duration::from_secs(3);

impl Supervisor {
    /// Has the cluster leave the first shard's leader where it is. Another shard moves the other way: the cluster keeps
    /// the numbers of leaders even, and would otherwise undo the change.
    pub async fn pin_leader(&self) {
        let Some((leader, _)) = self.view.lock().leader(1) else { return };
        let Some(preferred) = self.preferred().await else { return };
        let Some(before) = preferred.get(&0).filter(|before| **before != leader) else { return };
        self.pin(0, &leader).await;
        if let Some((shard, _)) = preferred.iter().find(|(shard, node)| **shard != 0 && **node == leader) {
            self.pin(*shard, before).await;
        }
    }

    /// Returns `true` if each shard is led by its preferred node.
    pub async fn leaders_are_at_home(&self) -> bool {
        let Some(preferred) = self.preferred().await else { return false };
        let view = self.view.lock();
        let leads = |(shard, node): (&u64, &String)| view.leader(shard + 1).is_some_and(|(leader, _)| leader == *node);
        !preferred.is_empty() && preferred.iter().all(leads)
    }

    /// Asks the cluster to prefer `leader` as the leader of a shard. A failure is only logged.
    async fn pin(&self, shard: u64, leader: &str) {
        let Ok((_, node)) = self.another("") else { return };
        let url = format!("{}/quiver/v1/shards/{shard}/leader", node.url);
        let asked = self.http.post(url).timeout(PATIENCE).json(&json!({"to": leader})).send().await;
        if let Err(error) = asked {
            tracing::debug!(%error, shard, "the leader is not pinned");
        }
    }

    /// The preferred node of each shard, from the map of some node that is up.
    async fn preferred(&self) -> Option<BTreeMap<u64, String>> {
        let (_, node) = self.another("").ok()?;
        let asked = self.http.get(format!("{}/quiver/v1/map?newer_than=0", node.url)).timeout(PATIENCE).send().await;
        let map = answered(asked.ok()?).await.ok()?;
        let name = |node: &Value| Some(map["nodes"][node.to_string()]["name"].as_str()?.to_owned());
        let shards = map["shards"].as_object()?.iter();
        Some(shards.filter_map(|(shard, entry)| Some((shard.parse().ok()?, name(&entry["preferred"])?))).collect())
    }
}
