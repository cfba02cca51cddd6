//! `quiver demo`: a real cluster to look into, to break and to learn from.
//!
//! ```text
//! browser ─▶ web ─▶ Stage ─▶ Crew (main thread: starts, kills, pauses the nodes' processes)
//!    ▲               │ └──▶ the nodes' own API: links, campaigns, reads, writes
//!    └──── Tape ◀────┴──── feeds ◀── each node's /quiver/v1/events
//! ```
//! The supervisor is no part of the cluster: it may kill any node and goes on showing the rest. It is the only one that
//! kills, pauses, restarts, wipes and cuts, it listens on the loopback interface alone, and when it ends nothing is left.

mod crew;
mod feed;
mod json;
mod leaders;
mod lessons;
mod links;
mod members;
mod mirror;
mod replay;
mod stage;
mod tape;
mod terminal;
mod visitor;
mod web;

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::builder::PossibleValuesParser;

use self::crew::Crew;
use self::stage::{Stage, Timings};
use super::dev::{Home, Stop};
use super::exit::Exit;

/// Shards of the demo's cluster: the last lesson looks at all of them, the others at one.
const SHARDS: u32 = 8;
/// How often the supervisor looks whether a node has ended by itself.
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
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<Exit> {
    let mut stop = Stop::listen()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port));
    let listener = listener
        .with_context(|| format!("port {} cannot be used: stop what uses it, or choose another --port", args.port))?;
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    if let Some(file) = &args.replay {
        let app = replay::router(file, address)?;
        println!("quiver demo: showing {} on http://{address}", file.display());
        tokio::select! {
            served = async { axum::serve(listener, app).await } => served?,
            () = stop.asked() => {}
        }
        return Ok(Exit::Ok);
    }
    let home = Home::new(None)?;
    let timings = Timings::slowed(args.slow);
    let (mut crew, orders) = Crew::start(args.nodes.into(), SHARDS, &timings, home.path())?;
    let stage = Stage::new(&crew, orders, timings);
    for name in crew.names() {
        tokio::spawn(feed::follow(stage.clone(), name));
    }
    println!("quiver demo: open http://{address}");
    let app = web::router(stage.clone(), address);
    let served = tokio::spawn(async move { axum::serve(listener, app).await });
    tokio::spawn(opening(stage.clone(), args.lesson));
    let lived = tokio::select! {
        lived = live(&mut crew, &stage) => lived,
        shown = terminal::show(stage.clone()), if args.tui => shown,
        () = stop.asked() => Ok(()),
    };
    served.abort();
    eprintln!("\nquiver demo: stopping");
    crew.stop().await;
    lived.map(|()| Exit::Ok)
}

/// Makes the visitor's collection, then begins the lesson that was asked for.
async fn opening(stage: Arc<Stage>, lesson: Option<String>) {
    if let Err(error) = visitor::settle_in(&stage).await {
        eprintln!("quiver demo: reads and writes are not possible: {error:#}");
        return;
    }
    if let Some(lesson) = lesson
        && let Err(error) = lessons::start(&stage, &lesson).await
    {
        eprintln!("quiver demo: the lesson did not begin: {error:#}");
    }
}

/// Carries out orders and reports nodes that end by themselves, for ever.
async fn live(crew: &mut Crew, stage: &Stage) -> anyhow::Result<()> {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            () = crew.serve() => {}
            _ = looks.tick() => {
                for obituary in crew.died() {
                    stage.buried(&obituary.name, &obituary.reason);
                }
            }
        }
    }
}
