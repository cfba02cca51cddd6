//! The settings of the demo's cluster: its shards, and its timings. The timings are a node's usual ones, made slower so
//! that people can follow.
//!
//! In: the factor by which it is slower. Out: milliseconds, as the page and the nodes' flags take them.

use std::time::Duration;

use serde::Serialize;

/// Shards of the cluster. The last lesson looks at all of them, the others at one.
pub(crate) const SHARDS: u32 = 8;

/// The timings that every node runs with, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DemoTimings {
    pub heartbeat_ms: u64,
    pub election_min_ms: u64,
    pub election_max_ms: u64,
    /// How long a leader's lease holds after a majority's answer: four fifths of the promise.
    pub lease_ms: u64,
    #[serde(skip)]
    pub slow: f64,
}

impl DemoTimings {
    /// A node's usual timings, `slow` times as long.
    pub fn slowed(slow: f64) -> Self {
        let ms = |usual: f64| (usual * slow).round() as u64;
        let election_max_ms = ms(1000.0);
        let lease_ms = election_max_ms * 4 / 5;
        Self { heartbeat_ms: ms(150.0), election_min_ms: ms(500.0), election_max_ms, lease_ms, slow }
    }

    /// The longest silence after which a follower stands for election.
    pub fn election_max(&self) -> Duration {
        Duration::from_millis(self.election_max_ms)
    }
}
