//! Why the supervisor does not do what it is asked. A node's own refusal becomes such a reason.
//!
//! In: reasons, and answers of nodes over HTTP. Out: [`Refused`]. Knows no status code of the page's API.

use serde_json::Value;

/// Why something was not done, in words for the asker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// There is no such node, key or lesson.
    #[error("{0}")]
    Unknown(String),
    /// It cannot be done now, or a node refused it.
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
/// [`Refused::Conflict`] with the node's own words where it refuses; [`Refused::Failed`] where it gives no JSON.
pub(crate) async fn answered(response: reqwest::Response) -> Result<Value, Refused> {
    let status = response.status();
    let body: Value = response.json().await?;
    if status.is_success() {
        return Ok(body);
    }
    let said = body["status"]["error"].as_str().unwrap_or("the node refused without a reason").to_owned();
    Err(Refused::Conflict(said))
}
