//! `quiver node`: nodes that join, leave, drain, rest from leading, and get labels.
//!
//! In: names and addresses of nodes. Out: one request of the API, its plan or its operation on the screen. Moves no
//! replica itself.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;

use super::ask::{Ask, How, nothing};
use super::{leaders, print};
use crate::api::{AddNode, Change, Member, Members, OperationRow, SetLabels};
use crate::cli::exit::{Exit, Usage};
use crate::cli::target::seconds;
use crate::client::path;
use crate::client::{Client, Failure};
use crate::output::table::{Table, thousands};

/// Arguments of `quiver node`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct NodeArgs {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  quiver server --node-id node4 --listen 10.0.0.4:8001 --join http://10.0.0.1:8001    on the new machine
  quiver node join node4 10.0.0.4:8001 --wait
  quiver node leave node1 --dry-run
  quiver node drain node2 --wait --yes
  quiver node replace node3 node5 10.0.0.5:8001 --wait
  quiver node label node4 zone=b

Exit codes: 0 ok, 1 failed, 2 usage, 4 not found, 5 conflict, 6 outcome unknown, 7 unavailable, 9 refused by a guard,
10 the plan of a dry run has changes.";

#[derive(clap::Subcommand)]
enum Verb {
    /// List the nodes.
    List(Ask),
    /// Show one node.
    Show {
        /// Its name.
        node: String,
        #[command(flatten)]
        ask: Ask,
    },
    /// Take in a node that runs with --join and waits to be adopted.
    Join {
        /// Its name.
        node: String,
        /// Where its HTTP API listens.
        #[arg(value_name = "HOST:PORT")]
        address: String,
        #[command(flatten)]
        how: How,
    },
    /// Have a node hand over what it holds and leave the cluster. A node that does not answer leaves without.
    Leave {
        /// Its name.
        node: String,
        /// Begin even if a majority or a last copy is at stake now. It then waits until it is safe.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        how: How,
    },
    /// Have a node hand over what it holds, and stay a member that holds nothing.
    Drain {
        /// Its name.
        node: String,
        /// Begin even if a majority or a last copy is at stake now. It then waits until it is safe.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        how: How,
    },
    /// Let a drained node take replicas again.
    Undrain {
        /// Its name.
        node: String,
        #[command(flatten)]
        how: How,
    },
    /// Put a new node in the place of an old one: the new one joins, then the old one leaves. If it is interrupted, run
    /// it again.
    Replace {
        /// The node that leaves.
        old: String,
        /// The node that waits to be adopted.
        new: String,
        /// Where the new node's HTTP API listens.
        #[arg(value_name = "HOST:PORT")]
        address: String,
        #[command(flatten)]
        how: How,
    },
    /// Have other nodes lead the shards and the cluster map that a node leads, until --undo.
    TransferLeaders {
        /// Its name.
        node: String,
        /// Let it lead again.
        #[arg(long, conflicts_with = "wait")]
        undo: bool,
        /// Wait until it leads nothing, neither shards nor the cluster map.
        #[arg(long)]
        wait: bool,
        /// Seconds to wait for that, with --wait.
        #[arg(long, value_name = "SECONDS", default_value_t = leaders::PATIENCE.as_secs(), value_parser = seconds(0), requires = "wait")]
        within: u64,
        #[command(flatten)]
        ask: Ask,
    },
    /// Set labels; `zone` names what fails together. An empty value removes a label.
    Label {
        /// The node's name.
        node: String,
        /// Such as zone=a.
        #[arg(value_name = "KEY=VALUE", required = true)]
        labels: Vec<String>,
        #[command(flatten)]
        ask: Ask,
    },
}

/// Runs the verb.
pub(crate) async fn run(args: NodeArgs) -> anyhow::Result<Exit> {
    match args.verb {
        Verb::List(ask) => list(ask).await,
        Verb::Show { node, ask } => show(&node, ask).await,
        Verb::Join { node, address, how } => join(node, &address, how).await,
        Verb::Leave { node, force, how } => {
            // A plan or a change that did not begin leaves nothing for the operator to do.
            let asked = path(["cluster", "nodes", &node])? + &format!("?force={force}");
            let exit = change(&how, (&Method::DELETE, &asked), &format!("Have {node} leave the cluster?")).await?;
            if exit == Exit::Ok && !how.dry_run {
                say_what_is_left(&node, how.wait);
            }
            Ok(exit)
        }
        Verb::Drain { node, force, how } => {
            let asked = path(["quiver", "v1", "nodes", &node, "drain"])? + &format!("?force={force}");
            change(&how, (&Method::POST, &asked), &format!("Drain {node}?")).await
        }
        Verb::Undrain { node, how } => {
            let asked = path(["quiver", "v1", "nodes", &node, "undrain"])?;
            change(&how, (&Method::POST, &asked), &format!("Let {node} take replicas again?")).await
        }
        Verb::Replace { old, new, address, how } => replace(&old, new, &address, how).await,
        Verb::TransferLeaders { node, undo: true, ask, .. } => label(&node, leaders::allowed(true), ask).await,
        Verb::TransferLeaders { node, wait, within, ask, .. } => {
            leaders::transfer(&node, wait.then(|| Duration::from_secs(within)), &ask).await
        }
        // A label without `=` is an error of the command line, and nothing is sent.
        Verb::Label { node, labels, ask } => {
            let pairs = labels.iter().map(|label| match label.split_once('=') {
                Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
                None => Err(Usage(format!("`{label}` is no label: write KEY=VALUE"))),
            });
            label(&node, pairs.collect::<Result<_, _>>()?, ask).await
        }
    }
}

/// Shows the plan or asks for consent, and then makes a change that has no body.
async fn change(how: &How, (method, path): (&Method, &str), question: &str) -> anyhow::Result<Exit> {
    let (client, body) = (how.ask.client()?, nothing());
    match how.consider(&client, (method, path, &body), question).await? {
        Some(exit) => Ok(exit),
        None => how.make(&client, (method, path, &body)).await,
    }
}

/// The request that a node be taken in. `address` is `HOST:PORT`, also with `http://` before it.
fn question(node_id: String, address: &str) -> Result<AddNode, Usage> {
    let wrong = || Usage(format!("`{address}` is no address: write HOST:PORT"));
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches("http://").to_owned();
    Ok(AddNode { node_id, host, port: port.parse().map_err(|_| wrong())?, replaces: None })
}

async fn join(node: String, address: &str, how: How) -> anyhow::Result<Exit> {
    let asked = format!("Take {node} into the cluster?");
    let (client, body) = (how.ask.client()?, question(node, address)?);
    let request = (&Method::POST, "/cluster/nodes", &body);
    match how.consider(&client, request, &asked).await? {
        Some(exit) => Ok(exit),
        None => how.make(&client, request).await,
    }
}

/// How long a new node may take to become a member, before the old node is asked to leave.
const WELCOME_PATIENCE: Duration = Duration::from_secs(120);

/// Takes the new node in, waits until it is a member, and then asks the old node to leave. An interruption before that
/// leaves a cluster with one node more, and the verb can be run again.
async fn replace(old: &str, new: String, address: &str, how: How) -> anyhow::Result<Exit> {
    let client = how.ask.client()?;
    // An old node that does not exist is refused before the new one is taken in.
    client.get::<Member>(&path(["cluster", "nodes", old])?).await?;
    let body = question(new.clone(), address)?;
    let asked = format!("Take {new} into the cluster, and have {old} leave it then?");
    // The plan is that of both steps. Only the plan names the old node.
    let both = AddNode { replaces: Some(old.to_owned()), ..body.clone() };
    if let Some(exit) = how.consider(&client, (&Method::POST, "/cluster/nodes", &both), &asked).await? {
        return Ok(exit);
    }
    // Only a member counts as a home for replicas, so the old node must not leave earlier.
    let joining: Change = client.change(&Method::POST, "/cluster/nodes", &body).await?;
    welcome(&client, &new, joining.operation_id.as_deref()).await?;
    eprintln!("{new} is a member; {old} is asked to leave now");
    let leave = (&Method::DELETE, path(["cluster", "nodes", old])?, nothing());
    let exit = how.make(&client, (leave.0, &leave.1, &leave.2)).await?;
    if exit == Exit::Ok {
        say_what_is_left(old, how.wait);
    }
    Ok(exit)
}

/// Tells the operator what to do when the node has left. `has_left` says that it has.
fn say_what_is_left(node: &str, has_left: bool) {
    let when = if has_left { "now" } else { "once it has left" };
    eprintln!(
        "{when}: stop the process of {node} and remove its data directory; with that directory it is not taken back, with \
         an empty one it may join again"
    );
}

/// Waits until a node is a member, so that it counts when the old one leaves. `joining` is the operation that takes it
/// in.
async fn welcome(client: &Client, node: &str, joining: Option<&str>) -> anyhow::Result<()> {
    let begun = std::time::Instant::now();
    loop {
        match client.get::<Member>(&path(["cluster", "nodes", node])?).await {
            Ok(member) if member.state == "member" => return Ok(()),
            // The operation was called off or failed: it took the node out of the map again, and knows why.
            Err(Failure::Refused { http: 404, .. }) if joining.is_some() => {
                let operation = path(["quiver", "v1", "operations", joining.unwrap_or_default()])?;
                let row: OperationRow = client.get(&operation).await?;
                anyhow::bail!("{}; the old node was not asked to leave", super::watch::sentence(&row));
            }
            Err(failure) if !failure.retryable() => return Err(failure.into()),
            Ok(_) | Err(_) => {}
        }
        // The new node stays in the map, so the operator can run the verb again.
        if begun.elapsed() > WELCOME_PATIENCE {
            anyhow::bail!("{node} does not come up; look at its log, and run this again");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn label(node: &str, labels: BTreeMap<String, String>, ask: Ask) -> anyhow::Result<Exit> {
    let labelled = path(["quiver", "v1", "nodes", node, "labels"])?;
    let change: Change = ask.client()?.change(&Method::PUT, &labelled, &SetLabels { labels }).await?;
    print::change(&change, ask.output)?;
    Ok(Exit::Ok)
}

async fn list(ask: Ask) -> anyhow::Result<Exit> {
    let members: Members = ask.client()?.get("/cluster/nodes").await?;
    print::rows(&members.nodes, ask.output, |nodes| {
        let header =
            ["node", "address", "state", "status", "shards", "leads", "points held", "memory", "disk", "labels"];
        let mut table = Table::new(header);
        for node in nodes {
            let labels: Vec<String> = node.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            table.row([
                node.id.clone(),
                format!("{}:{}", node.host, node.port),
                node.state.clone(),
                node.status.to_string(),
                node.shards.to_string(),
                node.leads.to_string(),
                thousands(node.vector_count),
                print::bytes(node.memory_bytes),
                print::bytes(node.disk_bytes),
                labels.join(" "),
            ]);
        }
        table
    })?;
    Ok(Exit::Ok)
}

async fn show(node: &str, ask: Ask) -> anyhow::Result<Exit> {
    let member: Member = ask.client()?.get(&path(["cluster", "nodes", node])?).await?;
    print::one(&member, ask.output, |node| {
        let labels: Vec<String> = node.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!(
            "{} (number {}, life {})\naddress  {}:{}, peers {}\nstate    {}, {}\nholds    {} shards, leads {}, {} points, \
             {} of memory, {} on disk\nload     {:.2}\nlabels   {}",
            node.id,
            node.number,
            node.incarnation,
            node.host,
            node.port,
            node.peer_addr,
            node.state,
            node.status,
            node.shards,
            node.leads,
            thousands(node.vector_count),
            print::bytes(node.memory_bytes),
            print::bytes(node.disk_bytes),
            node.load,
            labels.join(" "),
        )
    })?;
    Ok(Exit::Ok)
}
