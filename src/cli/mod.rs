//! The command line: it parses the arguments, runs one verb, and turns the result into an exit code.
//!
//! `server` and `gateway` start what [`crate::node`] builds. `cluster unsafe-recover` works on the directory of a
//! stopped node. Every other verb is a client that speaks HTTP; some first start processes of this same binary. Nothing
//! here knows what Raft is.

mod admin;
mod confirm;
mod data;
mod exit;
mod ingest;
mod manual;
mod search;
mod status;
mod target;

use crate::config::{GatewayArgs, ServerArgs, without_empty_variables};
use crate::demo::{self, tour};
use crate::dev;
use crate::node::{self, NodeError};
use crate::output::stdout;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use exit::Exit;
use std::process::ExitCode;

/// A Raft-replicated, sharded vector store.
#[derive(Parser)]
#[command(name = "quiver", version, about, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  quiver tour                        three nodes, real vectors, one murder, two minutes
  quiver demo                        a page that shows real nodes elect, crash and agree, with lessons
  quiver dev                         a gateway on :8000 and three nodes, until Ctrl-C
  quiver server                      one node on 127.0.0.1:8001, data under ./quiver-data
  quiver ingest docs.ndjson --collection docs --create --size 384
  quiver search docs --id 7
  quiver collection list
  quiver point get docs 7
  quiver status

Exit codes: 0 ok, 1 failed, 2 usage, 3 degraded, 4 not found, 5 conflict, 6 outcome unknown, 7 unavailable, 9 refused by
a guard, 10 the plan of a dry run has changes.";

#[derive(Subcommand)]
enum Verb {
    /// Run a node: with no flags, a complete store of one node on 127.0.0.1:8001.
    #[command(after_help = SERVER_EXAMPLES)]
    Server(Box<ServerArgs>),
    /// Run a gateway: the same API, without data of its own.
    #[command(after_help = GATEWAY_EXAMPLES)]
    Gateway(GatewayArgs),
    /// Run a cluster for development: a gateway on :8000 and three nodes on :8001 to :8003, as processes of their own.
    Dev(dev::DevArgs),
    /// See it work: a cluster, 5,000 real vectors, searches at three levels, a leader killed.
    Tour(tour::TourArgs),
    /// Watch a real cluster elect its leader: a page, real nodes, twelve lessons, and buttons that break things.
    Demo(demo::DemoArgs),
    /// Load points from NDJSON or .npy.
    Ingest(ingest::IngestArgs),
    /// Search a collection.
    Search(search::SearchArgs),
    /// List, show, make, drop and index collections.
    Collection(data::CollectionArgs),
    /// Get, delete, count and page through points.
    Point(data::PointArgs),
    /// Show nodes, shards and leaders.
    Status(status::StatusArgs),
    /// Look at the cluster as a whole: status, health, topology, rebalance.
    Cluster(admin::ClusterArgs),
    /// Let nodes join, leave, drain; show and label them.
    Node(admin::NodeArgs),
    /// Show, move and verify shards.
    Shard(admin::ShardArgs),
    /// List, watch and cancel long operations.
    Op(admin::OpArgs),
    /// Print completions for a shell.
    Completions(manual::CompletionsArgs),
    /// Write man pages.
    Man(manual::ManArgs),
}

const SERVER_EXAMPLES: &str = "\
Examples:
  quiver server
  quiver server --node-id node1 --bootstrap 3 --data-dir /var/lib/quiver
  quiver server --node-id node2 --listen 127.0.0.1:8002 --data-dir ./node2 --join http://127.0.0.1:8001
  quiver server --config quiver.toml
  QUIVER_LOG_FORMAT=json quiver server";

const GATEWAY_EXAMPLES: &str = "\
Examples:
  quiver gateway
  quiver gateway --listen 127.0.0.1:8000 --cluster http://127.0.0.1:8001,http://127.0.0.1:8002";

/// Runs the binary.
pub fn main() -> ExitCode {
    let cli = parse();
    // `block_on` runs the main future on this thread, which lives as long as the process. Child processes ask to die
    // with the thread that started them (Linux' PR_SET_PDEATHSIG), so they must be started from it.
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return exit::report(&anyhow::Error::new(error).context("cannot start threads"));
        }
    };
    match runtime.block_on(run(cli.verb)).and_then(|exit| stdout::flush().map(|()| exit)) {
        Ok(exit) => exit.into(),
        Err(error) => exit::report(&error),
    }
}

/// Reads the command line; a flag counts before a variable. A command line that cannot be used ends the process here,
/// with the exit code of a usage error.
fn parse() -> Cli {
    let matches = without_empty_variables(Cli::command(), &|name| std::env::var_os(name)).get_matches();
    let mut cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if let (Verb::Server(args), Some((_, given))) = (&mut cli.verb, matches.subcommand()) {
        **args = ServerArgs::read(given).unwrap_or_else(|error| error.exit());
    }
    cli
}

async fn run(verb: Verb) -> anyhow::Result<Exit> {
    match verb {
        Verb::Server(args) => stopped(node::run_server(args.settle()?).await),
        Verb::Gateway(args) => stopped(node::run_gateway(args.settle()?).await),
        Verb::Dev(args) => dev::run(args).await.map(|()| Exit::Ok),
        Verb::Tour(args) => tour::run(args).await.map(|()| Exit::Ok),
        Verb::Demo(args) => demo::run(args).await.map(|()| Exit::Ok),
        Verb::Ingest(args) => ingest::run(args).await,
        Verb::Search(args) => search::run(args).await,
        Verb::Collection(args) => data::run_collection(args).await,
        Verb::Point(args) => data::run_point(args).await,
        Verb::Status(args) => status::run(args).await,
        Verb::Cluster(args) => admin::run_cluster(args).await,
        Verb::Node(args) => admin::run_node(args).await,
        Verb::Shard(args) => admin::run_shard(args).await,
        Verb::Op(args) => admin::run_op(args).await,
        Verb::Completions(args) => manual::completions(&args, Cli::command()),
        Verb::Man(args) => manual::man(&args, Cli::command()),
    }
}

/// A process that was told to stop has succeeded, however early the signal came.
fn stopped(outcome: Result<(), NodeError>) -> anyhow::Result<Exit> {
    match outcome {
        Ok(()) | Err(NodeError::Stopped) => Ok(Exit::Ok),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    /// All the arguments of a verb and of those below it.
    fn arguments(command: &clap::Command) -> Vec<&clap::Arg> {
        command.get_arguments().chain(command.get_subcommands().flat_map(arguments)).collect()
    }

    #[test]
    fn no_number_of_seconds_is_more_than_a_clock_can_add() {
        let command = Cli::command();
        let is_seconds = |arg: &&clap::Arg| arg.get_value_names().is_some_and(|names| names == ["SECONDS"]);
        let all: Vec<_> = arguments(&command).into_iter().filter(is_seconds).collect();
        assert!(all.len() >= 3, "{all:?}");
        for arg in all {
            let like_it = clap::Arg::new("time").value_parser(arg.get_value_parser().clone());
            let command = clap::Command::new("quiver").arg(like_it);
            let takes = |value: u64| command.clone().try_get_matches_from(["quiver", &value.to_string()]).is_ok();
            assert!(takes(60) && !takes(u64::MAX), "{arg:?}");
        }
    }
}
