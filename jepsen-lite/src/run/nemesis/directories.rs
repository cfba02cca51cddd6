//! Copies of a node's directory that come to life: an older one in place of the right one, and one beside it. Neither may
//! take part.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rand::Rng;

use super::Nemesis;

/// How long a process with a copy may take to find out.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

impl Nemesis<'_> {
    /// The copy is older than what the node has told the others since: it must not take part.
    pub(super) async fn roll_back(&mut self, victim: usize, hold: Duration) -> Result<()> {
        let data = self.environment.cluster.nodes()[victim].data().to_owned();
        let (copy, right) = (data.with_extension("copy"), data.with_extension("right"));
        // A copy is taken of the stopped node, which then runs on and gets ahead of it.
        self.environment.cluster.kill(victim);
        copy_dir(&data, &copy).context("copying the directory")?;
        self.environment.cluster.restart(victim)?;
        self.environment.cluster.wait_healthy_node(victim).await?;
        // The copy takes the place of the directory; a node that is let in by it would be a second life.
        tokio::time::sleep(hold).await;
        self.environment.cluster.kill(victim);
        std::fs::rename(&data, &right)?;
        std::fs::rename(&copy, &data)?;
        self.environment.cluster.restart(victim)?;
        // It must end by itself. Whatever it did, the right directory comes back.
        let ended = self.ends(victim).await;
        self.environment.cluster.kill(victim);
        std::fs::remove_dir_all(&data)?;
        std::fs::rename(&right, &data)?;
        ended?;
        self.environment.cluster.restart(victim)
    }

    /// The node runs, and a copy of its directory is started beside it on other ports: the copy must end, and the node must
    /// go on.
    pub(super) async fn double(&mut self, victim: usize, hold: Duration) -> Result<()> {
        let data = self.environment.cluster.nodes()[victim].data().to_owned();
        let copy = data.with_extension("copy");
        // Of a node that was stopped in good order, and of one that was not.
        if self.rng.random() {
            self.environment.cluster.terminate(victim).await?;
        } else {
            self.environment.cluster.kill(victim);
        }
        copy_dir(&data, &copy).context("copying the directory")?;
        self.environment.cluster.restart(victim)?;
        self.environment.cluster.wait_healthy_node(victim).await?;
        let mut twin = self.environment.cluster.start_twin(victim, &copy)?;
        let ended = twin.process.wait(ENDS_WITHIN).await;
        tokio::time::sleep(hold / 4).await;
        drop(twin);
        std::fs::remove_dir_all(&copy)?;
        let ended = ended.with_context(|| format!("a copy of the directory of {} takes part", self.name(victim)))?;
        ensure!(ended.code() == Some(1), "the copy of the directory of {} ended otherwise: {ended}", self.name(victim));
        ensure!(self.environment.cluster.node(victim).running(), "{} ended, not only its copy", self.name(victim));
        Ok(())
    }

    async fn ends(&mut self, victim: usize) -> Result<()> {
        let began = Instant::now();
        while self.environment.cluster.node(victim).running() {
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
