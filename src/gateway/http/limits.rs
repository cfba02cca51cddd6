//! The named limits of the gateway: every body, batch, page and wait has one, and an error that meets one names it.
//!
//! Comes in: the configuration, through node. Goes out: numbers for the extractors and checks, and [`LimitName`]s for
//! errors. Limits on what a shard holds belong to the engine.

use std::fmt;
use std::time::Duration;

use crate::config::RequestLimits;
use crate::model::limits::{
    DEFAULT_BODY_BYTES, DEFAULT_TIMEOUT_MS, MAX_BATCH, MAX_COLLECTIONS, MAX_LIMIT, MAX_SEARCHES, MAX_TIMEOUT_MS,
};

/// Consumers of a node's events at once. Each is served for as long as it likes, and is told of each event by itself.
pub const LISTENERS: usize = 64;

/// How much one request, and all of them together, may ask of this gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Bytes of a body that is refused which are read and thrown away, so that an ordinary client reads the refusal instead of
    /// a broken pipe.
    pub drain_bytes: usize,
    /// How long a body may take to arrive.
    pub body_wait: Duration,
    /// Bytes of all bodies that are arriving or being served, and of all answers with data that are leaving.
    pub arriving_bytes: usize,
    /// Bytes of all other bodies, and of all other answers that are leaving.
    pub shown_bytes: usize,
    /// Points or ids in one write.
    pub batch: usize,
    /// Results of one search, those it skips included, or points of one page.
    pub limit: usize,
    /// Searches in one request; together they gather at most `limit` results.
    pub searches: usize,
    /// Collections of the cluster: each node knows all of them, and each shard keeps settings of each.
    pub collections: usize,
    /// Requests for data that are served at once; more are refused, never queued.
    pub in_flight: usize,
    /// How long a request may take that names no `timeout_ms`.
    pub default_timeout: Duration,
    /// The longest `timeout_ms`.
    pub max_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: DEFAULT_BODY_BYTES,
            drain_bytes: 64 << 20,
            body_wait: Duration::from_secs(60),
            arriving_bytes: 512 << 20,
            shown_bytes: 64 << 20,
            batch: MAX_BATCH,
            limit: MAX_LIMIT,
            searches: MAX_SEARCHES,
            collections: MAX_COLLECTIONS,
            in_flight: 1_024,
            default_timeout: Duration::from_millis(DEFAULT_TIMEOUT_MS),
            max_timeout: Duration::from_millis(MAX_TIMEOUT_MS),
        }
    }
}

impl From<RequestLimits> for Limits {
    fn from(configured: RequestLimits) -> Self {
        let RequestLimits { body_bytes, body_memory, batch, results, timeout_ms } = configured;
        Self {
            body_bytes,
            arriving_bytes: body_memory,
            batch,
            limit: results,
            default_timeout: Duration::from_millis(timeout_ms),
            ..Self::default()
        }
    }
}

/// A limit, as the configuration and errors call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitName {
    /// [`Limits::batch`]
    Batch,
    /// [`Limits::limit`]
    Limit,
    /// [`Limits::searches`]
    Searches,
    /// [`Limits::collections`]
    Collections,
    /// [`Limits::max_timeout`], in milliseconds
    MaxTimeout,
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Batch => "max_batch",
            Self::Limit => "max_limit",
            Self::Searches => "max_searches",
            Self::Collections => "max_collections",
            Self::MaxTimeout => "max_timeout",
        })
    }
}
