//! Faults of links: what nodes lose or hear late of each other, and what proxies do to those who call a node.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::Rng;
use serde_json::{Value, json};

use super::super::workload::COLLECTION;
use super::{Fault, Nemesis};
use crate::harness::netns::Lan;
use crate::harness::proxy::Manner;
use crate::judge::history::edn::Edn;

/// Longer than a leader that nobody answers may serve on.
const LEASE: Duration = Duration::from_secs(2);

impl Nemesis<'_> {
    /// Cuts a node off, and asks it for a fresh answer once its lease must have run out: it has to refuse.
    pub(super) async fn partition(&mut self, fault: Fault, victim: usize, hold: Duration) -> Result<()> {
        let others = self.others(victim);
        let names: Vec<String> = others.iter().map(|index| self.name(*index)).collect();
        let client = self.client(victim);
        let by_kernel = fault == Fault::NetnsPartition;
        // Cut off, by the kernel or by the node itself.
        if by_kernel {
            let both = others.iter().flat_map(|other| [(victim, *other), (*other, victim)]);
            self.lose(both)?;
        } else {
            let cut = client.cut(&names).await;
            ensure!(cut.success(), "cutting {} off: {}", self.name(victim), cut.problem);
        }
        // It is asked once its lease must have ended: what it says then is written down, and judged by coverage.
        tokio::time::sleep(hold.max(LEASE)).await;
        let more = json!({"consistency": self.environment.fresh_level, "timeout_ms": 700});
        let probe = client.scroll(COLLECTION, 1, more).await;
        let said = if probe.success() { "served" } else { "refused" };
        self.recorder.note(
            "probe",
            said,
            Edn::Str(format!("{} at {}", self.name(victim), self.environment.fresh_level)),
        );
        if by_kernel {
            // The kernel heals all links at once.
            return self.lan()?.heal();
        }
        let healed = client.heal().await;
        ensure!(healed.success(), "healing {}: {}", self.name(victim), healed.problem);
        Ok(())
    }

    /// The kernel loses what one node sends, or what is sent to it.
    pub(super) async fn lose_one_way(&mut self, victim: usize, hold: Duration) -> Result<()> {
        let (others, sends) = (self.others(victim), self.rng.random());
        let direction = if sends { "sends" } else { "is sent" };
        self.recorder.note("links", "lost", Edn::Str(format!("what {} {direction}", self.name(victim))));
        self.lose(others.into_iter().map(|other| if sends { (victim, other) } else { (other, victim) }))?;
        tokio::time::sleep(hold).await;
        self.lan()?.heal()
    }

    fn lose(&self, mut between: impl Iterator<Item = (usize, usize)>) -> Result<()> {
        let lan = self.lan()?;
        between.try_for_each(|(from, to)| lan.lose(from, to))
    }

    fn lan(&self) -> Result<&Lan> {
        self.environment.lan.as_deref().context("the nodes are in no namespaces")
    }

    fn others(&self, victim: usize) -> Vec<usize> {
        self.environment.members.iter().copied().filter(|index| *index != victim).collect()
    }

    pub(super) async fn links(&mut self, fault: Fault, victim: usize, hold: Duration) -> Result<()> {
        let others = self.others(victim);
        let (direction, place) = (self.rng.random_range(0..2), self.rng.random_range(0..others.len().max(1)));
        // From a nuisance to more than a follower waits for its leader.
        let ms = [40, 200, 700][self.rng.random_range(0..3)];
        let names = |nodes: &[usize]| -> Vec<String> { nodes.iter().map(|index| self.name(*index)).collect() };
        let all = names(&others);
        let faults: Vec<(usize, Value)> = match fault {
            Fault::OneWay => {
                let direction = ["cut_to", "cut_from"][direction];
                self.recorder.note("links", direction, Edn::Str(self.name(victim)));
                vec![(victim, json!({direction: all}))]
            }
            Fault::Bridge => {
                vec![(victim, json!({"cut": names(&others[place..=place])}))]
            }
            Fault::Ring => self.ring(),
            Fault::Delay => {
                let to = |nodes: &[String], ms: u64| json!({"delay_ms": nodes.iter().map(|node| (node.clone(), json!(ms))).collect::<serde_json::Map<_, _>>()});
                let late = others.iter().map(|other| (*other, to(&names(&[victim]), ms)));
                late.chain([(victim, to(&all, ms))]).collect()
            }
            _ => vec![(victim, json!({"cut": all}))],
        };
        if fault != Fault::Flapping {
            return self.fault_links(&faults, hold).await;
        }
        for _ in 0..8 {
            let hold = Duration::from_millis(self.rng.random_range(100..500));
            self.fault_links(&faults, hold).await?;
            tokio::time::sleep(hold).await;
        }
        Ok(())
    }

    /// Each node loses all but its two neighbours.
    fn ring(&self) -> Vec<(usize, Value)> {
        let members = &self.environment.members;
        let count = members.len();
        let far = |place: usize| -> Vec<String> {
            (2..count - 1).map(|step| self.name(members[(place + step) % count])).collect()
        };
        members.iter().enumerate().map(|(place, index)| (*index, json!({"cut": far(place)}))).collect()
    }

    pub(super) async fn fault_links(&self, faults: &[(usize, Value)], hold: Duration) -> Result<()> {
        for (node, faults) in faults {
            let set = self.client(*node).fault_links(faults).await;
            ensure!(set.success(), "setting {faults} at {}: {}", self.name(*node), set.problem);
        }
        tokio::time::sleep(hold).await;
        for (node, _) in faults {
            let healed = self.client(*node).heal().await;
            ensure!(healed.success(), "healing {}: {}", self.name(*node), healed.problem);
        }
        Ok(())
    }

    pub(super) async fn unkind(&mut self, fault: Fault, victim: usize, hold: Duration) {
        let least = Duration::from_millis(self.rng.random_range(5..200));
        let manners = [
            Manner::Delay { least, jitter: least },
            Manner::Drip { bytes: 64, pause: Duration::from_millis(5) },
            Manner::CutReply { after: self.rng.random_range(1..600) },
        ];
        let manner = match fault {
            Fault::CutReplies => manners[2],
            Fault::SlowClients => manners[self.rng.random_range(0..2)],
            _ => manners[self.rng.random_range(0..3)],
        };
        self.recorder.note("links", "unkind", Edn::Str(format!("{manner:?}")));
        self.treat(fault, victim, manner);
        tokio::time::sleep(hold).await;
        self.treat(fault, victim, Manner::Pass);
    }

    fn treat(&self, fault: Fault, victim: usize, manner: Manner) {
        if fault == Fault::SlowPeers {
            self.environment.cluster.nodes()[victim].treat_callers(manner);
        } else {
            self.environment.treat_clients(victim, manner);
        }
    }
}
