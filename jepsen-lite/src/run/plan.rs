//! What a run is to be: what clients do, whom they talk to, what is done to the cluster, for how long, and by which seed.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::nemesis::{Fault, Need};
use crate::judge::check::ConsistencyModel;
use crate::judge::history::edn::Edn;

/// Tells a node, by its environment, which bug to have. In force only where the binary has bugs to choose from.
pub const MUTANT: &str = "QUIVER_MUTANT";

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Workload {
    /// Read, write, delete and compare-and-set of single points.
    Register,
    /// Reads and writes at ONE on any node, each after what the session has seen.
    Session,
    /// Three points are written, deleted and read together. One shard.
    Batch,
    /// Points are added, and all are read by one exact search. One shard.
    Set,
    /// Points are added and removed, read page by page and counted.
    Scan,
    /// The same, and points are removed by a filter on their payload.
    Sweep,
    /// The same as scan by a filter, on a payload field whose index comes and goes.
    Indexed,
    /// Collections are dropped and made again under the same names.
    Drops,
    /// Registers, whose clients send each write again under its request id: at once where it is not answered, and long
    /// after it was, with other writes between.
    Retry,
    /// Three points, in several shards, are written, deleted and read together; each is a register of its own.
    Spread,
    /// Searches, several in one request.
    SearchBatch,
    /// Points move, and exact searches show the nearest. One shard.
    Search,
    /// Many points move, and approximate searches show the nearest.
    Approximate,
}

impl Workload {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Session => "session",
            Self::Batch => "batch",
            Self::Set => "set",
            Self::Scan => "scan",
            Self::Sweep => "sweep",
            Self::Indexed => "indexed",
            Self::Drops => "drops",
            Self::Retry => "retry",
            Self::Spread => "spread",
            Self::SearchBatch => "search-batch",
            Self::Search => "search",
            Self::Approximate => "approximate",
        }
    }

    /// Shards that its promise bears.
    fn shards(self) -> u32 {
        match self {
            Self::Register | Self::Session | Self::Scan | Self::Approximate => 4,
            Self::Sweep | Self::Indexed | Self::Drops | Self::Spread => 4,
            Self::Batch | Self::Set | Self::Search | Self::SearchBatch | Self::Retry => 1,
        }
    }
}

/// Whom clients talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Through {
    /// Every node, which is a gateway too.
    Nodes,
    /// A `quiver gateway` alone, in a process of its own, which knows all nodes.
    Gateway,
}

/// How a run is.
#[derive(Clone, Debug)]
pub struct RunPlan {
    /// The `quiver` binary.
    pub binary: PathBuf,
    /// What clients do.
    pub workload: Workload,
    /// What is done to them.
    pub faults: Vec<Fault>,
    /// `one`, `quorum` or `all`.
    pub level: String,
    /// Of all choices.
    pub seed: u64,
    /// How long clients work.
    pub time: Duration,
    /// How many nodes.
    pub nodes: usize,
    /// Whom clients talk to.
    pub through: Through,
    /// Log entries after which a shard takes a snapshot; the store's own choice without it.
    pub snapshot_after: Option<u64>,
    /// Further environment of every node.
    pub env: Vec<(String, String)>,
}

impl RunPlan {
    /// A run of three nodes.
    pub fn new(binary: PathBuf, workload: Workload, level: &str, faults: &[Fault], seed: u64, time: Duration) -> Self {
        let (faults, level, env) = (faults.to_vec(), level.to_owned(), Vec::new());
        let (nodes, through) = (3, Through::Nodes);
        Self { binary, workload, faults, level, seed, time, nodes, through, snapshot_after: None, env }
    }

    /// Whether its faults can be done together, to so many nodes.
    ///
    /// # Errors
    /// In words, where they cannot.
    pub fn fits(&self) -> Result<()> {
        let needs = |need: Need| self.faults.iter().any(|fault| fault.need() == need);
        // What faults ask of the nodes, whoever the clients ask.
        ensure!(
            self.nodes >= 5 || !self.faults.contains(&Fault::Ring),
            "a ring of {} nodes cuts nothing: it takes 5 or more",
            self.nodes
        );
        ensure!(
            !(needs(Need::Namespaces) && needs(Need::PeerProxies)),
            "proxies between nodes are on the loopback interface, and nodes in namespaces are not: run them apart"
        );
        // What a gateway adds, and takes away.
        if self.through == Through::Nodes {
            ensure!(!needs(Need::Gateway), "there is no gateway to be hurt: run it with --through gateway");
            return Ok(());
        }
        ensure!(!needs(Need::ClientProxies), "clients of a gateway have no proxies to single nodes: run them apart");
        ensure!(
            self.level != "one" || self.workload != Workload::Register,
            "reads at ONE without a session promise something on one node only, and a gateway asks any: run it at a higher \
             level, or the session workload"
        );
        Ok(())
    }

    /// Further arguments of every node.
    pub(super) fn args(&self) -> Vec<String> {
        let mut args = vec!["--shards".to_owned(), self.workload.shards().to_string()];
        // A node left behind has to come by snapshot, within the time of a run.
        let left_behind = self.faults.contains(&Fault::LeftBehind).then_some(40);
        if let Some(entries) = self.snapshot_after.or(left_behind) {
            args.extend(["--snapshot-after".to_owned(), entries.to_string(), "--keep-entries".to_owned()]);
            args.push((entries / 4).to_string());
        }
        args
    }

    pub(super) fn model(&self) -> ConsistencyModel {
        match self.workload {
            // A client asks every node in turn, so the session whose reads may not go back is the node's.
            Workload::Register if self.level == "one" => ConsistencyModel::NodeSession,
            Workload::Register | Workload::Batch | Workload::Retry | Workload::Spread => ConsistencyModel::CasRegister,
            Workload::Session => ConsistencyModel::Session,
            Workload::Set => ConsistencyModel::Set,
            Workload::Scan | Workload::Sweep | Workload::Indexed => ConsistencyModel::Scan,
            Workload::Drops => ConsistencyModel::Drops,
            Workload::Search | Workload::SearchBatch | Workload::Approximate => ConsistencyModel::Search,
        }
    }

    /// The command that does it again.
    pub fn replay(&self) -> String {
        let option =
            |name: &str, value: Option<String>| value.map_or(String::new(), |value| format!(" --{name} {value}"));
        let mutant = self.env.iter().find(|(name, _)| name == MUTANT).map(|(_, mutant)| mutant.clone());
        format!(
            "jepsen-lite run --workload {}{} --level {} --seed {} --seconds {} --nodes {}{}{}{}",
            self.workload.name(),
            option("nemesis", Some(self.names()).filter(|faults| !faults.is_empty())),
            self.level,
            self.seed,
            self.time.as_secs(),
            self.nodes,
            option("through", (self.through == Through::Gateway).then(|| "gateway".to_owned())),
            option("snapshot-after", self.snapshot_after.map(|entries| entries.to_string())),
            option("mutant", mutant),
        )
    }

    /// The faults, with commas.
    pub fn names(&self) -> String {
        self.faults.iter().map(|fault| fault.name()).collect::<Vec<_>>().join(",")
    }

    pub(super) fn header(&self, faults: &[Fault]) -> Vec<(String, Edn)> {
        let names: Vec<&str> = faults.iter().map(|fault| fault.name()).collect();
        vec![
            ("faults".to_owned(), Edn::Str(names.join(","))),
            ("level".to_owned(), Edn::Str(self.level.clone())),
            ("nodes".to_owned(), Edn::Int(self.nodes as i64)),
            ("seconds".to_owned(), Edn::Int(self.time.as_secs() as i64)),
            ("seed".to_owned(), Edn::Str(self.seed.to_string())),
            ("workload".to_owned(), Edn::Str(self.workload.name().to_owned())),
        ]
    }
}
