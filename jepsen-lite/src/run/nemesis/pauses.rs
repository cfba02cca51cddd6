//! A node is stopped in its tracks and goes on later, with the clock of before in its mind: first the one that leads most
//! shards, which must not serve on what it believed, then one that leads fewer.

use std::time::Duration;

use anyhow::Result;

use super::Nemesis;
use crate::judge::history::edn::Edn;

impl Nemesis<'_> {
    /// Stops the leader of most shards, or `victim` where nobody leads, and then another member.
    pub(super) async fn pause_each_role(&mut self, victim: usize, hold: Duration) -> Result<()> {
        let leader = self.leading().await.unwrap_or(victim);
        self.pause(leader, "leader", hold).await?;
        let leader = self.leading().await.unwrap_or(leader);
        let follower = self.environment.members.iter().copied().find(|index| *index != leader);
        self.pause(follower.unwrap_or(victim), "follower", hold / 2).await
    }

    async fn pause(&mut self, victim: usize, role: &str, hold: Duration) -> Result<()> {
        self.recorder.note("pause", role, Edn::Str(self.name(victim)));
        self.environment.cluster.pause(victim);
        tokio::time::sleep(hold).await;
        self.environment.cluster.resume(victim);
        self.environment.cluster.wait_healthy_node(victim).await
    }
}
