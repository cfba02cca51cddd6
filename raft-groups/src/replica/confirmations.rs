//! The reads that wait for the leader to be confirmed, and share its next round.
//!
//! [`super::read`] runs the rounds.

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::ReadError;

/// The reads that wait for the next confirmation round. Invariant: while a read waits, the task that runs rounds is
/// running.
#[derive(Default)]
pub struct Confirmations(pub(super) Mutex<WaitingReads>);

/// The waiting reads, and whether a task runs rounds for them.
#[derive(Default)]
pub(super) struct WaitingReads {
    pub reads: Vec<oneshot::Sender<Result<u64, ReadError>>>,
    pub running: bool,
}
