//! What a run hurts: the nodes, and beneath and between them whatever the plan's faults take.
//!
//! Everything is undone when this is dropped, on a panic or an interrupt too: first the processes go, then the proxies, then
//! the disks. A fault that this machine has no means for is left out, and said ([`TestEnvironment::skipped`]).

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::nemesis::{Fault, Need};
use super::workload::{Endpoint, Entries};
use super::{RunPlan, Through};
use crate::harness::client::ApiClient;
use crate::harness::clock;
use crate::harness::clock::WallClock;
use crate::harness::cluster::{Gateway, Options, TestCluster};
use crate::harness::disk::{LoopDisk, NoDisk};
use crate::harness::netns::Lan;
use crate::harness::ports::PortLease;
use crate::harness::proxy::{Manner, Proxy};

/// MiB of each node's disk.
const DISK_MIB: u64 = 192;

/// The nodes and their surroundings.
#[derive(Debug)]
pub struct TestEnvironment {
    /// The only one that clients talk to, where there is one.
    pub gateway: Option<Gateway>,
    /// The nodes; those that have left are still numbered.
    pub cluster: TestCluster,
    /// Members, by number.
    pub members: Vec<usize>,
    /// What can be done here of what is planned.
    pub faults: Vec<Fault>,
    /// What cannot, and why.
    pub skipped: Vec<(Fault, String)>,
    /// The wall clock of each of the first nodes.
    pub clocks: Vec<WallClock>,
    /// A disk of each of the first nodes.
    pub disks: Vec<LoopDisk>,
    /// The network between the nodes, where they are in namespaces.
    pub lan: Option<Arc<Lan>>,
    /// The level at which a node that is cut off must refuse: the run's, or where that is ONE the next.
    pub fresh_level: String,
    /// In front of each node that clients know; empty where nothing is to be done to them.
    client_proxies: Vec<(Proxy, PortLease)>,
    by_proxy: bool,
}

impl TestEnvironment {
    /// Starts what the plan takes, and waits until all nodes are healthy.
    ///
    /// # Errors
    /// What should have worked.
    pub async fn start(plan: &RunPlan) -> Result<Self> {
        plan.fits()?;
        // What the faults need is made first. What this machine cannot make is kept with the reason, and its faults are
        // left out.
        let needs = |need: Need| plan.faults.iter().any(|fault| fault.need() == need);
        let mut missing = Vec::new();
        let lan = needs(Need::Namespaces).then(Lan::new).transpose().unwrap_or_else(|why| {
            missing.push((Need::Namespaces, why));
            None
        });
        let lan = lan.map(Arc::new);
        let disks = if needs(Need::Disks) { disks(plan.nodes, &mut missing)? } else { Vec::new() };
        let library = needs(Need::Clocks).then(clock::library).transpose();
        let library = library.unwrap_or_else(|why| {
            missing.push((Need::Clocks, why));
            None
        });
        // Nodes are prepared with all of it, and not yet started: clocks must be in their environment before.
        let mut options = Options {
            nodes: plan.nodes,
            data_dirs: disks.iter().map(|disk| disk.path().join("data")).collect(),
            peers_by_proxy: needs(Need::PeerProxies),
            lan: lan.clone(),
            env: plan.env.clone(),
            ..Options::new("jepsen-lite", &plan.binary)
        };
        options.args.extend(plan.args());
        let mut cluster = TestCluster::prepare(options)?;
        let clocks = library.map(|library| set_clocks(&mut cluster, library)).transpose()?.unwrap_or_default();
        // The cluster forms, and a gateway comes after it.
        cluster.form().await?;
        let gateway = if plan.through == Through::Gateway { Some(cluster.gateway().await?) } else { None };
        // What is left of the plan on this machine.
        let lacks = |fault: &Fault| missing.iter().find(|(need, _)| *need == fault.need());
        let skipped = plan.faults.iter().filter_map(|fault| Some((*fault, lacks(fault)?.1.clone()))).collect();
        let faults = plan.faults.iter().copied().filter(|fault| lacks(fault).is_none()).collect();
        let (members, by_proxy) = ((0..plan.nodes).collect(), needs(Need::ClientProxies));
        let fresh_level = if plan.level == "one" { "quorum".to_owned() } else { plan.level.clone() };
        let client_proxies = Vec::new();
        let environment = Self {
            gateway,
            cluster,
            members,
            faults,
            skipped,
            clocks,
            disks,
            lan,
            fresh_level,
            client_proxies,
            by_proxy,
        };
        Ok(environment)
    }

    /// Where clients go, and where the members are.
    ///
    /// # Errors
    /// Where a proxy cannot listen.
    pub fn entries(&mut self) -> Result<Entries> {
        // A node that joined since the last time has no proxy yet.
        while self.by_proxy && self.client_proxies.len() < self.cluster.nodes().len() {
            let index = self.client_proxies.len();
            let (lease, target) = (PortLease::take()?, self.cluster.nodes()[index].address());
            let at = SocketAddr::from(([127, 0, 0, 1], lease.port()));
            self.client_proxies.push((Proxy::start(at, target, index as u64)?, lease));
        }
        let endpoint = |index: usize, client| Endpoint { name: self.cluster.nodes()[index].name().to_owned(), client };
        let proxied = |index: usize| match self.client_proxies.get(index) {
            Some((_, lease)) => ApiClient::new(&format!("http://127.0.0.1:{}", lease.port())),
            None => self.cluster.client(index),
        };
        // Clients go through the proxies or the gateway; members are reached by themselves.
        let members = self.members.iter().map(|index| endpoint(*index, self.cluster.client(*index))).collect();
        let clients = match &self.gateway {
            Some(gateway) => vec![Endpoint { name: "gateway".to_owned(), client: gateway.client() }],
            None => self.members.iter().map(|index| endpoint(*index, proxied(*index))).collect(),
        };
        Ok(Entries { clients, members })
    }

    /// Starts the gateway again, with the members of now as its seeds, and waits until it serves.
    ///
    /// # Errors
    /// One that does not come up, or that this environment does not have.
    pub async fn restart_gateway(&mut self) -> Result<()> {
        let gateway = self.gateway.as_mut().context("there is no gateway")?;
        self.cluster.start_gateway(gateway, &self.members)?;
        self.cluster.wait_gateway(gateway).await
    }

    /// How clients of a node are treated.
    pub fn treat_clients(&self, index: usize, manner: Manner) {
        if let Some((proxy, _)) = self.client_proxies.get(index) {
            proxy.set(manner);
        }
    }
}

/// Gives each node a clock of its own, which it gets with its environment.
fn set_clocks(cluster: &mut TestCluster, library: &str) -> Result<Vec<WallClock>> {
    let mut clocks = Vec::new();
    for index in 0..cluster.nodes().len() {
        let clock = WallClock::new(cluster.logs().join(format!("node{}.clock", index + 1)))?;
        cluster.node(index).set_env(clock.environment(library));
        clocks.push(clock);
    }
    Ok(clocks)
}

fn disks(count: usize, missing: &mut Vec<(Need, String)>) -> Result<Vec<LoopDisk>> {
    let mut disks = Vec::new();
    for _ in 0..count {
        match LoopDisk::create(DISK_MIB) {
            Ok(disk) => disks.push(disk),
            Err(NoDisk::Skip(why)) => {
                missing.push((Need::Disks, why));
                return Ok(Vec::new());
            }
            Err(NoDisk::Failed(error)) => bail!("no disk: {error}"),
        }
    }
    Ok(disks)
}
