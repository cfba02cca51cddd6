//! Why the supervisor does not do what it is asked, and how a node's own refusal becomes one.
//!
//! In: reasons, and answers of nodes over HTTP. Out: [`Refused`]. Knows no status code of the page's API.

use serde_json::Value;

/// Why something was not done: said to whoever asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// There is no such thing.
    #[error("{0}")]
    Unknown(String),
    /// It is not possible as things are.
    #[error("{0}")]
    Conflict(String),
    /// It was tried and failed.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl From<reqwest::Error> for Refused {
    fn from(error: reqwest::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// A node's answer as JSON.
///
/// # Errors
/// What it says where it refuses.
pub(crate) async fn answered(response: reqwest::Response) -> Result<Value, Refused> {
    let status = response.status();
    let body: Value = response.json().await?;
    if status.is_success() {
        return Ok(body);
    }
    let said = body["status"]["error"].as_str().unwrap_or("the node refused without a reason").to_owned();
    Err(Refused::Conflict(said))
}
