//! The one clock and the one list: every event of a run in the order in which it was seen.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::history::edn::Edn;
use crate::history::{Event, Process, Type};

/// Writes down what happens. Clones write to the same list.
#[derive(Clone, Debug)]
pub struct Recorder {
    start: Instant,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { start: Instant::now(), events: Arc::default() }
    }
}

impl Recorder {
    /// An event of a client; its time is taken here.
    pub fn client(&self, process: i64, kind: Type, f: &str, value: Edn, extra: Vec<(String, Edn)>) {
        self.push(Process::Client(process), kind, f, value, extra);
    }

    /// Something that was done to the cluster, or seen of it.
    pub fn note(&self, who: &str, f: &str, value: Edn) {
        self.push(Process::Named(who.to_owned()), Type::Info, f, value, Vec::new());
    }

    fn push(&self, process: Process, kind: Type, f: &str, value: Edn, mut extra: Vec<(String, Edn)>) {
        extra.sort_by(|left, right| left.0.cmp(&right.0));
        let mut events = self.events.lock().expect("nothing under the lock panics");
        // Under the lock, so that times and lines agree.
        let time = Some(self.start.elapsed().as_nanos() as i64);
        let index = Some(events.len() as i64);
        events.push(Event { index, time, process, kind, f: f.to_owned(), value, extra });
    }

    /// All so far.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().expect("nothing under the lock panics").clone()
    }
}
