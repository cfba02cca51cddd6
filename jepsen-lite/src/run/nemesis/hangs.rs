//! What outsiders broke the store with: a disk that hangs, nodes that are far apart, a crowd of connections.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rand::Rng;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;

use super::super::workload::COLLECTION;
use super::Nemesis;
use crate::harness::crowd::Crowd;
use crate::judge::history::edn::Edn;

/// Longer than a node may take to see that its disk hangs, and the others to elect a leader.
const HANG: Duration = Duration::from_secs(7);
/// Delays of a message one way, in milliseconds: there and back they are shorter than the shortest election timeout.
const DELAYS_MS: [u64; 4] = [10, 75, 125, 160];
/// Connections of a crowd.
const CROWD: usize = 1_500;
/// Descriptors of a node that may have few, and connections that are more than that.
const FEW: u64 = 128;
const MORE_THAN_FEW: usize = 200;
/// How long a node may take to serve beside a crowd.
const PATIENCE: Duration = Duration::from_secs(60);

impl Nemesis<'_> {
    /// The disk hangs for longer than a leader without a disk may lead: others lead meanwhile, and the node says so.
    pub(super) async fn hang_disk(&mut self, victim: usize, hold: Duration) -> Result<()> {
        self.environment.disks[victim].freeze()?;
        let began = Instant::now();
        let noticed = self.notices(victim).await;
        tokio::time::sleep((HANG + hold).saturating_sub(began.elapsed())).await;
        self.environment.disks[victim].thaw()?;
        noticed
    }

    /// Every message between two nodes takes so long.
    pub(super) async fn far_apart(&mut self, hold: Duration) -> Result<()> {
        let ms = DELAYS_MS[self.rng.random_range(0..DELAYS_MS.len())];
        self.recorder.note("links", "late by", Edn::Str(format!("{ms} ms")));
        let members = self.environment.members.clone();
        let late = |of: usize| {
            let others = members.iter().filter(|other| **other != of);
            let delays: Map<String, Value> = others.map(|other| (self.name(*other), json!(ms))).collect();
            (of, json!({"delay_ms": delays}))
        };
        let faults: Vec<(usize, Value)> = members.iter().map(|of| late(*of)).collect();
        self.fault_links(&faults, hold * 2).await
    }

    /// Connections that never say a word.
    pub(super) async fn crowd(&mut self, victim: usize, hold: Duration) -> Result<()> {
        let address = self.environment.cluster.nodes()[victim].address();
        let mut crowd = Vec::new();
        while crowd.len() < CROWD {
            // A node whose connections are all taken accepts no more.
            match tokio::time::timeout(Duration::from_secs(1), TcpStream::connect(address)).await {
                Ok(Ok(connection)) => crowd.push(connection),
                Ok(Err(_)) | Err(_) => break,
            }
        }
        self.recorder.note("links", "silent connections", Edn::Str(crowd.len().to_string()));
        tokio::time::sleep(hold).await;
        drop(crowd);
        Ok(())
    }

    /// The node may have few descriptors, idle clients take all that it gives them, and another node starts again, which needs
    /// new connections to it. Meanwhile every group is led, and the other node answers.
    pub(super) async fn exhaust_descriptors(&mut self, victim: usize, hold: Duration) -> Result<()> {
        self.environment.cluster.node(victim).set_descriptors(Some(FEW));
        self.environment.cluster.restart(victim)?;
        self.environment.cluster.wait_healthy_node(victim).await?;
        // Silent clients take all that it has.
        let crowd = Crowd::start(self.environment.cluster.nodes()[victim].address(), MORE_THAN_FEW);
        tokio::time::sleep(hold / 2).await;
        // Another node starts again and needs new connections to it; everything is served all the same.
        let other =
            self.environment.members.iter().copied().find(|index| *index != victim).context("one node alone")?;
        self.environment.cluster.restart(other)?;
        self.environment.cluster.wait_healthy_node(other).await?;
        let served = self.serves_everything(other).await;
        tokio::time::sleep(hold / 2).await;
        self.recorder.note("links", "silent connections", Edn::Str(crowd.opened().to_string()));
        // It gets its descriptors back.
        drop(crowd);
        self.environment.cluster.node(victim).set_descriptors(None);
        self.environment.cluster.restart(victim)?;
        served
    }

    /// Waits until a node shows what there is in all shards.
    async fn serves_everything(&self, index: usize) -> Result<()> {
        let (client, began) = (self.client(index), Instant::now());
        loop {
            let more = json!({"consistency": self.environment.fresh_level, "timeout_ms": 2500});
            let answer = client.scroll(COLLECTION, 1, more).await;
            if answer.success() {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "{} serves nothing: {}", self.name(index), answer.problem);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
