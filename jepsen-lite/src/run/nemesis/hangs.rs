//! What outsiders broke the store with: a disk that hangs, nodes that are far apart, a crowd at the door, an older copy of a
//! directory.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rand::Rng;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;

use super::Nemesis;
use crate::history::edn::Edn;

/// Longer than a node may take to see that its disk hangs, and the others to elect a leader.
const HANG: Duration = Duration::from_secs(7);
/// Delays of a message one way, in milliseconds: there and back they are shorter than the shortest election timeout.
const DELAYS_MS: [u64; 4] = [10, 75, 125, 160];
/// Connections of a crowd.
const CROWD: usize = 1_500;
/// How long a process with an older copy may take to find out.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

impl Nemesis<'_> {
    /// The disk hangs for longer than a leader without a disk may lead: others lead meanwhile, and the node says so.
    pub(super) async fn hang_disk(&mut self, victim: usize, hold: Duration) -> Result<()> {
        self.rig.disks[victim].freeze()?;
        let began = Instant::now();
        let noticed = self.notices(victim).await;
        tokio::time::sleep((HANG + hold).saturating_sub(began.elapsed())).await;
        self.rig.disks[victim].thaw()?;
        noticed
    }

    /// Every message between two nodes takes so long.
    pub(super) async fn far_apart(&mut self, hold: Duration) -> Result<()> {
        let ms = DELAYS_MS[self.rng.random_range(0..DELAYS_MS.len())];
        self.recorder.note("links", "late by", Edn::Str(format!("{ms} ms")));
        let members = self.rig.members.clone();
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
        let address = self.rig.cluster.nodes()[victim].address();
        let mut crowd = Vec::new();
        while crowd.len() < CROWD {
            // A door that is full lets nobody else in.
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

    /// The copy is older than what the node has told the others since: it must not take part.
    pub(super) async fn roll_back(&mut self, victim: usize, hold: Duration) -> Result<()> {
        let data = self.rig.cluster.nodes()[victim].data().to_owned();
        let (copy, right) = (data.with_extension("copy"), data.with_extension("right"));
        self.rig.cluster.kill(victim);
        copy_dir(&data, &copy).context("copying the directory")?;
        self.rig.cluster.restart(victim)?;
        self.rig.cluster.wait_healthy_node(victim).await?;
        tokio::time::sleep(hold).await;
        self.rig.cluster.kill(victim);
        std::fs::rename(&data, &right)?;
        std::fs::rename(&copy, &data)?;
        self.rig.cluster.restart(victim)?;
        let ended = self.ends(victim).await;
        self.rig.cluster.kill(victim);
        std::fs::remove_dir_all(&data)?;
        std::fs::rename(&right, &data)?;
        ended?;
        self.rig.cluster.restart(victim)
    }

    async fn ends(&mut self, victim: usize) -> Result<()> {
        let began = Instant::now();
        while self.rig.cluster.node(victim).running() {
            if began.elapsed() > ENDS_WITHIN {
                bail!("{} runs on with an older copy of its directory", self.name(victim));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    let copied = std::process::Command::new("cp").arg("-a").args([from, &PathBuf::from(to)]).status()?;
    ensure!(copied.success(), "cp ended with {copied}");
    Ok(())
}
