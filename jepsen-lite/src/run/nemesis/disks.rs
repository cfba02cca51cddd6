//! Faults of disks: no power, no room, no answer but errors.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Nemesis;

/// How long a node may go on before it has met the fault of its disk.
const NOTICES_WITHIN: Duration = Duration::from_secs(30);

impl Nemesis<'_> {
    /// The power of the disks goes first: what a process writes after that is not there either.
    pub(super) async fn cut_power(&mut self, victims: &[usize], hold: Duration) -> Result<()> {
        let victims: Vec<usize> = victims.iter().copied().filter(|index| *index < self.rig.disks.len()).collect();
        for victim in &victims {
            self.rig.disks[*victim].cut_power()?;
        }
        victims.iter().for_each(|victim| self.rig.cluster.kill(*victim));
        tokio::time::sleep(hold).await;
        for victim in victims {
            self.rig.disks[victim].restore_power()?;
            self.rig.cluster.restart(victim)?;
        }
        Ok(())
    }

    /// A node whose disk was full serves again once it is started anew with room.
    pub(super) async fn fill_disk(&mut self, victim: usize, hold: Duration) -> Result<()> {
        self.rig.disks[victim].fill()?;
        let noticed = self.notices(victim).await;
        tokio::time::sleep(hold).await;
        self.rig.disks[victim].free()?;
        noticed?;
        self.rig.cluster.restart(victim)
    }

    pub(super) async fn fail_disk(&mut self, victim: usize, hold: Duration) -> Result<()> {
        self.rig.disks[victim].cut_power()?;
        let noticed = self.notices(victim).await;
        tokio::time::sleep(hold).await;
        self.rig.cluster.kill(victim);
        self.rig.disks[victim].restore_power()?;
        noticed?;
        self.rig.cluster.restart(victim)
    }

    /// Waits until a node has met the fault of its disk, and says so or has ended.
    async fn notices(&mut self, victim: usize) -> Result<()> {
        let client = self.client(victim).with_deadline(Duration::from_secs(2));
        let start = Instant::now();
        while start.elapsed() < NOTICES_WITHIN {
            if !self.rig.cluster.node(victim).running() || client.health().await.status != Some(200) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("the node calls itself healthy {NOTICES_WITHIN:?} after its disk began to fail, so nothing was tested")
    }
}
