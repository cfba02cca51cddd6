//! A gateway and some nodes as child processes: their ports are checked first, and they are started, watched, killed
//! and stopped together.
//!
//! In: ports, a directory, arguments of the nodes. Out: processes that can be killed and started again, and a message
//! for each one that ends by itself. Speaks to `/health` only.

use super::process::ChildProcess;
use anyhow::{Context, bail};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest wait for a process that was asked to stop.
const STOP_WAIT: Duration = Duration::from_secs(10);
/// Pause between two questions whether a process serves yet.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// What to start, and where.
pub(crate) struct DevPlan {
    /// Port of the gateway.
    pub(crate) gateway_port: u16,
    /// For each node: the port of its API, and the port for its peers.
    pub(crate) node_ports: Vec<(u16, u16)>,
    /// Directory of data and logs.
    pub(crate) dir: PathBuf,
    /// Further arguments of every node.
    pub(crate) node_args: Vec<String>,
}

impl DevPlan {
    /// A gateway on port `base`, nodes on +1, +2, …, and their peer ports on +101, +102, …
    pub(crate) fn new(nodes: usize, base: u16, dir: &Path) -> Self {
        let node_ports = (1..=nodes as u16).map(|n| (base + n, base + 100 + n)).collect();
        Self { gateway_port: base, node_ports, dir: dir.into(), node_args: Vec::new() }
    }

    /// Fails if a port is taken, before anything is started.
    fn check_ports(&self) -> anyhow::Result<()> {
        let ports = self.node_ports.iter().flat_map(|(http, peer)| [*http, *peer]).chain([self.gateway_port]);
        for port in ports {
            if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                bail!(
                    "port {port} cannot be used ({error}): stop what uses it, or choose other ports with --base-port"
                );
            }
        }
        Ok(())
    }
}

struct ClusterProcess {
    name: String,
    url: String,
    process: ChildProcess,
}

/// The running processes. All are killed when this is dropped.
pub(crate) struct DevCluster {
    /// The nodes in order, then the gateway.
    members: Vec<ClusterProcess>,
    http: reqwest::Client,
}

impl DevCluster {
    /// Starts all processes. Call it on the main thread (see [`ChildProcess::start`]).
    ///
    /// # Errors
    /// Where a port is taken or a process cannot be started.
    pub(crate) fn start(plan: DevPlan) -> anyhow::Result<Self> {
        plan.check_ports()?;
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let mut cluster =
            Self { members: Vec::new(), http: reqwest::Client::builder().timeout(Duration::from_secs(2)).build()? };
        let nodes = plan.node_ports.len();
        for (n, (http, peer)) in plan.node_ports.iter().enumerate() {
            let name = format!("node{}", n + 1);
            let (listen, peer_listen) = (format!("127.0.0.1:{http}"), format!("127.0.0.1:{peer}"));
            let data = plan.dir.join(&name).display().to_string();
            // The first node forms the cluster, and the others join it.
            let origin = if n == 0 {
                ["--bootstrap".into(), nodes.to_string()]
            } else {
                ["--join".into(), url(plan.node_ports[0].0)]
            };
            let fixed =
                ["server", "--node-id", &name, "--listen", &listen, "--peer-listen", &peer_listen, "--data-dir", &data];
            let args =
                fixed.into_iter().map(str::to_owned).chain(origin).chain(plan.node_args.iter().cloned()).collect();
            cluster.add(&name, url(*http), args, &plan.dir)?;
        }
        // The gateway is last in the list: `endpoint` relies on that.
        let nodes: Vec<String> = plan.node_ports.iter().map(|(http, _)| url(*http)).collect();
        let listen = format!("127.0.0.1:{}", plan.gateway_port);
        let args = ["gateway", "--listen", &listen, "--cluster", &nodes.join(",")].map(str::to_owned).to_vec();
        cluster.add("gateway", url(plan.gateway_port), args, &plan.dir)?;
        Ok(cluster)
    }

    fn add(&mut self, name: &str, url: String, args: Vec<String>, dir: &Path) -> anyhow::Result<()> {
        let process = ChildProcess::start(args, dir.join(format!("{name}.log")))
            .with_context(|| format!("cannot start {name}"))?;
        self.members.push(ClusterProcess { name: name.into(), url, process });
        Ok(())
    }

    /// Waits until every process says that it serves.
    ///
    /// # Errors
    /// Where a process ends before that, with the end of its log; where `patience` is over.
    pub(crate) async fn serving(&mut self, patience: Duration) -> anyhow::Result<()> {
        for member in 0..self.members.len() {
            self.member_serving(member, patience).await?;
        }
        Ok(())
    }

    async fn member_serving(&mut self, member: usize, patience: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + patience;
        let url = format!("{}/health", self.members[member].url);
        loop {
            let answer = self.http.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            // A process that ended explains the silence at once.
            if let Some(report) = self.died().first() {
                bail!("{report}");
            }
            let ClusterProcess { name, process, .. } = &self.members[member];
            if Instant::now() > until {
                bail!("{name} does not serve after {} s; the end of its log:\n{}", patience.as_secs(), process.tail());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// A message for each process that has ended by itself since the last call.
    pub(crate) fn died(&mut self) -> Vec<String> {
        let told =
            self.members.iter_mut().filter_map(|member| Some(format!("{} {}", member.name, member.process.died()?)));
        told.collect()
    }

    /// Returns `true` if any process is left.
    pub(crate) fn any_alive(&mut self) -> bool {
        self.members.iter_mut().any(|member| member.process.ended().is_none())
    }

    /// The name, URL, process id and log of each process.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &str, u32, &Path)> {
        self.members
            .iter()
            .map(|member| (member.name.as_str(), member.url.as_str(), member.process.pid(), member.process.log()))
    }

    /// URL of the gateway.
    pub(crate) fn endpoint(&self) -> &str {
        &self.members.last().expect("the gateway is started last").url
    }

    /// Kills a node with SIGKILL.
    pub(crate) fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        self.member(name)?.process.kill();
        Ok(())
    }

    /// Starts a node again on its data. Call it on the main thread.
    pub(crate) fn restart(&mut self, name: &str) -> anyhow::Result<()> {
        self.member(name)?.process.restart()
    }

    /// Waits until one node serves.
    pub(crate) async fn node_serving(&mut self, name: &str, patience: Duration) -> anyhow::Result<()> {
        let member = self.members.iter().position(|member| member.name == name);
        self.member_serving(member.with_context(|| format!("no process is called {name}"))?, patience).await
    }

    fn member(&mut self, name: &str) -> anyhow::Result<&mut ClusterProcess> {
        self.members
            .iter_mut()
            .find(|member| member.name == name)
            .with_context(|| format!("no process is called {name}"))
    }

    /// Asks all processes to stop, the gateway first. Kills those that run after [`STOP_WAIT`].
    pub(crate) async fn stop(mut self) {
        for member in self.members.iter_mut().rev() {
            member.process.terminate();
        }
        let deadline = Instant::now() + STOP_WAIT;
        for member in &mut self.members {
            member.process.gone(deadline).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_port_is_named_before_anything_starts() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let plan = DevPlan { gateway_port: port, node_ports: vec![], dir: "unused".into(), node_args: vec![] };
        let error = plan.check_ports().unwrap_err().to_string();
        assert!(error.contains(&port.to_string()) && error.contains("--base-port"), "{error}");
    }
}
