//! Why a node gave no answer to a whole request: what is known of whether it was carried out, and whether to ask again.

/// Why a node gave no answer to a whole request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// The request certainly did not reach the node.
    #[error("not sent: {reason}")]
    NotSent {
        /// What was met.
        reason: String,
    },
    /// More requests to this node are under way than the limit allows; it was not sent.
    #[error("more than {limit} requests to this node are under way")]
    Busy {
        /// The limit.
        limit: usize,
    },
    /// The node has no memory for the request now; certainly nothing of it was looked at.
    #[error("it has no memory for the request now, and looked at nothing of it")]
    Crowded,
    /// The request cannot be sent to any node.
    #[error("{reason}")]
    Unsendable {
        /// Why.
        reason: String,
    },
    /// The request was sent, and no answer came: its writes may have been carried out.
    #[error("no answer: {reason}")]
    Lost {
        /// What was met.
        reason: String,
    },
    /// The node answers, and cannot read the request: certainly nothing was looked at. A node of another version may
    /// read it.
    #[error("it cannot read the request: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
    /// The node answered what this process cannot read: its writes may have been carried out.
    #[error("its answer cannot be read: {reason}")]
    Unintelligible {
        /// What is wrong with it.
        reason: String,
    },
    /// Another cluster or node answered; nothing was looked at.
    #[error("its address leads to another node or cluster")]
    Misdirected,
}

impl RpcError {
    /// Why, for somebody to whom it does not matter how far the request came.
    pub fn into_reason(self) -> String {
        match self {
            Self::NotSent { reason } | Self::Lost { reason } => reason,
            other => other.to_string(),
        }
    }
}
