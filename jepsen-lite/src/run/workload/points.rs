//! Points that move, and searches for the nearest: exact ones of few points, and approximate ones of many.

use std::sync::atomic::Ordering;

use anyhow::{Result, ensure};
use rand::Rng;
use serde_json::{Value, json};

use super::content::{keyed, point, vector_of};
use super::{COLLECTION, SIZE, Worker, Workload, WorkloadState};
use crate::harness::client::ApiAnswer;
use crate::judge::history::Type;
use crate::judge::history::edn::Edn;
use crate::judge::synth::query_of;

/// Points of exact searches.
const FEW: i64 = 16;

/// Points of approximate searches: so many that a search goes through a graph.
const MANY: i64 = 3_000;

/// Searches of one request.
const SEARCHES: usize = 3;

/// Points that are loaded together.
const LOAD: i64 = 250;

impl WorkloadState {
    /// Puts there what clients need to begin with.
    ///
    /// # Errors
    /// Where the store, to which nothing was done yet, does not take it.
    pub async fn prepare(&self) -> Result<()> {
        if self.workload != Workload::Approximate {
            return Ok(());
        }
        let endpoint = &self.endpoints.all()[0];
        let process = self.processes.fetch_add(1, Ordering::Relaxed);
        for first in (0..MANY).step_by(LOAD as usize) {
            let writes: Vec<(i64, i64)> = (first..first + LOAD).map(|id| (id, self.next())).collect();
            let points = writes.iter().map(|(id, write)| point(*id, *write, SIZE)).collect();
            let answer = endpoint.client.upsert(COLLECTION, points, json!({"consistency": self.level})).await;
            ensure!(answer.success(), "loading: {}", answer.problem);
            // Nobody searches yet, so it makes no difference that they are written down one after the other.
            for (id, write) in writes {
                for kind in [Type::Invoke, Type::Ok] {
                    self.recorder.client(process, kind, "upsert", upserted(id, write), Vec::new());
                }
            }
        }
        Ok(())
    }
}

fn upserted(id: i64, write: i64) -> Edn {
    keyed(id, Edn::Vector(vector_of(write, SIZE).iter().map(|part| Edn::Float(*part)).collect()))
}

impl Worker {
    fn is_exact(&self) -> bool {
        self.shared.workload != Workload::Approximate
    }

    pub(super) async fn points(&mut self) -> bool {
        let (count, limit) = if self.is_exact() { (FEW, 5) } else { (MANY, 10) };
        let key = self.rng.random_range(0..count);
        // Searches, a delete now and then, and mostly writes.
        match self.rng.random_range(0..8) {
            0..3 if self.shared.workload == Workload::SearchBatch => self.nearest_of_several(limit).await,
            0..3 => self.nearest(limit).await,
            3 => {
                self.begin("delete", &Edn::Int(key));
                let answer = self.client().delete(COLLECTION, vec![json!(key)], self.more()).await;
                self.end_write("delete", Edn::Int(key), &answer)
            }
            _ => {
                let write = self.shared.next();
                let value = upserted(key, write);
                self.begin("upsert", &value);
                let point = point(key, write, SIZE);
                let answer = self.client().upsert(COLLECTION, vec![point], self.more()).await;
                self.end_write("upsert", value, &answer)
            }
        }
    }

    /// The nearest points of a random place.
    pub(super) async fn nearest(&mut self, limit: usize) -> bool {
        let exact = self.is_exact();
        let query = [self.rng.random_range(0..10_000) as f32, 0.0];
        let asked = query_of(&query.map(f64::from), limit as i64, exact);
        self.begin("search", &asked);
        let answer = self.search(query, limit, false).await;
        let Some(results) = answer.body["results"].as_array().filter(|_| answer.success()) else {
            return self.refused("search", asked, &answer);
        };
        let hits = Edn::Vector(results.iter().map(hit).collect());
        self.end(Type::Ok, "search", hits, Vec::new())
    }

    /// The nearest points of several random places, by one request: as many searches as processes.
    pub(super) async fn nearest_of_several(&mut self, limit: usize) -> bool {
        let places: Vec<f64> = (0..SEARCHES).map(|_| f64::from(self.rng.random_range(0..10_000))).collect();
        let asked: Vec<Edn> = places.iter().map(|place| query_of(&[*place, 0.0], limit as i64, true)).collect();
        self.begin_parts("search", &asked);
        let one = |place: &f64| json!({"vector": [place, 0.0], "limit": limit, "params": {"exact": true}, "with_payload": false});
        let mut body = self.more();
        body["collection"] = json!(COLLECTION);
        body["searches"] = places.iter().map(one).collect();
        let answer = self.client().post("/quiver/v1/search/batch", &body).await;
        let found = answer.body["searches"].as_array().filter(|found| answer.success() && found.len() == SEARCHES);
        let Some(found) = found else { return self.refuse_parts("search", asked, &answer) };
        let hits = |found: &Value| Edn::Vector(found["results"].as_array().into_iter().flatten().map(hit).collect());
        self.end_parts("search", found.iter().map(hits).collect())
    }

    pub(super) async fn search(&mut self, query: [f32; 2], limit: usize, whole: bool) -> ApiAnswer {
        let more = json!({"consistency": self.shared.level, "params": {"exact": self.is_exact()},
            "with_payload": whole, "with_vector": whole, "timeout_ms": 2500});
        self.client().search(COLLECTION, &query, limit, more).await
    }
}

fn hit(record: &Value) -> Edn {
    let score = Edn::Float(record["score"].as_f64().unwrap_or(f64::NAN));
    Edn::Vector(vec![record["id"].as_i64().map_or(Edn::Nil, Edn::Int), score])
}
