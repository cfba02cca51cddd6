//! Deciding what a command does, with a net under it: a panic in there is a bug of Quiver's, and must not stop a group.
//!
//! In: the decision as a closure that only reads. Out: what it decided, or nothing where it panicked; whoever asks
//! answers that with one fixed refusal, the same on every replica, and changes nothing. Each such bug is counted
//! (`quiver_apply_bugs_total`) and logged with the hash of the command, by which the replicas' logs can be compared.

use std::panic::{AssertUnwindSafe, catch_unwind};

use raft_groups::Position;
use xxhash_rust::xxh3::xxh3_64;

/// What `decide` decides of `command`; `None` where it panicked.
pub fn guarded<T>(machine: &'static str, at: Position, command: &[u8], decide: impl FnOnce() -> T) -> Option<T> {
    // Nothing that outlives the closure is changed in it, so nothing can be left half done.
    let decided = catch_unwind(AssertUnwindSafe(decide)).ok();
    if decided.is_none() {
        // Length and hash tell which entry it was. Its bytes are users' data, and stay out of the log file.
        metrics::counter!("quiver_apply_bugs_total", "machine" => machine).increment(1);
        let (index, bytes, hash) = (at.index, command.len(), format!("{:016x}", xxh3_64(command)));
        tracing::error!(
            machine,
            index,
            bytes,
            hash,
            "deciding a command panicked, so it is refused: please report this"
        );
    }
    decided
}
