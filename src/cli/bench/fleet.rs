//! The nodes under measurement, as clients see them and as the operating system does: CPU, memory, disk, elections.

use super::report::{Report, Row};
use crate::api::Shards;
use crate::cli::client::Client;
use crate::cli::dev::Cluster;
use anyhow::Context;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The nodes.
pub(super) struct Fleet {
    /// A client for each node as its first door, the others behind it.
    clients: Vec<Arc<Client>>,
    pids: Vec<u32>,
    dirs: Vec<PathBuf>,
}

impl Fleet {
    /// The nodes of a running cluster.
    pub(super) fn of(cluster: &Cluster) -> anyhow::Result<Self> {
        let mut urls: Vec<String> = cluster.members().map(|(_, url, _, _)| url.to_owned()).collect();
        let mut clients = Vec::new();
        for _ in 0..urls.len() {
            clients.push(Arc::new(Client::new(&urls)?));
            urls.rotate_left(1);
        }
        let pids = cluster.members().map(|(_, _, pid, _)| pid).collect();
        let dirs = cluster.members().map(|(name, _, _, log)| log.with_file_name(name)).collect();
        Ok(Self { clients, pids, dirs })
    }

    /// A client whose first door is another node for each worker in turn.
    pub(super) fn client(&self, worker: usize) -> Arc<Client> {
        self.clients[worker % self.clients.len()].clone()
    }

    /// All clients, for a load that spreads itself.
    pub(super) fn clients(&self) -> Vec<Arc<Client>> {
        self.clients.clone()
    }

    /// CPU seconds that all nodes have used since they were started.
    pub(super) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        self.pids.iter().map(|pid| cpu_seconds(*pid)).sum()
    }

    /// The sum of the shards' terms, which grows by one with every election.
    pub(super) async fn terms(&self) -> anyhow::Result<u64> {
        let mut terms = BTreeMap::<u32, u64>::new();
        for client in &self.clients {
            let shards: Shards = client.get("/shards").await?;
            for row in shards.shards {
                let term = terms.entry(row.shard).or_default();
                *term = row.term.max(*term);
            }
        }
        Ok(terms.values().sum())
    }

    /// Memory and disk of the nodes, which hold `points` each.
    pub(super) fn weigh(&self, reused: bool, points: u64, report: &mut Report) -> anyhow::Result<()> {
        let note =
            if reused { "includes what the data directory held before" } else { "vector, payload, log and state" };
        for (node, (pid, dir)) in self.pids.iter().zip(&self.dirs).enumerate() {
            let resident = status(*pid, "VmRSS:")? / 1024.0;
            report
                .add(Row::new(format!("memory of node{} after the load", node + 1), resident, "MiB").note("resident"));
            if node == 0 {
                let bytes = bytes_under(dir)? as f64 / points as f64;
                report.add(Row::new("disk for a vector, on each node", bytes, "bytes").note(note));
            }
        }
        Ok(())
    }
}

/// User and system time of a process, from `/proc/PID/stat` (proc(5), fields 14 and 15).
fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("a node has ended")?;
    // The name, in parentheses, may hold anything; what follows it starts with field 3.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let ticks: f64 = fields.iter().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    // SAFETY: sysconf reads a constant of the system.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    Ok(ticks / per_second)
}

/// A figure of `/proc/PID/status`, in KiB.
fn status(pid: u32, key: &str) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).context("a node has ended")?;
    let line =
        text.lines().find_map(|line| line.strip_prefix(key)).with_context(|| format!("no {key} for process {pid}"))?;
    line.split_whitespace().next().unwrap_or_default().parse().context("an unknown format of /proc")
}

/// Bytes that the files under `dir` take on disk; holes count for nothing.
fn bytes_under(dir: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut total = 0;
    for entry in std::fs::read_dir(dir)? {
        // A file may be gone since it was listed: stores compact while they run.
        let Ok(entry) = entry else { continue };
        let Ok(metadata) = entry.metadata() else { continue };
        total += if metadata.is_dir() { bytes_under(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(total)
}
