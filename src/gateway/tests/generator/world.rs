//! Carries a case out: sends its requests to the doors of three nodes and a gateway, and holds what comes back against the model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use serde_json::Value;
use tower::ServiceExt as _;

use super::bodies::{self, Sent};
use super::ids::Id;
use super::model::{Collection, Stored};
use super::reads::{Checked, expect, read, shown};
use super::shapes::{Config, Only, Point};
use super::steps::{Act, Case, NAMES, Pick, Step, WILD};
use crate::api::HealthState;
use crate::gateway::{GatewayState, Introduction, Limits, LinkSwitch, LocalNode, NodeHealth, router};
use crate::routing::NodeReport;
use crate::routing::testing::FakeCluster;

/// A write that was answered for good, to be sent again.
struct Write {
    name: usize,
    life: u64,
    sent: Sent,
    status: u16,
    answer: Value,
    /// How much time had passed.
    at: u64,
}

/// For how many seconds the name of a write means that write, by the reference.
const REMEMBERED: u64 = 900;

/// Nodes, doors, and what they should hold.
pub(super) struct World {
    cluster: FakeCluster,
    doors: Vec<Router>,
    model: BTreeMap<usize, Collection>,
    lives: u64,
    /// Names of collections that were dropped, and whether an answer was to be lost.
    dropped: BTreeSet<usize>,
    loses_answer: bool,
    writes: Vec<Write>,
    /// Seconds that have passed.
    passed: u64,
    /// Each request with the status that answered it.
    pub(super) told: Vec<String>,
}

impl World {
    pub(super) fn new(shards: u32) -> Self {
        let cluster = FakeCluster::new(3, shards);
        cluster.0.lock().asks_for_dates = true;
        let door = |me: u64| {
            let routing = cluster.router((me > 0).then_some(me));
            router(GatewayState::new(routing, Arc::new(Nobody), Limits::default()))
        };
        let doors = (0..4).map(door).collect();
        Self {
            cluster,
            doors,
            model: BTreeMap::new(),
            lives: 0,
            dropped: BTreeSet::new(),
            loses_answer: false,
            writes: Vec::new(),
            passed: 0,
            told: Vec::new(),
        }
    }

    /// Carries all steps out, then looks at everything on every node, before and after each is opened anew.
    pub(super) async fn play(&mut self, case: &Case) -> Checked {
        for step in &case.steps {
            let checked = self.step(step).await;
            // What the replicas say of it is nearer to the cause.
            self.cluster.wrong().map_or(checked, Err)?;
        }
        for door in 0..4 {
            self.everything(door).await?;
        }
        self.cluster.compare_stored();
        self.cluster.find_zombies();
        for node in 1..=3 {
            self.cluster.open_from(node, node);
            self.everything(node as usize).await?;
        }
        self.cluster.wrong().map_or(Ok(()), Err)
    }

    async fn step(&mut self, step: &Step) -> Checked {
        match &step.act {
            Act::Open(to, from) => {
                self.told.push(format!("(node {to} opens what node {from} has stored)"));
                self.cluster.open_from(*to, *from);
                Ok(())
            }
            Act::Lead(node) => {
                self.told.push(format!("(node {node} leads)"));
                self.cluster.lead_all(Some(*node));
                Ok(())
            }
            Act::LoseAnswer => {
                self.loses_answer = true;
                self.told.push("(the next answer to a write is lost)".to_owned());
                self.cluster.lose_answer();
                Ok(())
            }
            Act::Keep => {
                self.told.push("(a copy of the next request to shards is kept)".to_owned());
                self.cluster.keep_copies();
                Ok(())
            }
            Act::Late => {
                self.told.push("(the copies that were kept come)".to_owned());
                self.cluster.deliver_copies();
                Ok(())
            }
            Act::Pass(seconds) => {
                self.told.push(format!("({seconds} s pass)"));
                self.passed += seconds;
                // The groups' times pass no faster than everybody's clock.
                self.cluster.pass(Duration::from_secs(*seconds));
                tokio::time::advance(Duration::from_secs(*seconds)).await;
                Ok(())
            }
            Act::Repeat(back) => self.repeat(*back, step.door).await,
            _ => self.request(step).await,
        }
    }

    async fn request(&mut self, step: &Step) -> Checked {
        let collection = self.model.get(&step.name);
        let version = |point: &Point| match point.only {
            Only::Always => None,
            Only::AsItIs => Some(collection.map_or(0, |known| known.version(point.id))),
            Only::IfAbsent => Some(0),
            Only::Never => Some(u64::MAX),
        };
        let name = step
            .spelling
            .is_multiple_of(2)
            .then(|| uuid::Uuid::from_u128(u128::from(step.spelling) << 64 | self.told.len() as u128));
        let sent = bodies::request(step, version, name);
        let (mut status, mut answer) = self.send(step.door, &sent).await?;
        if answer["status"]["code"] == "collection_replaced" && self.dropped.contains(&step.name) {
            // Its door knew the one before, and says so once.
            (status, answer) = self.send(step.door, &sent).await?;
        }
        if status == 503 {
            // What a write did whose answer was lost nobody can say any more once the collection that its door knew is gone.
            // It did nothing to one of the same name that was made since.
            let lost = std::mem::take(&mut self.loses_answer) && answer["status"]["code"] == "outcome_unknown";
            let in_doubt = lost && self.dropped.contains(&step.name);
            return if in_doubt { Ok(()) } else { Err(format!("answered {status}: {}", shown(&answer))) };
        }
        let checked = self.check(step, status, &answer).await;
        checked.map_err(|wrong| format!("{wrong}\n  answered {status}: {}", shown(&answer)))?;
        let is_write = matches!(step.act, Act::Upsert(..) | Act::DeleteIds(_) | Act::DeleteFilter(_));
        if let (true, true, Some(known)) =
            (is_write && name.is_some(), [200, 412].contains(&status), self.model.get(&step.name))
        {
            self.writes.push(Write { name: step.name, life: known.life, sent, status, answer, at: self.passed });
        }
        Ok(())
    }

    /// Sends a request; an answer that no request may get is wrong by itself.
    async fn send(&mut self, door: usize, sent: &Sent) -> Result<(u16, Value), String> {
        self.told.push(format!("[{door}] {}", sent.shown()));
        let response = self.doors[door].clone().oneshot(sent.request()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        if let Some(told) = self.told.last_mut() {
            told.push_str(&format!(" → {status}"));
        }
        let answer = serde_json::from_slice(&bytes).map_err(|error| format!("the answer is no JSON: {error}"))?;
        if status >= 500 && ![501, 503].contains(&status) {
            return Err(format!("answered {status}: {}", shown(&answer)));
        }
        Ok((status, answer))
    }

    /// An answered write, sent again: it is answered as it was, and does nothing.
    async fn repeat(&mut self, back: usize, door: usize) -> Checked {
        let Some(place) = self.writes.len().checked_sub(back + 1) else { return Ok(()) };
        let Write { name, life, sent, status, answer, at } = &self.writes[place];
        let same_collection = self.model.get(name).is_some_and(|known| known.life == *life);
        if !same_collection || self.passed - at >= REMEMBERED - 1 {
            return Ok(());
        }
        let (sent, expected, before) = (sent.clone(), *status, answer.clone());
        let (status, answer) = self.send(door, &sent).await?;
        let same = |member: &str| answer[member] == before[member];
        if status != expected || expected == 200 && !(same("results") && same("deleted")) {
            return Err(format!("a repeated write is answered {status}, {}; before {before}", shown(&answer)));
        }
        Ok(())
    }

    async fn check(&mut self, step: &Step, status: u16, answer: &Value) -> Checked {
        match &step.act {
            Act::Wild(_) => return Ok(()),
            Act::Create(config) => return self.created(step.name, config, status),
            _ => {}
        }
        if !self.model.contains_key(&step.name) {
            return match &step.act {
                Act::Drop => expect(status, &[200]),
                // What is wrong with a request may be said before the collection is looked for.
                _ => expect(status, &[404, 400, 501]),
            };
        }
        match &step.act {
            Act::Drop => {
                self.model.remove(&step.name);
                self.dropped.insert(step.name);
                expect(status, &[200])
            }
            Act::Upsert(points, _) => self.upserted(step.name, points, status, answer).await,
            Act::DeleteIds(ids) => self.deleted(step.name, ids.clone(), status, answer),
            Act::DeleteFilter(filter) if filter.is_fit() => {
                let ids = self.model[&step.name].passing(Some(filter));
                self.deleted(step.name, ids, status, answer)
            }
            Act::DeleteFilter(_) => expect(status, &[400, 501]),
            Act::Index(..) => {
                expect(status, &[200])?;
                let told = answer["result"]["status"] == "completed";
                if told { Ok(()) } else { Err("not every shard was told".to_owned()) }
            }
            _ => read(&self.model[&step.name], &step.act, status, answer),
        }
    }

    fn created(&mut self, name: usize, config: &Config, status: u16) -> Checked {
        match self.model.get(&name) {
            _ if !config.is_fit() => expect(status, &[400]),
            None => {
                expect(status, &[201])?;
                self.lives += 1;
                self.model.insert(name, Collection::new(config.clone(), self.lives));
                Ok(())
            }
            Some(known) if known.config == *config => expect(status, &[200]),
            // Other words may mean the same settings.
            Some(_) => expect(status, &[200, 409]),
        }
    }

    async fn upserted(&mut self, name: usize, points: &[Point], status: u16, answer: &Value) -> Checked {
        let Some(known) = self.model.get_mut(&name) else { return Ok(()) };
        let mut ids: Vec<Id> = points.iter().map(|point| point.id).collect();
        ids.sort_unstable();
        let twice = ids.windows(2).any(|pair| pair[0] == pair[1]);
        if points.is_empty() || twice || !points.iter().all(|point| point.is_fit(&known.config)) {
            return expect(status, &[400]);
        }
        let refused = |point: &&Point| match point.only {
            Only::Always | Only::AsItIs => false,
            Only::IfAbsent => known.version(point.id) != 0,
            Only::Never => true,
        };
        if points.iter().any(|point| refused(&point)) {
            expect(status, &[412, 409])?;
            return if status == 409 { self.half_written(name, points).await } else { Ok(()) };
        }
        expect(status, &[200])?;
        let rows = answer["results"].as_array().filter(|rows| rows.len() == points.len());
        let Some(rows) = rows else { return Err("not one row for each point".to_owned()) };
        for (point, row) in points.iter().zip(rows) {
            let version = row["version"].as_u64().unwrap_or_default();
            if row["id"] != point.id.value() || version <= known.version(point.id) {
                return Err(format!("a row that is not that of {:?}: {row}", point.id));
            }
            known.points.insert(point.id, Stored::of(point, version));
        }
        Ok(())
    }

    /// One shard refused its part: each point is as it was, or as it was to be.
    async fn half_written(&mut self, name: usize, points: &[Point]) -> Checked {
        for point in points {
            let (spelling, level, act) = (0, Some("all"), Act::Get(point.id, true, true));
            let sent = bodies::request(&Step { name, act, door: 0, level, spelling }, |_| None, None);
            let (_, answer) = self.send(0, &sent).await?;
            let Some(known) = self.model.get_mut(&name) else { return Ok(()) };
            let version = answer["version"].as_u64().unwrap_or_default();
            if version != known.version(point.id) {
                known.points.insert(point.id, Stored::of(point, version));
                known.shows(&answer, &Pick::All(true), &Pick::All(true))?;
            }
        }
        Ok(())
    }

    fn deleted(&mut self, name: usize, ids: Vec<Id>, status: u16, answer: &Value) -> Checked {
        expect(status, &[200])?;
        let Some(known) = self.model.get_mut(&name) else { return Ok(()) };
        let gone = ids.iter().filter(|id| known.points.remove(id).is_some()).count() as u64;
        if answer["deleted"] == gone { Ok(()) } else { Err(format!("{gone} points should be deleted")) }
    }

    /// All that a node shows of all collections.
    async fn everything(&mut self, door: usize) -> Checked {
        for (name, text) in NAMES.iter().enumerate() {
            let act = Act::Scroll {
                offset: None,
                limit: 10_000,
                filter: None,
                with_payload: Pick::Default,
                with_vector: Pick::All(true),
            };
            let step = Step { name, act, door, level: Some("one"), spelling: 0 };
            let (status, answer) = self.send(door, &bodies::request(&step, |_| None, None)).await?;
            let checked = match self.model.get(&name) {
                None => expect(status, &[404]),
                // What wild requests wrote can be read; what it is nobody knows.
                Some(_) if name == WILD => expect(status, &[200]),
                Some(known) => read(known, &step.act, status, &answer),
            };
            checked.map_err(|wrong| format!("door {door} shows {text}: {wrong}: {}", shown(&answer)))?;
            let act = Act::Count(None);
            let step = Step { act, ..step };
            let (_, counted) = self.send(door, &bodies::request(&step, |_| None, None)).await?;
            let points = answer["points"].as_array().map(Vec::len);
            if status == 200 && counted["count"].as_u64() != points.map(|points| points as u64) {
                return Err(format!("door {door} counts {} of {points:?} points", counted["count"]));
            }
        }
        Ok(())
    }
}

/// Plays a case in a runtime of its own; a panic is wrong as well. What is wrong, and what was told before.
pub(super) fn play(case: &Case) -> Result<(), (String, Vec<String>)> {
    let mut world = World::new(case.shards);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let run = std::panic::AssertUnwindSafe(|| runtime.block_on(world.play(case)));
    let played = std::panic::catch_unwind(run);
    let checked = played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("a panic: {}", text.unwrap_or_default()))
    });
    checked.map_err(|wrong| (wrong, std::mem::take(&mut world.told)))
}

/// A process that is asked nothing of itself here.
struct Nobody;

#[async_trait]
impl LocalNode for Nobody {
    fn name(&self) -> String {
        "nobody".to_owned()
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }

    fn health(&self) -> NodeHealth {
        NodeHealth { state: HealthState::Healthy, checks: BTreeMap::new() }
    }

    fn report(&self) -> Option<NodeReport> {
        None
    }

    async fn introduction(&self, _: &str, _: u16) -> Result<Introduction, String> {
        Err("nobody".to_owned())
    }

    fn faults(&self) -> Option<Arc<dyn LinkSwitch>> {
        None
    }
}
