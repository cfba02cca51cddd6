//! The actions of lessons: what each does to the cluster, and a sentence that says what was done.
//!
//! In: an action of the script, and which node has which role. Out: orders to the supervisor, and answers of reads and
//! writes. Judges nothing: the checks do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use super::roles::{GROUP, Roles};
use super::script::{LessonAction, RoleName};
use crate::demo::supervisor::demo_client::{ClientRequest, RequestKind};
use crate::demo::supervisor::links::LinkChange;
use crate::demo::supervisor::refused::Refused;
use crate::demo::supervisor::{ProcessState, Supervisor};

/// How long a write of a lesson is repeated, beside what elections take: leaders may just have changed.
const WRITE_PATIENCE: Duration = Duration::from_secs(20);
/// Most writes under way at once, where a lesson wants many.
const WRITES_AT_ONCE: usize = 8;
/// How long to wait for another leader, beside what elections take.
const LEADER_PATIENCE: Duration = Duration::from_secs(30);

/// Does one action. Adds to `answers` what reads and writes were answered. Returns a sentence that says what was done.
pub(super) async fn perform(
    supervisor: &Arc<Supervisor>,
    roles: &Roles,
    action: &LessonAction,
    answers: &mut Vec<Value>,
) -> Result<String, Refused> {
    // An election may still be going on from the action before.
    if needs_leader(action) {
        await_leader(supervisor, None).await?;
    }
    let node = |who: RoleName| roles.node(supervisor, who);
    match *action {
        LessonAction::Kill(who) => supervisor.kill(&node(who)?).await,
        LessonAction::KillAll => all(supervisor, ProcessState::Up, false).await,
        LessonAction::StartAll => all(supervisor, ProcessState::Down, true).await,
        LessonAction::Start(who) => {
            // Otherwise the cluster would move the leader back when the node is there again.
            supervisor.pin_leader().await;
            supervisor.restart(&node(who)?).await
        }
        LessonAction::Isolate(who) => supervisor.isolate(&node(who)?, true).await,
        LessonAction::Cut(from, to) => supervisor.change_link(&link(node(from)?, node(to)?, true)).await,
        LessonAction::Mend(from, to) => supervisor.change_link(&link(node(from)?, node(to)?, false)).await,
        LessonAction::Spread => spread(supervisor).await,
        LessonAction::Heal => {
            // As where a node starts: otherwise the cluster would move the leader back.
            supervisor.pin_leader().await;
            supervisor.heal().await
        }
        LessonAction::Campaign(candidates) => campaign(supervisor, roles, candidates).await,
        LessonAction::Write(who, key, value) => {
            let request = request(RequestKind::Write, node(who)?, "quorum", key, value);
            answers.push(supervisor.request_as_client(&request).await?);
            Ok(format!("key {key} = {value} is written through {}", request.via))
        }
        LessonAction::WriteMany(who, count) => write_many(supervisor, &node(who)?, count).await,
        LessonAction::Read(who, level, key) => {
            let request = request(RequestKind::Read, node(who)?, level, key, "");
            answers.push(supervisor.request_as_client(&request).await?);
            Ok(format!("key {key} is read through {} at {}", request.via, level.to_uppercase()))
        }
        LessonAction::Outwait => {
            tokio::time::sleep(supervisor.timings.election_max().mul_f64(1.2)).await;
            Ok("promises made before have run out".to_owned())
        }
        LessonAction::AwaitNewLeader => await_leader(supervisor, Some(&roles.leader)).await,
        LessonAction::Remove(who) => supervisor.remove(&node(who)?).await,
        LessonAction::Adopt(who) => {
            let name = node(who)?;
            if supervisor.known(&name)?.state != ProcessState::Down {
                supervisor.kill(&name).await?;
            }
            supervisor.adopt_anew(&name).await?;
            Ok(format!("{name} lost its data and joined as a new node"))
        }
    }
}

/// Returns `true` if the action is asked of the present leader, so that there must be one.
fn needs_leader(action: &LessonAction) -> bool {
    let (LessonAction::Write(who, ..) | LessonAction::WriteMany(who, _) | LessonAction::Read(who, ..)) = action else {
        return false;
    };
    *who == RoleName::Present
}

fn link(from: String, to: String, cut: bool) -> LinkChange {
    LinkChange { from, to, cut, ..LinkChange::default() }
}

fn request(op: RequestKind, via: String, level: &str, key: usize, value: &str) -> ClientRequest {
    ClientRequest { op, via, level: level.to_owned(), key, value: value.into() }
}

/// Kills or starts every node whose process is in the state `found`.
async fn all(supervisor: &Supervisor, found: ProcessState, start: bool) -> Result<String, Refused> {
    let nodes: Vec<String> =
        supervisor.nodes().into_iter().filter(|(_, node)| node.state == found).map(|(name, _)| name).collect();
    for name in &nodes {
        if start {
            supervisor.restart(name).await?
        } else {
            supervisor.kill(name).await?
        };
    }
    Ok(format!("{} {}", nodes.join(", "), if start { "are started on their data" } else { "are killed" }))
}

async fn campaign(supervisor: &Supervisor, roles: &Roles, candidates: &[RoleName]) -> Result<String, Refused> {
    let names = candidates.iter().map(|who| roles.node(supervisor, *who)).collect::<Result<Vec<_>, _>>()?;
    let asked = names.iter().map(|name| supervisor.nudge(name, GROUP, "campaign"));
    for outcome in futures::future::join_all(asked).await {
        outcome?;
    }
    Ok(format!("{} told to stand for election at once", names.join(" and ")))
}

/// Makes `count` writes and waits until all are acknowledged, several at once. One after the other, they take minutes
/// on a busy machine.
async fn write_many(supervisor: &Supervisor, via: &str, count: usize) -> Result<String, Refused> {
    let until = Instant::now() + WRITE_PATIENCE + supervisor.timings.election_max() * 4;
    let write = |number: usize| async move {
        let request = request(RequestKind::Write, via.to_owned(), "quorum", 2, &format!("number {number}"));
        // A write that is refused is made again: an election may be going on.
        while supervisor.request_as_client(&request).await?["ok"] != true {
            if Instant::now() > until {
                return Err(Refused::Conflict(format!("write {number} of {count} was not acknowledged")));
            }
        }
        Ok(())
    };
    stream::iter((1..=count).map(write)).buffer_unordered(WRITES_AT_ONCE).try_collect::<()>().await?;
    Ok(format!("{count} writes through {via}"))
}

/// Waits until the group has a leader other than `but`.
async fn await_leader(supervisor: &Supervisor, but: Option<&String>) -> Result<String, Refused> {
    let until = Instant::now() + LEADER_PATIENCE + supervisor.timings.election_max() * 8;
    loop {
        // The leader that was cut off may still call itself one, so it is left out by name.
        let leader = supervisor.view.lock().leader(GROUP);
        if let Some((node, term)) = leader.filter(|(node, _)| Some(node) != but) {
            return Ok(format!("{node} leads in term {term}"));
        }
        if Instant::now() > until {
            return Err(Refused::Conflict("no leader was elected".to_owned()));
        }
        supervisor.events.more().await;
    }
}

/// Waits until each shard is led by its preferred node: the cluster spreads the leaders by itself.
async fn spread(supervisor: &Supervisor) -> Result<String, Refused> {
    let until = Instant::now() + LEADER_PATIENCE * 2 + supervisor.timings.election_max() * 8;
    while !supervisor.leaders_are_at_home().await {
        if Instant::now() > until {
            return Err(Refused::Conflict("the leaders did not move to where they are meant to be".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok("the cluster has spread the shards' leaders over the nodes".to_owned())
}
