//! What is known of a write that failed.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is known of the effect of a write that failed. Of a read it is always `No`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Committed {
    /// Nothing was changed, and nothing will be.
    No,
    /// The change is committed and will not be lost; something after that failed.
    Yes,
    /// It may be committed now, later or never: repeat it only under the same request id, or read.
    Unknown,
}

impl fmt::Display for Committed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "no",
            Self::Yes => "yes",
            Self::Unknown => "unknown",
        })
    }
}
