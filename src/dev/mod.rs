//! `quiver dev`: a whole cluster on one machine until Ctrl-C. Its nodes and its gateway are processes of this binary.
//!
//! The tour uses the same [`DevCluster`] of child processes, and the demo its [`ChildProcess`].

mod cluster;
mod process;

pub(crate) use cluster::{DevCluster, DevPlan};
pub(crate) use process::ChildProcess;

use crate::output::table::Table;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Pause between two looks at the children.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Arguments of `quiver dev`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DevArgs {
    /// Nodes to start.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    nodes: u8,
    /// Keep the data here [default: a temporary directory, removed at the end].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Port of the gateway; nodes follow at +1, +2, …, their peer ports at +101, +102, …
    #[arg(long, value_name = "PORT", default_value_t = 8000, value_parser = clap::value_parser!(u16).range(1024..=65_000))]
    base_port: u16,
    /// Shards of a new cluster.
    #[arg(long, value_name = "N", default_value_t = 8)]
    shards: u32,
}

const EXAMPLES: &str = "\
Examples:
  quiver dev
  quiver dev --nodes 5 --data-dir ./dev-data
  quiver dev --base-port 9000";

/// Runs the verb.
pub(crate) async fn run(args: DevArgs) -> anyhow::Result<()> {
    let home = Home::new(args.data_dir)?;
    let mut stop = Stop::listen()?;
    let mut plan = DevPlan::new(args.nodes.into(), args.base_port, home.path());
    plan.node_args = vec!["--shards".into(), args.shards.to_string()];
    let mut cluster = DevCluster::start(plan)?;
    // The children are stopped in good order, whichever way this ends.
    let lived = tokio::select! {
        lived = live(&mut cluster, &home) => lived,
        () = stop.asked() => Ok(()),
    };
    eprintln!("\nquiver dev: stopping");
    cluster.stop().await;
    lived
}

/// Waits until the cluster serves, and says what to try. Then reports children that end by themselves. Fails once all
/// have ended.
async fn live(cluster: &mut DevCluster, home: &Home) -> anyhow::Result<()> {
    cluster.serving(Duration::from_secs(60)).await?;
    print!("{}", welcome(cluster, home));
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        for report in cluster.died() {
            eprintln!("{report}");
        }
        // A cluster with dead nodes goes on, as a real one does.
        anyhow::ensure!(cluster.any_alive(), "all processes have ended; their logs are in {}", home.path().display());
    }
}

/// The text that says what runs where, and what to try.
pub(crate) fn welcome(cluster: &DevCluster, home: &Home) -> String {
    let mut table = Table::new(["process", "serves", "pid", "log"]);
    for (name, url, pid, log) in cluster.members() {
        table.row([name.into(), url.into(), pid.to_string(), log.display().to_string()]);
    }
    let url = cluster.endpoint();
    format!(
        r#"
{}
Data in {}{}

Try:
  curl -s {url}/cluster/status
  curl -s {url}/collections -H 'content-type: application/json' -d '{{"name":"docs","vector_size":4,"distance":"cosine"}}'
  curl -s {url}/vectors -H 'content-type: application/json' -d '{{"collection":"docs","vectors":[{{"id":1,"vector":[1,0,0,0],"payload":{{"lang":"en"}}}},{{"id":2,"vector":[0.9,0.1,0,0],"payload":{{"lang":"de"}}}}]}}'
  curl -s {url}/search -H 'content-type: application/json' -d '{{"collection":"docs","vector":[1,0,0,0],"limit":2,"consistency":"quorum"}}'
  quiver status --url {url}

Kill a node with -9 and search again. Ctrl-C ends all.
"#,
        table.render(0),
        home.path().display(),
        if home.is_temporary() { ", removed at the end (--data-dir DIR keeps it)" } else { "" },
    )
}

/// The directory of data and logs: the user's own, or a temporary one.
pub(crate) enum Home {
    /// The user's directory, which stays.
    Kept(PathBuf),
    /// A temporary directory, which is removed when this is dropped.
    Temporary(tempfile::TempDir),
}

impl Home {
    /// The given directory, or a new temporary one.
    pub(crate) fn new(given: Option<PathBuf>) -> anyhow::Result<Self> {
        match given {
            Some(dir) => {
                std::fs::create_dir_all(&dir)?;
                Ok(Self::Kept(dir))
            }
            None => Ok(Self::Temporary(tempfile::Builder::new().prefix("quiver-").tempdir()?)),
        }
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Kept(dir) => dir,
            Self::Temporary(dir) => dir.path(),
        }
    }

    fn is_temporary(&self) -> bool {
        matches!(self, Self::Temporary(_))
    }
}

/// The signals by which a person or a supervisor asks this process to end: Ctrl-C, SIGTERM, a closed terminal.
pub struct Stop([tokio::signal::unix::Signal; 3]);

impl Stop {
    /// Listens from now on. The signals no longer end the process by themselves.
    pub fn listen() -> std::io::Result<Self> {
        let [a, b, c] = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self([a?, b?, c?]))
    }

    /// Returns when one of the signals has come.
    pub async fn asked(&mut self) {
        let [a, b, c] = &mut self.0;
        tokio::select! {
            _ = a.recv() => (),
            _ = b.recv() => (),
            _ = c.recv() => (),
        }
    }
}
