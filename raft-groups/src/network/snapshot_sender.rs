//! The sending side of a snapshot: the state in chunks, each repeated until it is answered.
//!
//! Comes in: a frozen state. Goes out: the follower's answer after it has installed all of it. The node's throttle
//! bounds the rate of chunks. The follower checks what arrives, and whether it may be installed.

use std::time::Duration;

use openraft::raft::SnapshotResponse;

use super::client::PeerCallError;
use super::raft_network::RaftPeer;
use super::transport::Lane;
use super::wire::{PackedPairs, PeerReply, PeerRequest, SnapshotAnswer, SnapshotChunk};
use crate::consensus::types::{RaftTypes, Vote};
use crate::storage::state::FrozenState;

/// How often a chunk of a snapshot is sent, at most. The pause between two attempts grows by [`CHUNK_PAUSE`] each
/// time.
const CHUNK_ATTEMPTS: u32 = 5;
const CHUNK_PAUSE: Duration = Duration::from_millis(50);

impl RaftPeer {
    /// Sends the state in chunks, and makes the follower install it (Raft, § 7).
    ///
    /// # Errors
    /// [`SnapshotSendError`]. openraft begins a new transfer after a pause.
    pub(super) async fn send_snapshot(
        &self,
        vote: Vote,
        state: FrozenState,
    ) -> Result<SnapshotResponse<RaftTypes>, SnapshotSendError> {
        let transfer = self.send_chunk(SnapshotChunk::Begin).await?.taken()?;
        // Page after page, no faster than the node may send. The throttle comes after the chunk, which has been sent
        // by then.
        let mut chunks = 0;
        loop {
            let page = state.next_page()?;
            if page.is_empty() {
                break;
            }
            let pairs = PackedPairs::pack(&page);
            let bytes = pairs.len() as u64;
            self.send_chunk(SnapshotChunk::Pairs { transfer, number: chunks, pairs }).await?.taken()?;
            chunks += 1;
            self.peers.throttle.pay(bytes).await;
        }
        // The installation may take longer than one request, so the follower is asked until it is done.
        let end = SnapshotChunk::End { transfer, chunks, vote, meta: state.meta.clone() };
        loop {
            match self.send_chunk(end.clone()).await? {
                SnapshotAnswer::Installed(response) => return Ok(response),
                SnapshotAnswer::Taken(_) => {}
                SnapshotAnswer::StartOver => return Err(SnapshotSendError::StartOver),
            }
        }
    }

    /// Sends a chunk until it is answered. A repeated chunk is safe: the follower recognises one that it has stored.
    async fn send_chunk(&self, chunk: SnapshotChunk) -> Result<SnapshotAnswer, SnapshotSendError> {
        for attempt in 1..CHUNK_ATTEMPTS {
            if let Ok(answer) = self.send_once(chunk.clone()).await {
                return Ok(answer);
            }
            tokio::time::sleep(CHUNK_PAUSE * attempt).await;
        }
        self.send_once(chunk).await
    }

    async fn send_once(&self, chunk: SnapshotChunk) -> Result<SnapshotAnswer, SnapshotSendError> {
        match self.peers.call(self.target, Lane::Snapshot, PeerRequest::Snapshot(chunk), self.peers.patience).await? {
            PeerReply::Snapshot(answer) => Ok(answer),
            _ => Err(PeerCallError::Nonsense(self.target).into()),
        }
    }
}

/// Why a snapshot did not arrive.
#[derive(Debug, thiserror::Error)]
pub(super) enum SnapshotSendError {
    #[error(transparent)]
    Call(#[from] PeerCallError),
    #[error("the state could not be read: {0}")]
    Read(#[from] std::io::Error),
    #[error("the follower does not know the transfer any more, so it must start over")]
    StartOver,
}

impl SnapshotAnswer {
    fn taken(self) -> Result<u64, SnapshotSendError> {
        match self {
            Self::Taken(transfer) => Ok(transfer),
            Self::StartOver | Self::Installed(_) => Err(SnapshotSendError::StartOver),
        }
    }
}
