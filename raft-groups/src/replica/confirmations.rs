//! The reads that wait for a leader to be confirmed, and share its next round.
//!
//! Who runs the rounds is in [`super::read`].

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::ReadError;

/// Reads that wait for the next confirmation round. Invariant: where reads wait, a round is running.
#[derive(Default)]
pub struct Confirmations(pub(super) Mutex<WaitingReads>);

/// What a round takes along.
#[derive(Default)]
pub(super) struct WaitingReads {
    pub reads: Vec<oneshot::Sender<Result<u64, ReadError>>>,
    pub running: bool,
}
