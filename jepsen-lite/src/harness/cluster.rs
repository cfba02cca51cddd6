//! A cluster of real `quiver server` processes that can be hurt in every way an operator's can.
//!
//! Node 1 is started with `--bootstrap N`, the others with `--join`; a restart gives the same directory and the same
//! ports and neither flag. All processes are killed when the cluster is dropped, on a panic too; the logs stay unless
//! [`TestCluster::finish`] was reached.

mod gateway;
mod joiners;
mod node;
#[cfg(test)]
mod tests;
mod twin;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::harness::client::ApiClient;
use crate::harness::netns::Lan;
use crate::harness::process::{ChildProcess, clean_command, limit_descriptors};
use crate::harness::scratch::ScratchDirectory;
pub use gateway::Gateway;
pub use node::ClusterNode;
pub use twin::Twin;

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names the run's directory and log lines.
    pub name: String,
    /// The `quiver` binary.
    pub binary: PathBuf,
    /// How many nodes.
    pub nodes: usize,
    /// Further arguments of every node, e.g. `--shards 4`.
    pub args: Vec<String>,
    /// Further environment of every node.
    pub env: Vec<(String, String)>,
    /// Data directories, one a node, where they are not to be in the run's own directory (disks of their own).
    pub data_dirs: Vec<PathBuf>,
    /// Whether nodes reach each other only through proxies, which [`ClusterNode::treat_callers`] makes unkind. Needs a
    /// runtime.
    pub peers_by_proxy: bool,
    /// The network of namespaces that the nodes are in, where they are not all on the loopback interface.
    pub lan: Option<Arc<Lan>>,
    /// How long a node may take until it is healthy.
    pub patience: Duration,
}

impl Options {
    /// Three nodes with fault injection allowed and no further arguments.
    pub fn new(name: &str, binary: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            binary: binary.into(),
            nodes: 3,
            args: vec!["--test-faults".to_owned()],
            env: Vec::new(),
            data_dirs: Vec::new(),
            peers_by_proxy: false,
            lan: None,
            patience: Duration::from_secs(60),
        }
    }

    /// Adds arguments for every node.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// Adds a variable to the environment of every node.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The cluster. Nodes are numbered from 0; node 0 is `node1`.
#[derive(Debug)]
pub struct TestCluster {
    options: Options,
    // Dropped first: a process must be gone before its directory is.
    nodes: Vec<ClusterNode>,
    scratch: ScratchDirectory,
}

impl TestCluster {
    /// Starts all nodes and waits until each is healthy.
    pub async fn start(options: Options) -> Result<Self> {
        let mut cluster = Self::prepare(options)?;
        cluster.form().await?;
        Ok(cluster)
    }

    /// Starts all nodes of what [`TestCluster::prepare`] made, and waits until each is healthy.
    pub async fn form(&mut self) -> Result<()> {
        for index in 0..self.nodes.len() {
            let (nodes, first) = (self.nodes.len(), self.nodes[0].url());
            let form =
                if index == 0 { ["--bootstrap".to_owned(), nodes.to_string()] } else { ["--join".to_owned(), first] };
            self.launch(index, &form)?;
        }
        self.wait_healthy().await
    }

    /// Leases ports and makes directories, and starts nothing.
    pub fn prepare(options: Options) -> Result<Self> {
        let scratch = ScratchDirectory::new(&options.name)?;
        let nodes =
            (0..options.nodes).map(|index| ClusterNode::new(&options, &scratch, index)).collect::<Result<_>>()?;
        Ok(Self { options, nodes, scratch })
    }

    /// The `quiver` binary with a clean environment, for verbs and gateways.
    pub fn verb(&self, args: &[&str]) -> Command {
        let mut command = clean_command(&self.options.binary);
        command.args(args);
        command
    }

    fn launch(&mut self, index: usize, more: &[String]) -> Result<()> {
        let node = &self.nodes[index];
        let mut command = self.server(index, [node.http.port(), node.peer.port()], &node.data);
        command.args(more);
        let process = ChildProcess::start(command, &node.out, &node.log)?;
        self.nodes[index].process = Some(process);
        Ok(())
    }

    /// The command of a node, on these ports (of the API, and for other nodes) and in this directory.
    fn server(&self, index: usize, [http, peer]: [u16; 2], data: &Path) -> Command {
        let node = &self.nodes[index];
        let mut command = self.verb(&["server", "--node-id", &node.name]);
        command
            .args(["--listen", &format!("{}:{http}", node.listen)])
            .args(["--peer-listen", &format!("{}:{peer}", node.listen)])
            .args(["--advertise", &node.host])
            .arg("--data-dir")
            .arg(data)
            .args(&self.options.args)
            .envs(self.options.env.iter().chain(&node.env).map(|(name, value)| (name, value)));
        // Limits and namespaces are of the process, not of the command line.
        if let Some(most) = node.descriptors {
            limit_descriptors(&mut command, most);
        }
        if let Some(lan) = &self.options.lan {
            lan.place(index, &mut command);
        }
        command
    }

    /// All nodes.
    pub fn nodes(&self) -> &[ClusterNode] {
        &self.nodes
    }

    /// One node.
    pub fn node(&mut self, index: usize) -> &mut ClusterNode {
        &mut self.nodes[index]
    }

    /// The number of the node called `name`.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name == name)
    }

    /// A client of one node.
    pub fn client(&self, index: usize) -> ApiClient {
        ApiClient::new(&self.nodes[index].url())
    }

    /// Clients of all nodes, in order.
    pub fn clients(&self) -> Vec<ApiClient> {
        (0..self.nodes.len()).map(|index| self.client(index)).collect()
    }

    /// Clients of the nodes whose processes were not stopped.
    pub fn running_clients(&self) -> Vec<ApiClient> {
        let running = (0..self.nodes.len()).filter(|index| self.nodes[*index].process.is_some());
        running.map(|index| self.client(index)).collect()
    }

    /// Where histories go, so that they stay after a failure.
    pub fn logs(&self) -> PathBuf {
        self.scratch.logs()
    }

    /// SIGKILL; returns when the process is gone.
    pub fn kill(&mut self, index: usize) {
        if let Some(mut process) = self.nodes[index].process.take() {
            process.kill();
        }
    }

    /// SIGSTOP.
    pub fn pause(&mut self, index: usize) {
        self.signal(index, libc::SIGSTOP);
    }

    /// SIGCONT.
    pub fn resume(&mut self, index: usize) {
        self.signal(index, libc::SIGCONT);
    }

    fn signal(&mut self, index: usize, signal: i32) {
        if let Some(process) = &mut self.nodes[index].process {
            process.signal(signal);
        }
    }

    /// SIGTERM; the exit code of the clean stop.
    pub async fn terminate(&mut self, index: usize) -> Result<Option<i32>> {
        let Some(mut process) = self.nodes[index].process.take() else {
            return Ok(None);
        };
        process.signal(libc::SIGTERM);
        let status = process.wait(Duration::from_secs(30)).await;
        let status = status
            .with_context(|| format!("{} after SIGTERM:\n{}", self.nodes[index].name, self.nodes[index].tail()))?;
        Ok(status.code())
    }

    /// Starts a node again in its old directory on its old ports, and does not wait.
    pub fn restart(&mut self, index: usize) -> Result<()> {
        self.kill(index);
        self.launch(index, &[])
    }

    /// Replaces the further arguments; in force from the next start on.
    pub fn set_args(&mut self, args: &[&str]) {
        self.options.args = args.iter().map(|arg| (*arg).to_owned()).collect();
    }

    /// Waits until one node says that it is healthy. A process that ends instead is an error at once.
    pub async fn wait_healthy_node(&mut self, index: usize) -> Result<()> {
        let client = self.client(index).with_deadline(Duration::from_secs(2));
        let start = Instant::now();
        loop {
            let answer = client.health().await;
            if answer.status == Some(200) {
                return Ok(());
            }
            // A node that ended never gets healthy.
            let node = &mut self.nodes[index];
            if !node.running() {
                let how = node.process.as_mut().and_then(ChildProcess::ended);
                bail!("{} ended ({how:?}) instead of getting healthy:\n{}", node.name, node.tail());
            }
            if start.elapsed() > self.options.patience {
                bail!(
                    "{} is not healthy after {:?}: {}{}\n{}",
                    node.name,
                    self.options.patience,
                    answer.body,
                    answer.problem,
                    node.tail()
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until every running node is healthy.
    pub async fn wait_healthy(&mut self) -> Result<()> {
        for index in 0..self.nodes.len() {
            if self.nodes[index].process.is_some() {
                self.wait_healthy_node(index).await?;
            }
        }
        Ok(())
    }

    /// The good end of a run: no log of a node or gateway holds a panic; then everything is killed and removed.
    pub fn finish(mut self) -> Result<()> {
        let paths = std::fs::read_dir(self.logs())?.flatten().map(|entry| entry.path());
        for path in paths.filter(|path| path.is_file() && path.extension().is_some_and(|suffix| suffix == "log")) {
            let log = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            if let Some(line) = String::from_utf8_lossy(&log).lines().find(|line| line.contains("panicked at")) {
                bail!("{} panicked: {line}", path.file_stem().unwrap_or_default().to_string_lossy());
            }
        }
        self.nodes.clear();
        self.scratch.ended_well();
        Ok(())
    }
}
