//! The receiving side of a snapshot: chunks into a generation of the state that nobody sees, then one installation.
//!
//! Comes in: a leader's chunks, each perhaps more than once. Goes out: how far the transfer is, or that it must start
//! over. An installation may take long; a leader that asks meanwhile waits a while for it, and asks again.

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

/// How long a request waits for an installation before the leader is told to ask again.
const INSTALL_WAIT: Duration = Duration::from_secs(2);

impl<M: Machine> Replica<M> {
    /// Takes one chunk of a snapshot.
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
                tracing::warn!(group = %self.peers.group, %error, "a snapshot could not be taken in");
                self.incoming.lock().take_if(|incoming| Some(incoming.transfer) == transfer);
                PeerReply::Snapshot(SnapshotAnswer::StartOver)
            }
        }
    }

    /// Begins a transfer, in place of one before it that is not being installed.
    async fn begin_transfer(&self) -> io::Result<SnapshotAnswer> {
        let transfer = random_u64();
        let stage = {
            let mut incoming = self.incoming.lock();
            if incoming.as_ref().is_some_and(|incoming| incoming.installation.is_some() && incoming.is_under_way()) {
                return Ok(SnapshotAnswer::StartOver);
            }
            let stage = self.state.begin_staging();
            *incoming = Some(IncomingSnapshot { transfer, staged: stage, chunks: 0, installation: None });
            stage
        };
        self.state.erase_before(stage).await?;
        Ok(SnapshotAnswer::Taken(transfer))
    }

    /// Stores the pairs of one chunk. One that was taken already is taken to be so; another than the next starts all
    /// over.
    async fn take_pairs(&self, transfer: u64, number: u64, pairs: &PackedPairs) -> io::Result<SnapshotAnswer> {
        let was_taken = |incoming: &IncomingSnapshot| incoming.transfer == transfer && incoming.chunks == number + 1;
        if self.incoming.lock().as_ref().is_some_and(was_taken) {
            return Ok(SnapshotAnswer::Taken(transfer));
        }
        let expected = |incoming: &&mut IncomingSnapshot| incoming.transfer == transfer && incoming.chunks == number;
        let Some(stage) = self.incoming.lock().as_mut().filter(expected).map(|i| i.staged) else {
            return Ok(SnapshotAnswer::StartOver);
        };
        let Some(pairs) = pairs.unpack() else { return Ok(SnapshotAnswer::StartOver) };
        self.state.stage_page(stage, pairs).await?;
        if let Some(incoming) = self.incoming.lock().as_mut().filter(expected) {
            incoming.chunks += 1;
        }
        Ok(SnapshotAnswer::Taken(transfer))
    }

    /// Installs a whole transfer, or waits a while for the installation under way; the leader asks until it is done.
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
        // Only a whole transfer is installed, and only once.
        let mut installation = {
            let mut incoming = self.incoming.lock();
            let whole = |incoming: &&mut IncomingSnapshot| incoming.transfer == transfer && incoming.chunks == chunks;
            let Some(incoming) = incoming.as_mut().filter(whole) else { return Ok(SnapshotAnswer::StartOver) };
            let start = || self.start_installation(incoming.staged, vote, meta);
            incoming.installation.get_or_insert_with(start).clone()
        };
        // It may take longer than a request may wait.
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

    /// Starts an installation, which goes on whoever waits for it.
    fn start_installation(self: &Arc<Self>, staged: StagedGeneration, vote: Vote, meta: SnapshotMeta) -> Installation {
        let (outcome, installation) = watch::channel(None);
        let replica = self.clone();
        tokio::spawn(async move {
            let snapshot = Snapshot { meta, snapshot: SnapshotData::Staged(staged) };
            let response = replica.raft.install_full_snapshot(vote, snapshot).await;
            outcome.send_replace(Some(response.map_err(|error| error.to_string())));
        });
        installation
    }
}
