//! A collection whose points are registers: whatever is written and read through it goes into one history.
//!
//! For tests that do their own faults. What comes in are clients of nodes and the keys to write; what goes out is the verdict
//! of [`check::register`] on all that was acknowledged and shown. An answer at ONE is judged by what it says of itself: its
//! read may have been at any moment from as long before as it claims (`staleness_ms`) until its end. Each operation is a
//! process of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use super::recorder::{HistoryRecorder, outcome, problem};
use super::workload::content::{keyed, point, shown};
use crate::harness::client::{AnswerClass, ApiAnswer, ApiClient};
use crate::judge::check::{self, CheckLimits, ConsistencyModel, HistoryVerdict};
use crate::judge::history::edn::Edn;
use crate::judge::history::{History, HistoryEvent, Type};

#[cfg(test)]
mod tests;

/// How much an answer at ONE may understate its staleness: a message of the leader may have been on its way for so long
/// on a busy machine.
const CLAIM_SLACK: Duration = Duration::from_millis(250);

/// How much more than the known keys a read of everything asks for, so that it would be shown what nobody wrote.
const MORE_THAN_KNOWN: usize = 100;

/// A write or delete under way.
#[derive(Debug)]
pub struct OpenMutation {
    process: i64,
    key: u64,
    /// The number of the write; `None` of a delete.
    write: Option<i64>,
}

impl OpenMutation {
    fn name(&self) -> &'static str {
        if self.write.is_some() { "write" } else { "delete" }
    }

    fn value(&self) -> Edn {
        keyed(self.key as i64, self.write.map_or(Edn::Nil, Edn::Int))
    }
}

/// The collection and its history. Clones share both.
#[derive(Clone, Debug)]
pub struct RegisterCollection {
    name: Arc<str>,
    size: usize,
    recorder: HistoryRecorder,
    state: Arc<CollectionState>,
}

#[derive(Debug, Default)]
struct CollectionState {
    processes: AtomicI64,
    writes: AtomicI64,
    acknowledged: AtomicUsize,
    /// Every key that somebody began to write or delete.
    keys: Mutex<BTreeSet<u64>>,
}

impl RegisterCollection {
    /// Begins the history of a collection that is there, with vectors of `size` components and the distance `euclid`, in
    /// the file `history`.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn new(name: &str, size: usize, history: &Path) -> Result<Self> {
        let header = vec![("collection".to_owned(), Edn::Str(name.to_owned()))];
        let recorder = HistoryRecorder::start(header, history)?;
        Ok(Self { name: name.into(), size, recorder, state: Arc::default() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The size of its vectors.
    pub fn size(&self) -> usize {
        self.size
    }

    /// How many writes and deletes were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.state.acknowledged.load(Ordering::SeqCst)
    }

    /// Every key that somebody began to write or delete.
    fn keys(&self) -> BTreeSet<u64> {
        self.state.keys.lock().expect("nothing under the lock panics").clone()
    }

    fn next_process(&self) -> i64 {
        self.state.processes.fetch_add(1, Ordering::Relaxed)
    }

    /// Enters that a new value is about to be written to `key`.
    pub fn begin_write(&self, key: u64) -> OpenMutation {
        let write = self.state.writes.fetch_add(1, Ordering::Relaxed) + 1;
        self.begin(OpenMutation { process: self.next_process(), key, write: Some(write) })
    }

    /// Enters that `key` is about to be deleted.
    pub fn begin_delete(&self, key: u64) -> OpenMutation {
        self.begin(OpenMutation { process: self.next_process(), key, write: None })
    }

    fn begin(&self, open: OpenMutation) -> OpenMutation {
        self.state.keys.lock().expect("nothing under the lock panics").insert(open.key);
        self.recorder.client(open.process, Type::Invoke, open.name(), open.value(), Vec::new());
        open
    }

    /// Sends it, with more members in the request.
    pub async fn send(&self, client: &ApiClient, open: &OpenMutation, more: Value) -> ApiAnswer {
        match open.write {
            Some(write) => client.upsert(&self.name, vec![point(open.key as i64, write, self.size)], more).await,
            None => client.delete(&self.name, vec![json!(open.key)], more).await,
        }
    }

    /// Enters what became of it. `class` says so of all times that it was sent, `answer` is the last answer.
    pub fn end(&self, open: OpenMutation, class: AnswerClass, answer: &ApiAnswer) {
        let extra = if class == AnswerClass::Ok {
            self.state.acknowledged.fetch_add(1, Ordering::SeqCst);
            version_shown(answer.body["results"].get(0))
        } else {
            vec![("error".to_owned(), problem(answer))]
        };
        self.recorder.client(open.process, outcome(class), open.name(), open.value(), extra);
    }

    /// One attempt to write `key`.
    pub async fn put(&self, client: &ApiClient, key: u64) -> ApiAnswer {
        let open = self.begin_write(key);
        let answer = self.send(client, &open, json!({"timeout_ms": 3000})).await;
        self.end(open, answer.class, &answer);
        answer
    }

    /// Reads everything at this level, by one exact search that asks for more than there can be, and enters a read of each key.
    ///
    /// # Errors
    /// A search that was not answered, or was answered with an id twice.
    pub async fn read_all(&self, client: &ApiClient, level: &str) -> Result<()> {
        let mut keys = self.keys();
        // Keys are taken before the question: what is written later may be absent.
        let asked = Instant::now();
        let more = json!({"consistency": level, "with_payload": true, "with_vector": true, "params": {"exact": true}});
        let limit = keys.len() + MORE_THAN_KNOWN;
        let body = client.search(&self.name, &vec![1.0; self.size], limit, more).await.ok()?;
        let ended = Instant::now();
        // Every record is of a key of its own.
        let records = body["results"].as_array().map(Vec::as_slice).unwrap_or_default();
        let by_key: BTreeMap<u64, &Value> =
            records.iter().filter_map(|record| Some((record["id"].as_u64()?, record))).collect();
        ensure!(by_key.len() == records.len(), "a search showed an id twice or no number as id: {body}");

        // What is not shown is read as absent, and what nobody wrote is read, too.
        let began = if level == "one" { current_since(&body, asked) } else { Some(asked) };
        keys.extend(by_key.keys());
        for key in keys {
            self.enter_read(key, (began, ended), level, by_key.get(&key).copied());
        }
        Ok(())
    }

    /// Enters that a search at this level, asked at `within.0` and answered at `within.1`, showed this record of `key`, or
    /// none. Without a first moment the read may have been at any time so far.
    pub fn enter_read(&self, key: u64, within: (Option<Instant>, Instant), level: &str, record: Option<&Value>) {
        let began = within.0.unwrap_or(self.recorder.began());
        let mut extra = version_shown(record);
        extra.push(("level".to_owned(), Edn::keyword(level)));
        let values = [keyed(key as i64, Edn::Nil), self.value_shown(key, record)];
        self.recorder.read(self.next_process(), (began, within.1), values, extra);
    }

    fn value_shown(&self, key: u64, record: Option<&Value>) -> Edn {
        keyed(key as i64, record.map_or(Edn::Nil, |record| shown(record, self.size)))
    }

    /// Returns `true` if a read that begins now may show this record of `key`, or none. Enters nothing.
    ///
    /// # Errors
    /// A history that is none, or cannot be judged.
    pub fn is_current(&self, key: u64, record: Option<&Value>) -> Result<bool> {
        let mut history = self.recorder.history();
        // A read after all that was entered, in a copy of the history.
        let now = history.events.iter().filter_map(|event| event.time).max().unwrap_or(0) + 1;
        let process = self.next_process();
        let asked = keyed(key as i64, Edn::Nil);
        history.events.push(HistoryEvent::new(process, Type::Invoke, "read", asked).at(now));
        let ended = HistoryEvent::new(process, Type::Ok, "read", self.value_shown(key, record)).at(now + 1);
        history.events.push(HistoryEvent { extra: version_shown(record), ..ended });
        match self.judge_history(&history)? {
            HistoryVerdict::Ok => Ok(true),
            HistoryVerdict::Illegal(_) => Ok(false),
            HistoryVerdict::Unknown(why) => bail!("{}: {why}", self.name),
        }
    }

    fn judge_history(&self, history: &History) -> Result<HistoryVerdict> {
        if self.acknowledged() == 0 {
            return Ok(HistoryVerdict::Unknown("nothing was acknowledged, so nothing could be lost".to_owned()));
        }
        check::check(history, ConsistencyModel::Register, CheckLimits::default())
    }

    /// Judges all that was entered so far. A history in which nothing was acknowledged is *unknown*.
    ///
    /// # Errors
    /// A history that is none.
    pub fn judge(&self) -> Result<HistoryVerdict> {
        self.judge_history(&self.recorder.history())
    }

    /// Everything that was shown so far can be explained by what was acknowledged.
    ///
    /// # Errors
    /// The verdict, where it is another one.
    pub fn holds(&self) -> Result<()> {
        let history = self.recorder.history();
        match self.judge_history(&history)? {
            HistoryVerdict::Ok => Ok(()),
            verdict => bail!("{}: {}", self.name, verdict.describe(&history)?),
        }
    }
}

/// The version that a record says, as a member of an event.
fn version_shown(record: Option<&Value>) -> Vec<(String, Edn)> {
    let version = record.and_then(|record| record["version"].as_i64());
    version.map(|version| ("version".to_owned(), Edn::Int(version))).into_iter().collect()
}

/// The moment from which on the state behind an answer at ONE was current, by what the answer claims. `None` claims nothing:
/// such an answer may be as old as the store.
fn current_since(body: &Value, asked: Instant) -> Option<Instant> {
    let rows = body["shards"].as_array().map(Vec::as_slice).unwrap_or_default();
    let claims: Option<Vec<u64>> = rows.iter().map(|row| row.get("staleness_ms")?.as_u64()).collect();
    let claimed = Duration::from_millis(claims?.into_iter().max().unwrap_or(0)) + CLAIM_SLACK;
    asked.checked_sub(claimed)
}
