//! Faults of disks: no power, no room, no answer but errors.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::json;

use super::Nemesis;
use crate::harness::client::ApiClient;

/// How long a node may go on before it has met the fault of its disk.
const NOTICES_WITHIN: Duration = Duration::from_secs(30);

/// The collection of what is written to use up room, and bytes of one such write.
const BALLAST: &str = "ballast";
const BALLAST_BYTES: usize = 256 << 10;

impl Nemesis<'_> {
    /// The power of the disks goes first: what a process writes after that is not there either.
    pub(super) async fn cut_power(&mut self, victims: &[usize], hold: Duration) -> Result<()> {
        let victims: Vec<usize> =
            victims.iter().copied().filter(|index| *index < self.environment.disks.len()).collect();
        for victim in &victims {
            self.environment.disks[*victim].cut_power()?;
        }
        victims.iter().for_each(|victim| self.environment.cluster.kill(*victim));
        tokio::time::sleep(hold).await;
        for victim in victims {
            self.environment.disks[victim].restore_power()?;
            self.environment.cluster.restart(victim)?;
        }
        Ok(())
    }

    /// A node whose disk was full serves again once it is started anew with room.
    pub(super) async fn fill_disk(&mut self, victim: usize, hold: Duration) -> Result<()> {
        // Of the store's files some room may be free within: what clients write would take minutes to use that up.
        let others = self.clients_but(&[victim]);
        let _exists_already = others[0].create_collection(BALLAST, 1, "dot").await;
        self.environment.disks[victim].fill()?;
        let ballast = tokio::spawn(write_ballast(others));
        let noticed = self.notices(victim).await;
        ballast.abort();
        tokio::time::sleep(hold).await;
        self.environment.disks[victim].free()?;
        noticed?;
        self.environment.cluster.restart(victim)
    }

    pub(super) async fn fail_disk(&mut self, victim: usize, hold: Duration) -> Result<()> {
        self.environment.disks[victim].cut_power()?;
        let noticed = self.notices(victim).await;
        tokio::time::sleep(hold).await;
        self.environment.cluster.kill(victim);
        self.environment.disks[victim].restore_power()?;
        noticed?;
        self.environment.cluster.restart(victim)
    }

    /// Waits until a node has met the fault of its disk, and says so or has ended.
    pub(super) async fn notices(&mut self, victim: usize) -> Result<()> {
        let client = self.client(victim).with_deadline(Duration::from_secs(2));
        let start = Instant::now();
        while start.elapsed() < NOTICES_WITHIN {
            let running = self.environment.cluster.node(victim).running();
            if !running || client.health().await.body["status"] != "healthy" {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("the node calls itself healthy {NOTICES_WITHIN:?} after its disk began to fail, so nothing was tested")
    }
}

/// Overwrites one large point again and again; who answers is all the same.
async fn write_ballast(by: Vec<ApiClient>) {
    let text = "x".repeat(BALLAST_BYTES);
    for turn in 0.. {
        let point = json!({"id": 1, "vector": [1], "payload": {"ballast": text}});
        by[turn % by.len()].upsert(BALLAST, vec![point], json!({"timeout_ms": 1000})).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
