//! Why a request failed, and what its caller may conclude: whether to try again, and whether a write may have happened.
//!
//! In: what a node or gateway answered, or why nobody did. Knows neither retries nor exit codes.

use crate::api::{Committed, ErrorStatus};

/// What the caller gave cannot be used: a URL, a name, a file. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnusableInput(pub String);

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The cluster answered with an error.
    #[error("{} (HTTP {http}, code {}, request {})", status.error, status.code, status.request_id)]
    Refused {
        /// The HTTP status.
        http: u16,
        /// What it said of the failure.
        status: Box<ErrorStatus>,
    },
    /// Nobody answered.
    #[error("no answer from {tried}: {reason}; name a node or gateway that runs with --url")]
    Unreachable {
        /// The URLs that were tried.
        tried: String,
        /// Why the last of them did not answer.
        reason: String,
        /// `true` if the request may have arrived.
        sent: bool,
    },
    /// Something else than Quiver answered.
    #[error("{url} answered HTTP {http} with a body that is not Quiver's: {text}")]
    Foreign {
        /// Who answered.
        url: String,
        /// The HTTP status.
        http: u16,
        /// The start of the body.
        text: String,
    },
    /// The URLs lead to two clusters.
    #[error("{first} belongs to cluster {known}, and {other} to {found}: name nodes of one cluster only")]
    TwoClusters {
        /// The URL that answered first.
        first: String,
        /// Its cluster.
        known: String,
        /// The URL that disagrees.
        other: String,
        /// The cluster of that one.
        found: String,
    },
    /// It failed again and again until patience ran out.
    #[error("gave up after {attempts} attempts: {last}")]
    GaveUp {
        /// How often it was tried.
        attempts: u32,
        /// `true` if any of the attempts may have happened.
        unknown: bool,
        /// What the last one came to.
        last: Box<Failure>,
    },
}

impl Failure {
    /// Returns `true` if the same request may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Refused { status, .. } => status.retryable,
            Self::Unreachable { .. } => true,
            Self::Foreign { http, .. } => *http >= 500,
            Self::GaveUp { .. } | Self::TwoClusters { .. } => false,
        }
    }

    /// Returns `true` if a write that failed so may have happened.
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Refused { status, .. } => status.committed == Committed::Unknown,
            Self::Unreachable { sent, .. } => *sent,
            Self::Foreign { .. } => true,
            Self::TwoClusters { .. } => false,
            Self::GaveUp { unknown, .. } => *unknown,
        }
    }
}

/// Why a request over HTTP was not answered: the cause at the end of the chain, since the words before it only repeat
/// the URL.
pub fn unanswered(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
