//! A copy of a node's directory that runs beside the node, as a cloned machine does.

use std::path::Path;

use anyhow::{Context, Result};

use super::TestCluster;
use crate::harness::ports::PortLease;
use crate::harness::process::ChildProcess;

/// The process of the copy; killed when this is dropped.
#[derive(Debug)]
pub struct Twin {
    /// It may end by itself.
    pub process: ChildProcess,
    /// Its own ports.
    _leases: [PortLease; 2],
}

impl TestCluster {
    /// Starts a process in `data`, a copy of the directory of a node, under the node's name and on other ports.
    ///
    /// # Errors
    /// Where no process can be started.
    pub fn start_twin(&self, index: usize, data: &Path) -> Result<Twin> {
        let leases = [PortLease::take()?, PortLease::take()?];
        let command = self.server(index, leases.each_ref().map(PortLease::port), data);
        let log = self.logs().join(format!("{}-twin.log", self.nodes[index].name));
        let process = ChildProcess::start(command, &log.with_extension("out"), &log).context("starting the copy")?;
        Ok(Twin { process, _leases: leases })
    }
}
