//! Collections that are made, written to, dropped and made again under the same names.

use rand::Rng;
use serde_json::json;

use super::content::point;
use super::sets::element;
use super::{SIZE, Worker};
use crate::judge::history::Type;
use crate::judge::history::edn::Edn;

/// The names.
const NAMES: [&str; 3] = ["comes", "goes", "stays"];

/// One page shows all that a collection can hold between two drops.
const ALL: usize = 10_000;

impl Worker {
    pub(super) async fn collections(&mut self) -> bool {
        let name = NAMES[self.rng.random_range(0..NAMES.len())];
        match self.rng.random_range(0..16) {
            0 => self.drop_one(name).await,
            1..3 => self.create(name).await,
            3..9 => self.read_collection(name).await,
            _ => self.add_to(name).await,
        }
    }

    /// Reads every collection once more.
    pub(super) async fn read_collections(&mut self) -> bool {
        let mut good = true;
        for name in NAMES {
            good &= self.read_collection(name).await;
        }
        good
    }

    async fn create(&mut self, name: &str) -> bool {
        let value = named(name, Edn::Nil);
        self.begin("create", &value);
        let answer = self.client().create_collection(name, 2, "euclid").await;
        self.end_write("create", value, &answer)
    }

    async fn drop_one(&mut self, name: &str) -> bool {
        let value = named(name, Edn::Nil);
        self.begin("drop", &value);
        let answer = self.client().drop_collection(name).await;
        self.end_write("drop", value, &answer)
    }

    async fn add_to(&mut self, name: &str) -> bool {
        let write = self.shared.next();
        let value = named(name, Edn::Int(write));
        self.begin("add", &value);
        let answer = self.client().upsert(name, vec![point(write, write, SIZE)], self.more()).await;
        // That there is no such collection is no fault of the node.
        self.end_write("add", value, &answer) || answer.code() == "collection_not_found"
    }

    async fn read_collection(&mut self, name: &str) -> bool {
        self.begin("read", &named(name, Edn::Nil));
        let more =
            json!({"consistency": self.shared.level, "with_payload": true, "with_vector": true, "timeout_ms": 2500});
        let answer = self.client().scroll(name, ALL, more).await;
        if answer.code() == "collection_not_found" {
            return self.end(Type::Ok, "read", named(name, Edn::keyword("gone")), Vec::new());
        }
        let Some(points) = answer.body["points"].as_array().filter(|_| answer.success()) else {
            return self.refused("read", named(name, Edn::Nil), &answer);
        };
        let elements = points.iter().map(element).collect();
        self.end(Type::Ok, "read", named(name, Edn::Vector(elements)), Vec::new())
    }
}

fn named(name: &str, value: Edn) -> Edn {
    Edn::Vector(vec![Edn::keyword(name), value])
}
