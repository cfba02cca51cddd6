//! `quiver demo`: a real cluster to look into, to break and to learn from. `quiver tour`: two minutes of it as text.
//!
//! ```text
//! browser ─▶ web ─▶ Supervisor ─▶ Processes (main thread: starts, kills, pauses the nodes' processes)
//!    ▲                 │ └──▶ the nodes' own API: links, campaigns, reads, writes
//!    └──── EventLog ◀──┴──── readers ◀── each node's /quiver/v1/events
//! ```
//! The supervisor is no part of the cluster, so it goes on showing the other nodes when one is dead. It alone kills,
//! pauses, restarts, wipes and cuts off nodes. It listens on the loopback interface only. When it ends, no process and
//! no data are left.

mod lessons;
mod page;
mod supervisor;
mod terminal;
pub(crate) mod tour;
mod web;

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::builder::PossibleValuesParser;

use crate::demo::lessons::Lessons;
use crate::demo::supervisor::Supervisor;
use crate::demo::supervisor::processes::Processes;
use crate::demo::supervisor::settings::{DemoTimings, SHARDS};
use crate::demo::supervisor::{client_requests, event_reader};
use crate::dev::{Home, Stop};

/// Pause between two looks whether a node has ended by itself.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Arguments of `quiver demo`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// Nodes to start.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=7))]
    nodes: u8,
    /// How much slower than usual heartbeats and elections are, so that people can follow: 1x to 20x.
    #[arg(long, value_name = "FACTOR", default_value = "5x", value_parser = slowness)]
    slow: f64,
    /// Begin with this lesson.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(lessons::names()))]
    lesson: Option<String>,
    /// Port of the page, on 127.0.0.1; 0 takes a free one. The nodes take free ports.
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
    /// Show the cluster in this terminal as well, with keys for what the page has buttons for.
    #[arg(long)]
    tui: bool,
    /// Start no cluster: show a recording that was saved from the page.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["nodes", "slow", "lesson", "tui"])]
    replay: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  quiver demo
  quiver demo --nodes 5 --slow 2x
  quiver demo --lesson split-vote
  quiver demo --tui
  quiver demo --replay recording.ndjson";

fn slowness(text: &str) -> Result<f64, String> {
    let factor: f64 = text.trim_end_matches('x').parse().map_err(|_| format!("`{text}` is no factor: say 5x"))?;
    if (1.0..=20.0).contains(&factor) { Ok(factor) } else { Err("choose 1x to 20x".to_owned()) }
}

/// Runs the verb.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    // The port is taken first, so that no node is started in vain.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port));
    let listener = listener
        .with_context(|| format!("port {} cannot be used: stop what uses it, or choose another --port", args.port))?;
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    // A recording needs no cluster.
    if let Some(file) = &args.replay {
        let app = web::replay::router(file, address)?;
        println!("quiver demo: showing {} on http://{address}", file.display());
        tokio::select! {
            served = async { axum::serve(listener, app).await } => served?,
            () = stop.asked() => {}
        }
        return Ok(());
    }
    // The nodes are started on this thread, the main one: they die with it. Readers follow their events from the start.
    let home = Home::new(None)?;
    let timings = DemoTimings::slowed(args.slow);
    let (mut processes, orders) = Processes::start(args.nodes.into(), SHARDS, &timings, home.path())?;
    let supervisor = Supervisor::new(&processes, orders, timings);
    for name in processes.names() {
        tokio::spawn(event_reader::follow(supervisor.clone(), name));
    }
    let lessons = Arc::new(Lessons::new(supervisor.clone()));
    println!("quiver demo: open http://{address}");
    let app = web::router(web::Demo { supervisor: supervisor.clone(), lessons: lessons.clone() }, address);
    let served = tokio::spawn(async move { axum::serve(listener, app).await });
    tokio::spawn(opening(supervisor.clone(), lessons, args.lesson));
    // Whatever ends the demo, the nodes are stopped in good order.
    let lived = tokio::select! {
        lived = live(&mut processes, &supervisor) => lived,
        shown = terminal::show(supervisor.clone()), if args.tui => shown,
        () = stop.asked() => Ok(()),
    };
    served.abort();
    eprintln!("\nquiver demo: stopping");
    processes.stop().await;
    lived
}

/// Makes the collection of the demo's client, and then begins the lesson that was asked for.
async fn opening(supervisor: Arc<Supervisor>, lessons: Arc<Lessons>, lesson: Option<String>) {
    if let Err(error) = client_requests::settle_in(&supervisor).await {
        eprintln!("quiver demo: reads and writes are not possible: {error:#}");
        return;
    }
    if let Some(lesson) = lesson
        && let Err(error) = lessons.start(&lesson).await
    {
        eprintln!("quiver demo: the lesson did not begin: {error:#}");
    }
}

/// Carries out orders, and reports nodes that end by themselves, for ever.
async fn live(processes: &mut Processes, supervisor: &Supervisor) -> anyhow::Result<()> {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            // Orders and looks share this thread, which alone may start processes.
            () = processes.serve() => {}
            _ = looks.tick() => {
                for end in processes.died() {
                    supervisor.note_end(&end.name, &end.reason);
                }
            }
        }
    }
}
