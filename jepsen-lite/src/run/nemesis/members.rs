//! Nodes that come and go through the membership interface, and one that is away for too long.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rand::Rng;
use reqwest::Method;
use serde_json::{Value, json};

use super::Nemesis;
use crate::harness::client::{ApiClient, operation_done};
use crate::judge::history::edn::Edn;

/// How long a change of members, and a purge, may take under load.
const PATIENCE: Duration = Duration::from_secs(120);

/// Replicas of a shard where there are nodes enough.
const COPIES: usize = 3;

/// How long a node may take to say how its replicas are.
const GLANCE: Duration = Duration::from_secs(2);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

impl Nemesis<'_> {
    /// A node joins; after a while any of them leaves.
    pub(super) async fn churn(&mut self, hold: Duration) -> Result<()> {
        self.join().await?;
        tokio::time::sleep(hold).await;
        // Not the last that has a disk or a clock of its own: nothing could be done to those any more.
        let own = |index: &usize| *index < self.environment.disks.len().max(self.environment.clocks.len());
        let last = self.environment.members.iter().filter(|index| own(index)).count() == 1;
        let free: Vec<usize> = self.environment.members.iter().copied().filter(|index| !(last && own(index))).collect();
        let leaving = free[self.rng.random_range(0..free.len())];
        self.leave(leaving).await
    }

    /// A node is lost with its disk. Only a new node can take its place: the old one has forgotten what it acknowledged.
    pub(super) async fn replace(&mut self, victim: usize, hold: Duration) -> Result<()> {
        self.environment.cluster.kill(victim);
        self.environment.cluster.wipe(victim)?;
        tokio::time::sleep(hold).await;
        self.join().await?;
        self.leave(victim).await
    }

    pub(super) async fn join(&mut self) -> Result<()> {
        let by = self.alive(&[])?;
        let index = self.environment.cluster.start_joiner(by)?;
        self.environment.cluster.wait_answers(index).await?;
        let node = &self.environment.cluster.nodes()[index];
        let body = json!({"node_id": node.name(), "host": node.host(), "port": node.port()});
        let start = Instant::now();
        // Adoption is asked for until it is accepted: for a while nobody may lead the map.
        let operation = loop {
            let answer = self.client(by).post("/cluster/nodes", &body).await;
            match answer.body["operation_id"].as_str() {
                Some(operation) if answer.success() => break operation.to_owned(),
                _ => ensure!(start.elapsed() < PATIENCE, "{body} is not adopted: {}", answer.problem),
            }
            tokio::time::sleep(PAUSE).await;
        };
        operation_done(&self.clients_but(&[]), &operation, PATIENCE).await?;
        // From now on clients go there, too.
        self.recorder.note("members", "joined", Edn::Str(self.name(index)));
        self.environment.members.push(index);
        self.endpoints.set(self.environment.entries()?);
        Ok(())
    }

    /// Takes a node out, running or not.
    pub(super) async fn leave(&mut self, leaving: usize) -> Result<()> {
        let (by, name) = (self.alive(&[leaving])?, self.name(leaving));
        let start = Instant::now();
        // It may have to wait until the cluster can do without it. One that is gone has left already.
        let operation = loop {
            let answer = self.client(by).send(Method::DELETE, &format!("/cluster/nodes/{name}"), None).await;
            match answer.body["operation_id"].as_str() {
                Some(operation) if answer.success() => break Some(operation.to_owned()),
                _ if answer.code() == "node_not_found" => break None,
                _ => ensure!(start.elapsed() < PATIENCE, "{name} may not leave: {}", answer.problem),
            }
            tokio::time::sleep(PAUSE).await;
        };
        if let Some(operation) = operation {
            operation_done(&self.clients_but(&[leaving]), &operation, PATIENCE).await?;
        }
        // Clients stop going there before its process ends.
        self.recorder.note("members", "left", Edn::Str(name));
        self.environment.members.retain(|index| *index != leaving);
        self.endpoints.set(self.environment.entries()?);
        self.environment.cluster.kill(leaving);
        Ok(())
    }

    /// Waits until every member is well, every shard has all its voters, and the cluster says that it can lose a node: what
    /// comes next may take one.
    pub(super) async fn whole(&self) -> Result<()> {
        let copies = self.environment.members.len().min(COPIES);
        let start = Instant::now();
        loop {
            // Every node says that it is healthy.
            let mut ailing = Vec::new();
            for client in self.clients_but(&[]) {
                let health = client.with_deadline(Duration::from_secs(2)).health().await;
                if health.body["status"] != "healthy" {
                    ailing.push(format!("{}: {} {}", client.base(), health.body, health.problem));
                }
            }
            // Every shard has all its voters.
            let sharding = self.clients_but(&[])[0].sharding().await;
            let shards = sharding.body["shards"].as_array().map(Vec::as_slice).unwrap_or_default();
            let has_all = |shard: &Value| {
                let replicas = shard["replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
                replicas.len() == copies && replicas.iter().all(|replica| replica["state"] == "voter")
            };
            // The cluster says that it can lose a node.
            let cluster = self.clients_but(&[])[0].can_lose_one().await;
            if ailing.is_empty() && cluster.is_ok() && !shards.is_empty() && shards.iter().all(has_all) {
                return Ok(());
            }
            ensure!(start.elapsed() < PATIENCE, "not whole again: {ailing:?} {cluster:?} {}", sharding.body);
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn alive(&mut self, but: &[usize]) -> Result<usize> {
        let members = self.environment.members.clone();
        let mut alive = members.into_iter().filter(|index| !but.contains(index));
        alive.find(|index| self.environment.cluster.node(*index).running()).context("no member runs")
    }

    /// Kills a node until the others have purged what it lacks, so that it has to come by snapshot.
    pub(super) async fn leave_behind(&mut self, victim: usize) -> Result<()> {
        let known = self.client(victim).with_deadline(GLANCE).shards().await.ok()?;
        let shard = known["shards"][0]["shard"].as_u64().with_context(|| format!("it holds no shard: {known}"))?;
        let applied = read_replica_number(&self.client(victim), shard, "applied")
            .await
            .context("it does not hold its own shard")?;
        // It stays away until what it lacks was purged everywhere: only a snapshot can bring it back.
        self.environment.cluster.kill(victim);
        let others = self.clients_but(&[victim]);
        let start = Instant::now();
        while least_replica_number(&others, shard, "purged").await.unwrap_or(0) <= applied {
            ensure!(
                start.elapsed() < PATIENCE,
                "nothing beyond {applied} of shard {shard} is purged, so no snapshot was tested"
            );
            tokio::time::sleep(PAUSE).await;
        }
        // It comes back, and its replica must have a snapshot from after its time.
        self.environment.cluster.restart(victim)?;
        self.environment.cluster.wait_healthy_node(victim).await?;
        let start = Instant::now();
        while read_replica_number(&self.client(victim), shard, "snapshot").await.unwrap_or(0) <= applied {
            ensure!(start.elapsed() < PATIENCE, "it was left behind in shard {shard} and got no snapshot");
            tokio::time::sleep(PAUSE).await;
        }
        self.recorder.note("raft", "snapshot-installed", Edn::Str(self.name(victim)));
        Ok(())
    }
}

/// The least of what these nodes say of their replicas of a shard: any of those that have one may lead it. `None` where none
/// has.
async fn least_replica_number(clients: &[ApiClient], shard: u64, member: &str) -> Option<u64> {
    let mut said = None;
    for client in clients {
        let row = read_replica_number(client, shard, member).await;
        said = said.into_iter().chain(row).min();
    }
    said
}

/// What a node says of its replica of a shard; `None` where it has none, or does not answer.
async fn read_replica_number(client: &ApiClient, shard: u64, member: &str) -> Option<u64> {
    let shards = client.with_deadline(GLANCE).shards().await.ok().ok()?;
    let mut rows = shards["shards"].as_array()?.iter();
    rows.find(|row| row["shard"] == shard)?[member].as_u64()
}
