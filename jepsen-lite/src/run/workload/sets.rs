//! Sets: one that only grows and is read at once, and one that also shrinks, is read page by page and counted.

use std::sync::atomic::Ordering;

use rand::Rng;
use reqwest::Method;
use serde_json::{Value, json};

use super::content::{point, shown};
use super::{COLLECTION, SIZE, Worker, Workload};
use crate::judge::history::Type;
use crate::judge::history::edn::Edn;

/// Elements on one page of a scan: few, so that a scan is many pages.
const PAGE: usize = 100;

/// Pages of a scan at most. More would not be a scan of what this run added.
const PAGES: usize = 1000;

/// Elements that one search can show: a set that is read at once has no more.
const WHOLE: i64 = 10_000;

/// Adds that may be under way when the set is found full, and many more.
const UNDER_WAY: i64 = 200;

/// Elements that one sweep takes at most: those of so many numbers.
const SWEPT: i64 = 40;

impl Worker {
    pub(super) async fn set(&mut self) -> bool {
        let is_full = self.shared.counter.load(Ordering::Relaxed) >= WHOLE - UNDER_WAY;
        if is_full || self.rng.random_ratio(1, 12) {
            return self.read_set().await;
        }
        self.add().await
    }

    pub(super) async fn scanned_set(&mut self) -> bool {
        match self.rng.random_range(0..24) {
            0 => self.scan().await,
            1..4 => self.count().await,
            4..8 => self.remove().await,
            _ => self.add().await,
        }
    }

    /// Numbers that a sweep takes together: those of now are still being added to.
    pub(super) async fn swept_set(&mut self) -> bool {
        match self.rng.random_range(0..24) {
            0..2 => self.scan().await,
            2..5 => self.count().await,
            5..7 => self.sweep().await,
            _ => self.add().await,
        }
    }

    async fn sweep(&mut self) -> bool {
        let newest = self.shared.counter.load(Ordering::Relaxed);
        let from = (newest - self.rng.random_range(0..4 * SWEPT)).max(0) / SWEPT * SWEPT;
        let value = Edn::Vector(vec![Edn::Int(from), Edn::Int(from + SWEPT)]);
        self.begin("sweep", &value);
        let range = json!({"key": "write", "range": {"gte": from, "lt": from + SWEPT}});
        let mut body = self.more();
        body["collection"] = json!(COLLECTION);
        body["filter"] = json!({"must": [range]});
        let answer = self.client().send(Method::DELETE, "/vectors", Some(&body)).await;
        self.end_write("sweep", value, &answer)
    }

    /// A set that is read by a filter that all pass, on a field whose index comes and goes.
    pub(super) async fn indexed_set(&mut self) -> bool {
        if !self.rng.random_ratio(1, 40) {
            return self.scanned_set().await;
        }
        let made = self.rng.random_ratio(2, 3);
        self.begin("index", &Edn::Bool(made));
        let path = format!("/collections/{COLLECTION}/index");
        let answer = match made {
            true => {
                let kind = ["integer", "float", "keyword"][self.rng.random_range(0..3)];
                let body = json!({"field_name": "write", "field_schema": kind});
                self.client().send(Method::PUT, &path, Some(&body)).await
            }
            false => self.client().send(Method::DELETE, &format!("{path}/write"), None).await,
        };
        self.end_write("index", Edn::Bool(made), &answer)
    }

    /// What a read of the whole set asks for.
    fn of_all(&self) -> Value {
        let mut more = self.more();
        if self.shared.workload == Workload::Indexed {
            more["filter"] = json!({"must": [{"key": "write", "range": {"gte": 0}}]});
        }
        more
    }

    async fn add(&mut self) -> bool {
        let write = self.shared.next();
        self.begin("add", &Edn::Int(write));
        let answer = self.client().upsert(COLLECTION, vec![point(write, write, SIZE)], self.more()).await;
        let good = self.end_write("add", Edn::Int(write), &answer);
        if good {
            self.shared.present.lock().expect("nothing under the lock panics").push(write);
        }
        good
    }

    /// Removes an element that was added; nobody else tries the same one.
    async fn remove(&mut self) -> bool {
        let taken = {
            let mut present = self.shared.present.lock().expect("nothing under the lock panics");
            let place = self.rng.random_range(0..present.len().max(1));
            if present.is_empty() { None } else { Some(present.swap_remove(place)) }
        };
        let Some(element) = taken else { return true };
        self.begin("remove", &Edn::Int(element));
        let answer = self.client().delete(COLLECTION, vec![json!(element)], self.more()).await;
        self.end_write("remove", Edn::Int(element), &answer)
    }

    /// Reads the whole set by an exact search for more than there is.
    pub(super) async fn read_set(&mut self) -> bool {
        self.begin("read", &Edn::Nil);
        let answer = self.search([0.0, 0.0], WHOLE as usize, true).await;
        let Some(results) = answer.body["results"].as_array().filter(|_| answer.success()) else {
            return self.refused("read", Edn::Nil, &answer);
        };
        let elements = Edn::Vector(results.iter().map(element).collect());
        self.end(Type::Ok, "read", elements, Vec::new())
    }

    /// Reads the whole set page by page.
    pub(super) async fn scan(&mut self) -> bool {
        self.begin("scan", &Edn::Nil);
        let (mut elements, mut offset) = (Vec::new(), Value::Null);
        for _ in 0..PAGES {
            let mut more = self.of_all();
            (more["offset"], more["with_payload"], more["with_vector"]) = (offset, json!(true), json!(true));
            // A page begins where the one before ended; one that is refused ends the scan.
            let answer = self.client().scroll(COLLECTION, PAGE, more).await;
            let Some(points) = answer.body["points"].as_array().filter(|_| answer.success()) else {
                return self.refused("scan", Edn::Nil, &answer);
            };
            elements.extend(points.iter().map(element));
            offset = answer.body["next"].clone();
            if offset.is_null() {
                return self.end(Type::Ok, "scan", Edn::Vector(elements), Vec::new());
            }
        }
        // More pages than there can be elements.
        let endless = ("error".to_owned(), Edn::keyword("endless"));
        self.end(Type::Fail, "scan", Edn::Nil, vec![endless])
    }

    pub(super) async fn count(&mut self) -> bool {
        self.begin("count", &Edn::Nil);
        let answer = self.client().count(COLLECTION, self.of_all()).await;
        match answer.body["count"].as_i64().filter(|_| answer.success()) {
            Some(count) => self.end(Type::Ok, "count", Edn::Int(count), Vec::new()),
            None => self.refused("count", Edn::Nil, &answer),
        }
    }
}

pub(super) fn element(record: &Value) -> Edn {
    match shown(record, SIZE) {
        Edn::Int(write) if record["id"] == json!(write) => Edn::Int(write),
        _ => Edn::keyword("torn"),
    }
}
