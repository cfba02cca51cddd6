//! All events in one order: those of the nodes merged, and those of the supervisor. The log is bounded. Each consumer
//! has its own place in it, so a slow one delays nobody.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;

use crate::api::events::kind;

/// Most events that are kept for consumers and for the recording.
const CAPACITY: usize = 100_000;
/// Most notable events that are kept for the lessons' checks. A notable event is one that does not come with every
/// heartbeat.
const NOTABLE: usize = 10_000;

/// The kinds that come with every heartbeat or entry. No check looks at them.
const PLENTIFUL: [&str; 6] =
    [kind::APPEND_SENT, kind::APPEND_ACKED, kind::MESSAGE_LOST, kind::STATUS, kind::APPENDED, kind::APPLIED];

/// The events, in the order in which they came.
#[derive(Default)]
pub(crate) struct EventLog {
    inner: Mutex<Inner>,
    grown: Notify,
}

#[derive(Default)]
struct Inner {
    /// The number of the last event. Events are numbered from 1.
    last: u64,
    /// The newest events as lines of JSON.
    lines: VecDeque<Arc<str>>,
    notable: VecDeque<Arc<Value>>,
}

impl EventLog {
    /// Adds an event, under the next number.
    pub fn add(&self, mut event: Value) {
        let plentiful = event["kind"].as_str().is_some_and(|word| PLENTIFUL.contains(&word));
        {
            let mut inner = self.inner.lock();
            // Number and place are given under one lock, so lines are in the order of their numbers.
            inner.last += 1;
            event["seq"] = inner.last.into();
            inner.lines.push_back(event.to_string().into());
            if inner.lines.len() > CAPACITY {
                inner.lines.pop_front();
            }
            // Events of plentiful kinds would push all others out of the short list.
            if !plentiful {
                inner.notable.push_back(Arc::new(event));
                if inner.notable.len() > NOTABLE {
                    inner.notable.pop_front();
                }
            }
        }
        self.grown.notify_waiters();
    }

    /// Number of the last event.
    pub fn last(&self) -> u64 {
        self.inner.lock().last
    }

    /// The events after number `after` that are still kept, at most `most`, each with its number. If the first number
    /// is not `after + 1`, events were missed.
    pub fn after(&self, after: u64, most: usize) -> Vec<(u64, Arc<str>)> {
        let inner = self.inner.lock();
        let first = inner.last - inner.lines.len() as u64 + 1;
        let from = (after + 1).max(first);
        let lines = inner.lines.range((from - first).min(inner.lines.len() as u64) as usize..);
        (from..).zip(lines.take(most).cloned()).collect()
    }

    /// Waits for events after number `after`. Returns at least one.
    pub async fn next(&self, after: u64) -> Vec<(u64, Arc<str>)> {
        loop {
            // The signal is armed before the look, so that an event in between is not missed.
            let mut grown = std::pin::pin!(self.grown.notified());
            grown.as_mut().enable();
            let lines = self.after(after, 256);
            if !lines.is_empty() {
                return lines;
            }
            grown.await;
        }
    }

    /// Waits until an event is added, at most 50 ms.
    pub async fn more(&self) {
        const WHILE: std::time::Duration = std::time::Duration::from_millis(50);
        let _ = tokio::time::timeout(WHILE, self.grown.notified()).await;
    }

    /// The notable events after number `after` that are still kept, oldest first.
    pub fn notable(&self, after: u64) -> Vec<Arc<Value>> {
        let inner = self.inner.lock();
        let from = inner.notable.partition_point(|event| event["seq"].as_u64().unwrap_or(0) <= after);
        inner.notable.range(from..).cloned().collect()
    }

    /// How many events were dropped, and all events that are kept after them.
    pub fn recording(&self) -> (u64, Vec<Arc<str>>) {
        let inner = self.inner.lock();
        (inner.last - inner.lines.len() as u64, inner.lines.iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_numbered_and_old_ones_make_room() {
        let events = EventLog::default();
        for n in 0..CAPACITY + 10 {
            events.add(json!({"kind": if n % 2 == 0 { "append_sent" } else { "elected" }}));
        }
        assert_eq!(events.last(), CAPACITY as u64 + 10);
        let (cut, lines) = events.recording();
        assert_eq!((cut, lines.len()), (10, CAPACITY));
        assert_eq!(events.after(0, 1)[0].0, 11);
        assert_eq!(events.after(events.last(), 9), []);
        let (seq, line) = events.after(events.last() - 1, 9).remove(0);
        assert_eq!(serde_json::from_str::<Value>(&line).expect("JSON")["seq"], seq);
        let notable = events.notable(events.last() - 4);
        assert!(notable.len() == 2 && notable.iter().all(|event| event["kind"] == "elected"), "{notable:?}");
    }
}
