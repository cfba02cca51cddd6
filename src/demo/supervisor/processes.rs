//! The nodes' processes. They must be started on the main thread, which lives as long as they may (see
//! [`ChildProcess`]). So all other threads send orders to it.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::{mpsc, oneshot};

use crate::demo::supervisor::settings::DemoTimings;
use crate::dev::ChildProcess;

/// Longest wait for the nodes to end after they were asked to stop.
const STOP_WAIT: Duration = Duration::from_secs(8);
/// A replica takes a snapshot after so many entries, and keeps so many behind it. Both are small, so that lessons are
/// short.
const SNAPSHOT_AFTER: (u32, u32) = (64, 16);

/// What to do with a node's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessCommand {
    Kill,
    Pause,
    Resume,
    /// Start it again on its data.
    Restart,
    /// Erase the data of a process that has ended, and start it as a node that waits to be adopted.
    Renew,
}

/// An order, and the channel for its outcome: the process id that the node has then.
pub(crate) struct ProcessOrder {
    pub name: String,
    pub command: ProcessCommand,
    /// The URL of a node that is up, for a node that joins again.
    pub join: Option<String>,
    pub done: oneshot::Sender<anyhow::Result<u32>>,
}

/// A node that ended by itself.
pub(crate) struct ProcessEnd {
    pub name: String,
    pub reason: String,
}

struct NodeProcess {
    name: String,
    /// Where its API listens.
    url: String,
    data: PathBuf,
    /// Its arguments, without those by which it finds its cluster.
    args: Vec<String>,
    log: PathBuf,
    process: ChildProcess,
}

/// All processes. They are killed when this is dropped.
pub(crate) struct Processes {
    members: Vec<NodeProcess>,
    orders: mpsc::UnboundedReceiver<ProcessOrder>,
}

impl Processes {
    /// Starts nodes on free ports. Call it on the main thread.
    ///
    /// # Errors
    /// No free port, or a process that cannot be started.
    pub fn start(
        nodes: usize,
        shards: u32,
        timings: &DemoTimings,
        dir: &Path,
    ) -> anyhow::Result<(Self, mpsc::UnboundedSender<ProcessOrder>)> {
        let ports = free_ports(nodes * 2)?;
        let (sender, orders) = mpsc::unbounded_channel();
        let mut processes = Self { members: Vec::new(), orders };
        let first = format!("http://127.0.0.1:{}", ports[0]);
        for (n, ports) in ports.chunks(2).enumerate() {
            let name = format!("node{}", n + 1);
            let (data, log) = (dir.join(&name), dir.join(format!("{name}.log")));
            // Kept without its origin: a node that begins anew joins, whoever formed the cluster.
            let args = arguments(&name, ports[0], ports[1], &data, shards, timings);
            // The first node forms the cluster, and the others join it.
            let origin =
                if n == 0 { ["--bootstrap".into(), nodes.to_string()] } else { ["--join".into(), first.clone()] };
            let process = ChildProcess::start(args.iter().cloned().chain(origin).collect(), log.clone());
            let process = process.with_context(|| format!("cannot start {name}"))?;
            let url = format!("http://127.0.0.1:{}", ports[0]);
            processes.members.push(NodeProcess { name, url, data, args, log, process });
        }
        Ok((processes, sender))
    }

    /// The nodes' names.
    pub fn names(&self) -> Vec<String> {
        self.members.iter().map(|member| member.name.clone()).collect()
    }

    /// The name, URL and process id of each node.
    pub fn members(&self) -> impl Iterator<Item = (&str, &str, u32)> {
        self.members.iter().map(|member| (member.name.as_str(), member.url.as_str(), member.process.pid()))
    }

    /// Carries out the next order.
    pub async fn serve(&mut self) {
        let Some(order) = self.orders.recv().await else { return std::future::pending().await };
        let outcome = self.carry_out(&order);
        // The sender of the order may have gone.
        let _ = order.done.send(outcome);
    }

    fn carry_out(&mut self, order: &ProcessOrder) -> anyhow::Result<u32> {
        let member = self.members.iter_mut().find(|member| member.name == order.name);
        let member = member.with_context(|| format!("there is no node {}", order.name))?;
        match order.command {
            ProcessCommand::Kill => member.process.kill(),
            ProcessCommand::Pause => member.process.pause(),
            ProcessCommand::Resume => member.process.resume(),
            ProcessCommand::Restart => member.process.restart()?,
            ProcessCommand::Renew => {
                // The data can be erased only once the process no longer uses it.
                member.process.kill();
                std::fs::remove_dir_all(&member.data).context("its data cannot be erased")?;
                let join = order.join.clone().context("no node is up that it could join")?;
                let args = member.args.iter().cloned().chain(["--join".to_owned(), join]).collect();
                member.process = ChildProcess::start(args, member.log.clone())?;
            }
        }
        Ok(member.process.pid())
    }

    /// The nodes that ended by themselves since the last call.
    pub fn died(&mut self) -> Vec<ProcessEnd> {
        let died = self
            .members
            .iter_mut()
            .filter_map(|member| Some(ProcessEnd { name: member.name.clone(), reason: member.process.died()? }));
        died.collect()
    }

    /// Asks all processes to stop, and kills those that run after [`STOP_WAIT`].
    pub async fn stop(mut self) {
        for member in &mut self.members {
            // A paused process acts on SIGTERM only once it is resumed.
            member.process.resume();
            member.process.terminate();
        }
        let deadline = Instant::now() + STOP_WAIT;
        for member in &mut self.members {
            member.process.gone(deadline).await;
        }
    }
}

fn arguments(name: &str, port: u16, peers: u16, data: &Path, shards: u32, timings: &DemoTimings) -> Vec<String> {
    let pairs = [
        ("--node-id", name.to_owned()),
        ("--listen", format!("127.0.0.1:{port}")),
        ("--peer-listen", format!("127.0.0.1:{peers}")),
        ("--data-dir", data.display().to_string()),
        ("--shards", shards.to_string()),
        ("--heartbeat-ms", timings.heartbeat_ms.to_string()),
        ("--election-min-ms", timings.election_min_ms.to_string()),
        ("--election-max-ms", timings.election_max_ms.to_string()),
        ("--snapshot-after", SNAPSHOT_AFTER.0.to_string()),
        ("--keep-entries", SNAPSHOT_AFTER.1.to_string()),
        ("--test-faults", "true".to_owned()),
    ];
    let pairs = pairs.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]);
    std::iter::once("server".to_owned()).chain(pairs).collect()
}

/// Different ports that are free at this moment. All are held until all are chosen.
fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let held: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
    Ok(held.iter().map(|listener| listener.local_addr().map(|address| address.port())).collect::<Result<_, _>>()?)
}
