//! The receiving side of a snapshot: chunks go into a generation of the state that no reader sees, then one
//! installation makes it current.
//!
//! Comes in: a leader's chunks, each perhaps more than once. Goes out: how far the transfer is, or that it must
//! start over. An installation may take long. A leader that asks meanwhile waits a while for it, and then asks
//! again.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use openraft::storage::Snapshot;

use super::Replica;
use super::incoming_snapshot::{IncomingSnapshot, Installation};
use crate::Machine;
use crate::consensus::runtime::random_u64;
use crate::consensus::types::{SnapshotMeta, Vote};
use crate::consensus::watch;
use crate::network::wire::{PackedPairs, PeerReply, SnapshotAnswer, SnapshotChunk};
use crate::storage::state::StagedGeneration;
use crate::storage::state::applier::SnapshotData;

/// Longest wait of a request for an installation. After it the leader is told to ask again.
const INSTALL_WAIT: Duration = Duration::from_secs(2);

impl<M: Machine> Replica<M> {
    /// Takes one chunk of a snapshot. After a failure the leader must start over.
    pub(super) async fn take_chunk(self: &Arc<Self>, chunk: SnapshotChunk) -> PeerReply {
        let transfer = chunk.transfer();
        let answer = match chunk {
            SnapshotChunk::Begin => self.begin_transfer().await,
            SnapshotChunk::Pairs { transfer, number, pairs } => self.take_pairs(transfer, number, &pairs).await,
            SnapshotChunk::End { transfer, chunks, vote, meta } => {
                self.install_transfer(transfer, chunks, vote, meta).await
            }
        };
        match answer {
            Ok(answer) => PeerReply::Snapshot(answer),
            Err(error) => {
                // What was received is worthless now. A transfer that began meanwhile is left alone.
                tracing::warn!(group = %self.peers.group, %error, "a snapshot could not be taken in");
                self.incoming.lock().take_if(|incoming| Some(incoming.transfer) == transfer);
                PeerReply::Snapshot(SnapshotAnswer::StartOver)
            }
        }
    }

    /// Begins a transfer. It replaces an earlier one, unless that is being installed.
    async fn begin_transfer(&self) -> io::Result<SnapshotAnswer> {
        let transfer = random_u64();
        let stage = {
            // What is being installed must not be erased under the installation.
            let mut incoming = self.incoming.lock();
            if incoming.as_ref().is_some_and(|incoming| incoming.installation.is_some() && incoming.is_under_way()) {
                return Ok(SnapshotAnswer::StartOver);
            }
            let stage = self.state.begin_staging();
            *incoming = Some(IncomingSnapshot { transfer, staged: stage, chunks: 0, installation: None });
            stage
        };
        // An abandoned transfer leaves pages that no reader sees; without this they pile up.
        self.state.erase_before(stage).await?;
        Ok(SnapshotAnswer::Taken(transfer))
    }

    /// Stores the pairs of one chunk. A chunk that was stored already is acknowledged again. Any chunk but the next
    /// one makes the leader start over.
    async fn take_pairs(&self, transfer: u64, number: u64, pairs: &PackedPairs) -> io::Result<SnapshotAnswer> {
        // The answer to an earlier attempt may have been lost.
        let was_taken = |incoming: &IncomingSnapshot| incoming.transfer == transfer && incoming.chunks == number + 1;
        if self.incoming.lock().as_ref().is_some_and(was_taken) {
            return Ok(SnapshotAnswer::Taken(transfer));
        }
        let expected = |incoming: &&mut IncomingSnapshot| incoming.transfer == transfer && incoming.chunks == number;
        let Some(stage) = self.incoming.lock().as_mut().filter(expected).map(|i| i.staged) else {
            return Ok(SnapshotAnswer::StartOver);
        };
        let Some(pairs) = pairs.unpack() else { return Ok(SnapshotAnswer::StartOver) };
        // The lock is not held while the page is stored, so another transfer may have begun: then nothing is
        // counted.
        self.state.stage_page(stage, pairs).await?;
        if let Some(incoming) = self.incoming.lock().as_mut().filter(expected) {
            incoming.chunks += 1;
        }
        Ok(SnapshotAnswer::Taken(transfer))
    }

    /// Installs a complete transfer, or waits a while for the installation under way. The leader asks until it is
    /// done.
    async fn install_transfer(
        self: &Arc<Self>,
        transfer: u64,
        chunks: u64,
        vote: Vote,
        meta: SnapshotMeta,
    ) -> io::Result<SnapshotAnswer> {
        if let Some(found) = self.log.contradicted_by(vote.leader_id.term, &meta) {
            return Err(self.stop_as_damaged(found).await);
        }
        // Only a complete transfer is installed, and only once.
        let mut installation = {
            let mut incoming = self.incoming.lock();
            let whole = |incoming: &&mut IncomingSnapshot| incoming.transfer == transfer && incoming.chunks == chunks;
            let Some(incoming) = incoming.as_mut().filter(whole) else { return Ok(SnapshotAnswer::StartOver) };
            let start = || self.start_installation(incoming.staged, vote, meta);
            incoming.installation.get_or_insert_with(start).clone()
        };
        // An installation may take longer than a request may wait.
        if tokio::time::timeout(INSTALL_WAIT, installation.wait_for(Option::is_some)).await.is_err() {
            return Ok(SnapshotAnswer::Taken(transfer));
        }
        let outcome = installation.borrow().clone();
        match outcome {
            Some(Ok(response)) => Ok(SnapshotAnswer::Installed(response)),
            Some(Err(reason)) => Err(io::Error::other(reason)),
            None => Err(io::Error::other("the installation was given up")),
        }
    }

    /// Starts an installation. It goes on even if nobody waits for it.
    fn start_installation(self: &Arc<Self>, staged: StagedGeneration, vote: Vote, meta: SnapshotMeta) -> Installation {
        let (outcome, installation) = watch::channel(None);
        let replica = self.clone();
        // Spawned, because the request that asks for it may time out before it ends.
        tokio::spawn(async move {
            let snapshot = Snapshot { meta, snapshot: SnapshotData::Staged(staged) };
            let response = replica.raft.install_full_snapshot(vote, snapshot).await;
            outcome.send_replace(Some(response.map_err(|error| error.to_string())));
        });
        installation
    }
}
