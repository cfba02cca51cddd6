//! Why a request failed, and what its caller may conclude: whether a repetition can succeed, and whether a write may
//! have happened.
//!
//! In: what a node or gateway answered, or why there is no answer. Knows neither retries nor exit codes.

use crate::api::{Committed, ErrorStatus};

/// The caller's input cannot be used: a URL, a name, a file. Nothing was sent.
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
        /// What the answer says of the failure.
        status: Box<ErrorStatus>,
    },
    /// Nobody answered.
    #[error("no answer from {tried}; {}", way_out(*late))]
    Unreachable {
        /// The URLs that were tried, each with the reason why there is no answer that counts.
        tried: String,
        /// `true` if one of them took the request and did not answer in time.
        late: bool,
        /// `true` if the request may have arrived.
        sent: bool,
    },
    /// Something other than Quiver answered.
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
    /// Every attempt failed until patience ran out, or one failed for good while the outcome of an earlier one is
    /// unknown.
    #[error("gave up after {attempts} attempt{}: {last}", if *attempts == 1 { "" } else { "s" })]
    GaveUp {
        /// How many attempts were made.
        attempts: u32,
        /// `true` if any of the attempts may have been carried out.
        unknown: bool,
        /// How the last one failed.
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

    /// Returns `true` if a write that failed in this way may have happened.
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

/// What the caller may do after silence.
fn way_out(late: bool) -> &'static str {
    match late {
        true => "give it longer with --timeout, or name another node or gateway with --url",
        false => "name a node or gateway that runs with --url",
    }
}

/// Says why a request over HTTP was not answered. It gives the cause at the end of the chain, because the texts before
/// it only repeat the URL.
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
