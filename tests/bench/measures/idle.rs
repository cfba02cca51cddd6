//! The cost of an idle cluster: processor and memory by the number of its groups.
//!
//! In: numbers of shards. Out: one row for each number, measured on a cluster of its own.

use crate::cluster::process_stats;
use crate::cluster::{BenchCluster, NODES};
use crate::report::times::digits;
use crate::report::{Report, ReportRow};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a new cluster may settle before it counts as idle: it elects and moves its first leaders.
const SETTLE: Duration = Duration::from_secs(5);

/// Starts a cluster for each number of shards, lets it rest, and measures what it uses.
pub(crate) async fn measure(report: &mut Report, home: &Path, shards: &[u32], time: Duration) -> anyhow::Result<()> {
    for shards in shards {
        let dir = home.join(format!("idle-{shards}"));
        let cluster = BenchCluster::bare(&dir, vec!["--shards".to_owned(), shards.to_string()]).await?;
        tokio::time::sleep(SETTLE).await;
        // Only the time after the first elections counts.
        let (before, began) = (cluster.processor_ms()?, Instant::now());
        tokio::time::sleep(time).await;
        let used = (cluster.processor_ms()? - before) / (began.elapsed().as_secs_f64() * 1e3);
        let nodes = cluster.nodes();
        let resident = nodes.iter().map(|node| process_stats::resident_bytes(node.pid).map(|(now, _)| now));
        let resident: Vec<u64> = resident.collect::<anyhow::Result<_>>()?;
        let most = resident.iter().max().copied().unwrap_or(0);
        let row = ReportRow::new(
            format!("idle, {NODES} nodes, {shards} shards"),
            format!("{} % of a core", digits(used * 1e2)),
        );
        let row = row.detail(format!("all nodes together; {} MiB resident on each", most >> 20));
        report.add(row.number("core_share", used).number("resident_bytes", most as f64));
        cluster.stop().await?;
    }
    Ok(())
}
