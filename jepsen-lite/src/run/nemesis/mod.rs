//! What is done to the cluster, by a schedule from the seed: one fault at a time, held, undone, and a quiet while.
//!
//! No fault outlives its turn, and never is more than a minority away but for `kill-all` and `power-loss-all`, which all
//! nodes survive on their disks. Never is more than one node's disk damaged: the next fault waits until that node is
//! healthy again or replaced. Every fault and its end are in the history.

mod damage;
mod directories;
mod disks;
mod fault;
mod gateways;
mod hangs;
mod links;
mod members;
mod pauses;

use std::time::Duration;

use anyhow::{Context, Result};
use rand::Rng;
use rand::rngs::StdRng;

use super::environment::TestEnvironment;
use super::recorder::HistoryRecorder;
use super::workload::Endpoints;
use crate::harness::client::ApiClient;
use crate::harness::clock;
use crate::judge::history::edn::Edn;
pub use fault::{Fault, Need};

/// Hurts a cluster.
pub struct Nemesis<'a> {
    /// Whom.
    pub environment: &'a mut TestEnvironment,
    /// Where clients go, kept true as nodes come and go.
    pub endpoints: Endpoints,
    /// Where it is written down.
    pub recorder: &'a HistoryRecorder,
    /// Of all choices.
    pub rng: StdRng,
}

impl Nemesis<'_> {
    /// Does one of these faults, and undoes it.
    ///
    /// # Errors
    /// A fault that could not be done or undone, or a node that does not get healthy again.
    pub async fn strike(&mut self, fault: Fault) -> Result<()> {
        let victim = self.victim(fault).await?;
        let whom = if fault.need() == Need::Gateway { "gateway".to_owned() } else { self.name(victim) };
        let hold = Duration::from_millis(self.rng.random_range(800..4500));
        self.recorder.note("nemesis", fault.name(), Edn::Str(whom.clone()));
        self.inflict(fault, victim, hold).await.with_context(|| format!("{} of {whom}", fault.name()))?;
        self.environment.cluster.wait_healthy().await.with_context(|| format!("after {}", fault.name()))?;
        self.whole().await.with_context(|| format!("after {}", fault.name()))?;
        self.recorder.note("nemesis", &format!("end-{}", fault.name()), Edn::Nil);
        Ok(())
    }

    async fn inflict(&mut self, fault: Fault, victim: usize, hold: Duration) -> Result<()> {
        match fault {
            Fault::Kill => self.kill(&[victim], hold).await,
            Fault::KillAll => self.kill(&self.environment.members.clone(), hold / 4).await,
            Fault::Pause => self.pause_each_role(victim, hold).await,
            Fault::KillGateway => self.kill_gateway(hold).await,
            Fault::PauseGateway => self.pause_gateway(hold).await,
            Fault::Partition | Fault::NetnsPartition => self.partition(fault, victim, hold).await,
            Fault::NetnsOneWay => self.lose_one_way(victim, hold).await,
            Fault::OneWay | Fault::Bridge | Fault::Ring | Fault::Flapping | Fault::Delay => {
                self.links(fault, victim, hold).await
            }
            Fault::SlowPeers | Fault::SlowClients | Fault::CutReplies => {
                self.unkind(fault, victim, hold).await;
                Ok(())
            }
            Fault::ClockJump => self.jump_clock(victim, hold).await,
            Fault::ClockRate => self.slow_clock(victim, hold).await,
            Fault::PowerLoss => self.cut_power(&[victim], hold).await,
            Fault::PowerLossAll => self.cut_power(&self.environment.members.clone(), hold / 4).await,
            Fault::DiskFull => self.fill_disk(victim, hold).await,
            Fault::DiskError => self.fail_disk(victim, hold).await,
            Fault::DiskHang => self.hang_disk(victim, hold).await,
            Fault::FarApart => self.far_apart(hold).await,
            Fault::Sockets => self.crowd(victim, hold).await,
            Fault::Descriptors => self.exhaust_descriptors(victim, hold).await,
            Fault::RolledBack => self.roll_back(victim, hold).await,
            Fault::Doubled => self.double(victim, hold).await,
            Fault::Damage => self.damage(victim).await,
            Fault::Replace => self.replace(victim, hold).await,
            Fault::Churn => self.churn(hold).await,
            Fault::LeftBehind => self.leave_behind(victim).await,
        }
    }

    /// Half of the time whoever leads most, for that is where it hurts.
    async fn victim(&mut self, fault: Fault) -> Result<usize> {
        let disks = self.environment.disks.len();
        // Disks and clocks are made at the start, and nodes that join later have none.
        let fit: Vec<usize> = match fault.need() {
            Need::Disks => self.environment.members.iter().copied().filter(|index| *index < disks).collect(),
            Need::Clocks => self
                .environment
                .members
                .iter()
                .copied()
                .filter(|index| *index < self.environment.clocks.len())
                .collect(),
            _ => self.environment.members.clone(),
        };
        // A leader every other time: what is done to it shows most.
        let leader = self.leading().await.filter(|leader| fit.contains(leader));
        if let Some(leader) = leader.filter(|_| self.rng.random()) {
            return Ok(leader);
        }
        let place = self.rng.random_range(0..fit.len().max(1));
        fit.get(place).copied().context("no node is left that this can be done to")
    }

    fn name(&self, index: usize) -> String {
        self.environment.cluster.nodes()[index].name().to_owned()
    }

    fn client(&self, index: usize) -> ApiClient {
        self.environment.cluster.client(index)
    }

    /// Clients of the members but for some.
    fn clients_but(&self, but: &[usize]) -> Vec<ApiClient> {
        self.environment.members.iter().filter(|index| !but.contains(index)).map(|index| self.client(*index)).collect()
    }

    async fn kill(&mut self, victims: &[usize], hold: Duration) -> Result<()> {
        victims.iter().for_each(|victim| self.environment.cluster.kill(*victim));
        tokio::time::sleep(hold).await;
        victims.iter().try_for_each(|victim| self.environment.cluster.restart(*victim))
    }

    async fn jump_clock(&mut self, victim: usize, hold: Duration) -> Result<()> {
        for seconds in [3600, -3600, 0] {
            self.environment.clocks[victim].jump(seconds)?;
            self.recorder.note("clock", "jump", Edn::Int(seconds));
            // The library looks once a second.
            tokio::time::sleep(hold / 3 + Duration::from_secs(1)).await;
        }
        Ok(())
    }

    async fn slow_clock(&mut self, victim: usize, hold: Duration) -> Result<()> {
        let library = clock::library().map_err(anyhow::Error::msg)?;
        self.environment.cluster.node(victim).set_env(clock::rate(library, 0.5));
        self.environment.cluster.restart(victim)?;
        self.environment.cluster.wait_healthy_node(victim).await?;
        tokio::time::sleep(hold).await;
        let right = self.environment.clocks[victim].environment(library);
        self.environment.cluster.node(victim).set_env(right);
        self.environment.cluster.restart(victim)
    }

    /// The node that leads most shards, as any node sees it.
    pub async fn leading(&mut self) -> Option<usize> {
        for client in self.clients_but(&[]) {
            let answer = client.with_deadline(Duration::from_secs(1)).sharding().await;
            let Some(shards) = answer.body["shards"].as_array().filter(|_| answer.success()) else { continue };
            let leaders: Vec<&str> = shards.iter().filter_map(|shard| shard["leader"].as_str()).collect();
            if leaders.is_empty() {
                continue;
            }
            let count = |index: &usize| leaders.iter().filter(|leader| **leader == self.name(*index)).count();
            return self.environment.members.iter().copied().max_by_key(count);
        }
        None
    }
}
