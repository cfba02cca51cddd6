//! Nodes that come to a cluster which runs already: they wait until somebody has them adopted.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{ClusterNode, TestCluster};

impl TestCluster {
    /// Starts one more node, called after its place, which waits to be adopted by the cluster that the node `by` belongs
    /// to; its index. Does not wait for anything.
    pub fn start_joiner(&mut self, by: usize) -> Result<usize> {
        let index = self.nodes.len();
        self.nodes.push(ClusterNode::new(&self.options, &self.scratch, index)?);
        self.start_anew(index, by)?;
        Ok(index)
    }

    /// Wipes a stopped node's directory, and starts it as a new node that waits to be adopted.
    pub fn start_anew(&mut self, index: usize, by: usize) -> Result<()> {
        self.wipe(index)?;
        self.restart_joiner(index, by)
    }

    /// All that a stopped node had stored is gone.
    pub fn wipe(&mut self, index: usize) -> Result<()> {
        let data = &self.nodes[index].data;
        if data.exists() {
            std::fs::remove_dir_all(data).with_context(|| format!("cannot wipe {}", data.display()))?;
        }
        Ok(())
    }

    /// Starts a node again in its old directory, as a service would: it still says whom it joins, since it may have
    /// been stopped before it was adopted.
    pub fn restart_joiner(&mut self, index: usize, by: usize) -> Result<()> {
        self.kill(index);
        let url = self.nodes[by].url();
        self.launch(index, &["--join".to_owned(), url])
    }

    /// Waits until one node's process answers over HTTP, healthy or not.
    pub async fn wait_answers(&mut self, index: usize) -> Result<()> {
        let client = self.client(index).with_deadline(Duration::from_secs(2));
        let start = Instant::now();
        while client.health().await.status.is_none() {
            let node = &mut self.nodes[index];
            if !node.running() || start.elapsed() > self.options.patience {
                bail!("{} does not answer:\n{}", node.name, node.tail());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}
