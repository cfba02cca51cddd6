//! The deeds of lessons, each said in words as it is done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use super::play::{Cast, GROUP};
use super::script::{Act, Who};
use crate::cli::demo::links::Change;
use crate::cli::demo::stage::{Condition, Refused, Stage};
use crate::cli::demo::visitor::{Op, Wish};

/// How long a write of a lesson is tried again, where all that is wrong is that leaders have just changed.
const WRITE_PATIENCE: Duration = Duration::from_secs(20);
/// Writes under way at once, where a lesson wants many.
const WRITES_AT_ONCE: usize = 8;
/// How long to wait for another leader, beside what elections take.
const LEADER_PATIENCE: Duration = Duration::from_secs(30);

/// Does one deed; `answers` takes what reads and writes were answered. Returns what was done.
pub(super) async fn perform(
    stage: &Arc<Stage>,
    cast: &Cast,
    act: &Act,
    answers: &mut Vec<Value>,
) -> Result<String, Refused> {
    if matches!(act, Act::Write(Who::Present, ..) | Act::WriteMany(Who::Present, _) | Act::Read(Who::Present, ..)) {
        await_leader(stage, None).await?;
    }
    let node = |who: Who| cast.node(stage, who);
    match *act {
        Act::Kill(who) => stage.kill(&node(who)?).await,
        Act::KillAll => all(stage, Condition::Up, false).await,
        Act::StartAll => all(stage, Condition::Down, true).await,
        Act::Start(who) => {
            stage.pin_leader().await;
            stage.restart(&node(who)?).await
        }
        Act::Isolate(who) => stage.isolate(&node(who)?, true).await,
        Act::Cut(from, to) => {
            stage.change_link(&Change { from: node(from)?, to: node(to)?, cut: true, ..Change::default() }).await
        }
        Act::Mend(from, to) => {
            stage.change_link(&Change { from: node(from)?, to: node(to)?, ..Change::default() }).await
        }
        Act::Spread => spread(stage).await,
        Act::Heal => {
            stage.pin_leader().await;
            stage.heal().await
        }
        Act::Campaign(candidates) => campaign(stage, cast, candidates).await,
        Act::Write(who, key, value) => {
            let wish = wish(Op::Write, node(who)?, "quorum", key, value);
            answers.push(stage.visit(&wish).await?);
            Ok(format!("key {key} = {value} is written through {}", wish.via))
        }
        Act::WriteMany(who, count) => write_many(stage, &node(who)?, count).await,
        Act::Read(who, level, key) => {
            let wish = wish(Op::Read, node(who)?, level, key, "");
            answers.push(stage.visit(&wish).await?);
            Ok(format!("key {key} is read through {} at {}", wish.via, level.to_uppercase()))
        }
        Act::Outwait => {
            tokio::time::sleep(stage.timings.election_max().mul_f64(1.2)).await;
            Ok("promises made before have run out".to_owned())
        }
        Act::AwaitNewLeader => await_leader(stage, Some(&cast.leader)).await,
        Act::Remove(who) => stage.remove(&node(who)?).await,
        Act::Adopt(who) => {
            let name = node(who)?;
            if stage.known(&name)?.state != Condition::Down {
                stage.kill(&name).await?;
            }
            stage.adopt_anew(&name).await?;
            Ok(format!("{name} lost its data and joined as a new node"))
        }
    }
}

fn wish(op: Op, via: String, level: &str, key: usize, value: &str) -> Wish {
    Wish { op, via, level: level.to_owned(), key, value: value.into() }
}

/// Kills, or starts, every node that is in a condition.
async fn all(stage: &Stage, found: Condition, start: bool) -> Result<String, Refused> {
    let nodes: Vec<String> =
        stage.seats().into_iter().filter(|(_, seat)| seat.state == found).map(|(name, _)| name).collect();
    for name in &nodes {
        if start {
            stage.restart(name).await?
        } else {
            stage.kill(name).await?
        };
    }
    Ok(format!("{} {}", nodes.join(", "), if start { "are started on their data" } else { "are killed" }))
}

async fn campaign(stage: &Stage, cast: &Cast, candidates: &[Who]) -> Result<String, Refused> {
    let names = candidates.iter().map(|who| cast.node(stage, *who)).collect::<Result<Vec<_>, _>>()?;
    let asked = names.iter().map(|name| stage.nudge(name, GROUP, "campaign"));
    for outcome in futures::future::join_all(asked).await {
        outcome?;
    }
    Ok(format!("{} told to stand for election at once", names.join(" and ")))
}

/// Writes until so many writes are acknowledged, several at once: on a busy machine one after the other takes minutes.
async fn write_many(stage: &Stage, via: &str, count: usize) -> Result<String, Refused> {
    let until = Instant::now() + WRITE_PATIENCE + stage.timings.election_max() * 4;
    let write = |number: usize| async move {
        let wish = wish(Op::Write, via.to_owned(), "quorum", 2, &format!("number {number}"));
        while stage.visit(&wish).await?["ok"] != true {
            if Instant::now() > until {
                return Err(Refused::Conflict(format!("write {number} of {count} was not acknowledged")));
            }
        }
        Ok(())
    };
    stream::iter((1..=count).map(write)).buffer_unordered(WRITES_AT_ONCE).try_collect::<()>().await?;
    Ok(format!("{count} writes through {via}"))
}

/// Waits until the group has a leader, other than `but`.
async fn await_leader(stage: &Stage, but: Option<&String>) -> Result<String, Refused> {
    let until = Instant::now() + LEADER_PATIENCE + stage.timings.election_max() * 8;
    loop {
        let leader = stage.mirror.lock().leader(GROUP);
        if let Some((node, term)) = leader.filter(|(node, _)| Some(node) != but) {
            return Ok(format!("{node} leads in term {term}"));
        }
        if Instant::now() > until {
            return Err(Refused::Conflict("no leader was elected".to_owned()));
        }
        stage.tape.more().await;
    }
}

/// Waits until every shard is led by the node that is meant to lead it: the cluster spreads them by itself.
async fn spread(stage: &Stage) -> Result<String, Refused> {
    let until = Instant::now() + LEADER_PATIENCE * 2 + stage.timings.election_max() * 8;
    while !stage.leaders_are_at_home().await {
        if Instant::now() > until {
            return Err(Refused::Conflict("the leaders did not move to where they are meant to be".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok("the cluster has spread the shards' leaders over the nodes".to_owned())
}
