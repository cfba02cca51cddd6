//! What is done to the cluster, by a schedule from the seed: one fault at a time, held, undone, and a quiet while.
//!
//! No fault outlives its turn, and never is more than a minority away but for `kill-all`, which all nodes survive on their
//! disks. Every fault and its end are in the history.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::Rng;
use rand::rngs::StdRng;

use super::recorder::Recorder;
use crate::cluster::Cluster;
use crate::history::edn::Edn;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Fault {
    /// SIGKILL to one node.
    Kill,
    /// SIGKILL to all nodes at once.
    KillAll,
    /// SIGSTOP to one node.
    Pause,
    /// One node hears no other, and no other hears it.
    Partition,
    /// Two nodes do not hear each other; all others hear both.
    Bridge,
    /// A partition that comes and goes several times a second.
    Flapping,
}

impl Fault {
    /// Its name in histories.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::KillAll => "kill-all",
            Self::Pause => "pause",
            Self::Partition => "partition",
            Self::Bridge => "bridge",
            Self::Flapping => "flapping",
        }
    }
}

/// Hurts a cluster.
pub struct Nemesis<'a> {
    /// Whom.
    pub cluster: &'a mut Cluster,
    /// Where it is written down.
    pub recorder: &'a Recorder,
    /// Of all choices.
    pub rng: StdRng,
}

impl Nemesis<'_> {
    /// Does one of these faults, and undoes it.
    ///
    /// # Errors
    /// A fault that could not be done or undone, or a node that does not get healthy again.
    pub async fn strike(&mut self, fault: Fault) -> Result<()> {
        let nodes = self.cluster.nodes().len();
        // Half of the time whoever leads most, for that is where it hurts.
        let victim = match self.leading().await {
            Some(leader) if self.rng.random() => leader,
            _ => self.rng.random_range(0..nodes),
        };
        let hold = Duration::from_millis(self.rng.random_range(800..4500));
        self.recorder.note("nemesis", fault.name(), Edn::Str(self.cluster.nodes()[victim].name().to_owned()));
        match fault {
            Fault::Kill => self.kill(&[victim], hold).await,
            Fault::KillAll => self.kill(&(0..nodes).collect::<Vec<_>>(), hold / 4).await,
            Fault::Pause => {
                self.cluster.pause(victim);
                tokio::time::sleep(hold).await;
                self.cluster.resume(victim);
                Ok(())
            }
            Fault::Partition => self.cut(victim, nodes, nodes, hold).await,
            Fault::Bridge => self.cut(victim, nodes, 1, hold).await,
            Fault::Flapping => {
                for _ in 0..8 {
                    let hold = Duration::from_millis(self.rng.random_range(100..500));
                    self.cut(victim, nodes, nodes, hold).await?;
                    tokio::time::sleep(hold).await;
                }
                Ok(())
            }
        }?;
        self.cluster.wait_healthy().await.with_context(|| format!("after {}", fault.name()))?;
        self.recorder.note("nemesis", &format!("end-{}", fault.name()), Edn::Nil);
        self.leading().await;
        Ok(())
    }

    async fn kill(&mut self, victims: &[usize], hold: Duration) -> Result<()> {
        victims.iter().for_each(|victim| self.cluster.kill(*victim));
        tokio::time::sleep(hold).await;
        victims.iter().try_for_each(|victim| self.cluster.restart(*victim))
    }

    /// Cuts one node from the next `others` nodes.
    async fn cut(&mut self, victim: usize, nodes: usize, others: usize, hold: Duration) -> Result<()> {
        let names = (1..nodes).take(others).map(|step| self.cluster.nodes()[(victim + step) % nodes].name().to_owned());
        let names: Vec<String> = names.collect();
        let client = self.cluster.client(victim);
        let cut = client.cut(&names).await;
        ensure!(cut.success(), "cutting {names:?} off: {}", cut.problem);
        tokio::time::sleep(hold).await;
        let healed = client.heal().await;
        ensure!(healed.success(), "healing: {}", healed.problem);
        Ok(())
    }

    /// The node that leads most shards, as any node sees it; who leads is written down.
    pub async fn leading(&mut self) -> Option<usize> {
        let clients = self.cluster.clients();
        for client in &clients {
            let answer = client.with_deadline(Duration::from_secs(1)).sharding().await;
            let Some(shards) = answer.body["shards"].as_array().filter(|_| answer.success()) else { continue };
            let leaders: Vec<&str> = shards.iter().filter_map(|shard| shard["leader"].as_str()).collect();
            if leaders.is_empty() {
                continue;
            }
            self.recorder.note("leader", "leader", Edn::Str(leaders.join(" ")));
            let count =
                |index: &usize| leaders.iter().filter(|leader| **leader == self.cluster.nodes()[*index].name()).count();
            return (0..clients.len()).max_by_key(count);
        }
        None
    }
}
