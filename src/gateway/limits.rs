//! The named limits of the door: every body, batch, page and wait has one, and an error that meets one names it.
//!
//! Comes in: the configuration, through node. Goes out: numbers for the extractors and checks, and [`LimitName`]s for
//! errors. Limits on what a shard holds belong to the engine.

use std::fmt;
use std::time::Duration;

/// How much one request, and all of them together, may ask of this gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Bytes read and thrown away past `body_bytes`, so that an ordinary client reads the refusal instead of a broken pipe.
    pub drain_bytes: usize,
    /// Points or ids in one write.
    pub batch: usize,
    /// Components of one vector.
    pub dimension: usize,
    /// Results of one search, or points of one page.
    pub limit: usize,
    /// Best results that a search may skip.
    pub offset: usize,
    /// Named vectors of one collection.
    pub named_vectors: usize,
    /// Bytes of a collection's name.
    pub name_bytes: usize,
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
            body_bytes: 32 << 20,
            drain_bytes: 64 << 20,
            batch: 10_000,
            dimension: 65_535,
            limit: 10_000,
            offset: 10_000,
            named_vectors: 64,
            name_bytes: 255,
            in_flight: 1_024,
            default_timeout: Duration::from_secs(10),
            max_timeout: Duration::from_secs(300),
        }
    }
}

/// A limit, as the configuration and errors call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitName {
    /// [`Limits::body_bytes`]
    BodyBytes,
    /// [`Limits::batch`]
    Batch,
    /// [`Limits::dimension`]
    Dimension,
    /// [`Limits::limit`]
    Limit,
    /// [`Limits::offset`]
    Offset,
    /// [`Limits::named_vectors`]
    NamedVectors,
    /// [`Limits::name_bytes`]
    NameBytes,
    /// [`Limits::max_timeout`]
    MaxTimeout,
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BodyBytes => "body_bytes",
            Self::Batch => "batch",
            Self::Dimension => "dimension",
            Self::Limit => "limit",
            Self::Offset => "offset",
            Self::NamedVectors => "named_vectors",
            Self::NameBytes => "name_bytes",
            Self::MaxTimeout => "max_timeout",
        })
    }
}
