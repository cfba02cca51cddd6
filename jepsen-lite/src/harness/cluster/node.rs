//! One node of a cluster: where it is reached, where its files are, and its process while it runs.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Options;
use crate::harness::ports::PortLease;
use crate::harness::process::ChildProcess;
use crate::harness::proxy::{Manner, Proxy};
use crate::harness::scratch::ScratchDirectory;

/// One node, running or not.
#[derive(Debug)]
pub struct ClusterNode {
    pub(super) name: String,
    pub(super) http: PortLease,
    pub(super) peer: PortLease,
    /// Where it listens.
    pub(super) listen: Ipv4Addr,
    pub(super) host: String,
    pub(super) links: Vec<Proxy>,
    pub(super) env: Vec<(String, String)>,
    /// How many descriptors it may have, where fewer than this process.
    pub(super) descriptors: Option<u64>,
    pub(super) data: PathBuf,
    pub(super) out: PathBuf,
    pub(super) log: PathBuf,
    pub(super) process: Option<ChildProcess>,
}

impl ClusterNode {
    /// One that does not run yet.
    pub(super) fn new(options: &Options, scratch: &ScratchDirectory, index: usize) -> Result<Self> {
        let name = format!("node{}", index + 1);
        let (http, peer) = (PortLease::take()?, PortLease::take()?);
        // The same ports of another address of this machine.
        let outside = [127, 0, 1, u8::try_from(index + 1).context("that many nodes")?];
        let link = |port: u16| {
            Proxy::start(SocketAddr::from((outside, port)), SocketAddr::from(([127, 0, 0, 1], port)), u64::from(port))
        };
        let by_proxy = options.peers_by_proxy.then(|| [http.port(), peer.port()]);
        let links: Vec<Proxy> = by_proxy.into_iter().flatten().map(link).collect::<Result<_>>()?;
        let listen = options.lan.as_ref().map_or(Ok(Ipv4Addr::LOCALHOST), |lan| lan.join(index))?;
        let host = if links.is_empty() { listen } else { Ipv4Addr::from(outside) }.to_string();
        Ok(Self {
            http,
            peer,
            listen,
            host,
            links,
            env: Vec::new(),
            descriptors: None,
            data: options.data_dirs.get(index).cloned().unwrap_or_else(|| scratch.root().join(&name)),
            out: scratch.logs().join(format!("{name}.out")),
            log: scratch.logs().join(format!("{name}.log")),
            process: None,
            name,
        })
    }

    /// `node1`, `node2`, …
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `http://127.0.0.1:port`, or what its address is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Where its HTTP interface listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((self.listen, self.http.port()))
    }

    /// The port of its HTTP interface.
    pub fn port(&self) -> u16 {
        self.http.port()
    }

    /// Where other nodes reach it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// How it is treated what other nodes send it and it answers, where they reach it by proxy.
    pub fn treat_callers(&self, manner: Manner) {
        self.links.iter().for_each(|link| link.set(manner));
    }

    /// Replaces its own part of the environment; in force from the next start on.
    pub fn set_env(&mut self, env: Vec<(String, String)>) {
        self.env = env;
    }

    /// How many descriptors it may have, soft and hard, or as many as this process; in force from the next start on.
    pub fn set_descriptors(&mut self, most: Option<u64>) {
        self.descriptors = most;
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// All it has written to standard error, over every life it had.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// All it has written to standard output.
    pub fn out(&self) -> String {
        std::fs::read(&self.out).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Whether the process lives.
    pub fn running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.ended().is_none())
    }

    /// The process id, while it was not stopped.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(ChildProcess::pid)
    }

    /// The end of its log, for the message of an error.
    pub(super) fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}
