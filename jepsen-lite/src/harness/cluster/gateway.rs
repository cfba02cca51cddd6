//! A `quiver gateway` in front of the nodes: it holds no replica, and is stopped and started as a node is.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::TestCluster;
use crate::harness::client::ApiClient;
use crate::harness::ports::PortLease;
use crate::harness::process::ChildProcess;

/// A gateway, running or not; its process is killed when this is dropped.
#[derive(Debug)]
pub struct Gateway {
    lease: PortLease,
    out: PathBuf,
    log: PathBuf,
    process: Option<ChildProcess>,
}

impl Gateway {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.lease.port()))
    }

    /// A client of it.
    pub fn client(&self) -> ApiClient {
        ApiClient::new(&format!("http://{}", self.address()))
    }

    /// SIGKILL; returns when the process is gone.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// SIGSTOP.
    pub fn pause(&mut self) {
        self.signal(libc::SIGSTOP);
    }

    /// SIGCONT.
    pub fn resume(&mut self) {
        self.signal(libc::SIGCONT);
    }

    fn signal(&mut self, signal: i32) {
        if let Some(process) = &mut self.process {
            process.signal(signal);
        }
    }

    /// The process id, while it was not stopped.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(ChildProcess::pid)
    }
}

impl TestCluster {
    /// A gateway that knows all nodes, once it answers.
    ///
    /// # Errors
    /// One that does not come up.
    pub async fn gateway(&self) -> Result<Gateway> {
        let lease = PortLease::take()?;
        let log = self.logs().join(format!("gateway-{}.log", lease.port()));
        let mut gateway = Gateway { lease, out: log.with_extension("out"), log, process: None };
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        self.start_gateway(&mut gateway, &all)?;
        self.wait_gateway(&mut gateway).await?;
        Ok(gateway)
    }

    /// Starts a gateway on its port, in place of the process that ran there if any, and does not wait. It learns of the
    /// cluster from these nodes.
    ///
    /// # Errors
    /// Where no process can be started.
    pub fn start_gateway(&self, gateway: &mut Gateway, seeds: &[usize]) -> Result<()> {
        gateway.kill();
        let urls: Vec<_> = seeds.iter().map(|index| self.nodes[*index].url()).collect();
        let listen = gateway.address().to_string();
        let command = self.verb(&["gateway", "--listen", &listen, "--cluster", &urls.join(",")]);
        gateway.process = Some(ChildProcess::start(command, &gateway.out, &gateway.log)?);
        Ok(())
    }

    /// Waits until a gateway knows the cluster.
    ///
    /// # Errors
    /// One that ends instead, or does not answer in time.
    pub async fn wait_gateway(&self, gateway: &mut Gateway) -> Result<()> {
        let (client, start) = (gateway.client().with_deadline(Duration::from_secs(2)), Instant::now());
        while !client.cluster_status().await.success() {
            let ended = gateway.process.as_mut().is_none_or(|process| process.ended().is_some());
            if ended || start.elapsed() > self.options.patience {
                bail!("the gateway did not come up:\n{}", std::fs::read_to_string(&gateway.log).unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}
