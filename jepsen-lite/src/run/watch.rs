//! Who leads: every node is asked again and again, and each change is written down with its term.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::recorder::HistoryRecorder;
use super::workload::Endpoints;
use crate::judge::history::edn::Edn;

/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(250);

/// A task that watches until it is dropped.
#[derive(Debug)]
pub struct LeaderWatch(JoinHandle<()>);

impl LeaderWatch {
    /// Begins to watch.
    pub fn start(endpoints: Endpoints, recorder: HistoryRecorder) -> Self {
        Self(tokio::spawn(watch(endpoints, recorder)))
    }
}

impl Drop for LeaderWatch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn watch(endpoints: Endpoints, recorder: HistoryRecorder) {
    // By shard, the highest term and who led in it.
    let mut known: BTreeMap<u64, (u64, String)> = BTreeMap::new();
    loop {
        let before = known.clone();
        for endpoint in endpoints.members() {
            let answer = endpoint.client.with_deadline(Duration::from_millis(300)).shards().await;
            for row in answer.body["shards"].as_array().into_iter().flatten().filter(|row| row["role"] == "leader") {
                if let (Some(shard), Some(term)) = (row["shard"].as_u64(), row["term"].as_u64())
                    && known.get(&shard).is_none_or(|(newest, _)| *newest < term)
                {
                    known.insert(shard, (term, endpoint.name.clone()));
                }
            }
        }
        if known != before {
            recorder.note("leader", "leader", Edn::Str(describe(&known)));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Such as `0: node2 in term 4, 1: node1 in term 2`.
fn describe(known: &BTreeMap<u64, (u64, String)>) -> String {
    let mut text = String::new();
    for (shard, (term, node)) in known {
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}{shard}: {node} in term {term}");
    }
    text
}
