//! The end of a process that is not the newest of its node.
//!
//! Comes in: what peers say of this node's starts. Goes out: nothing, or the end of the process, with the way out on
//! stderr. The end must not be caught: a process that was overtaken does nothing more.

use std::path::{Path, PathBuf};

use raft_groups::Host;

/// Ends this process as soon as a peer says that the node was started later, or runs twice. An older copy of a
/// directory may have forgotten what it acknowledged, and two processes under one number vote twice.
pub(in crate::node) async fn end_when_overtaken(host: Host, dir: PathBuf) {
    host.overtaken().await;
    end_process(&dir, host.identity().life.number);
}

/// Ends this process, whose start has the number `life`, because there is a later start or a second process.
pub(super) fn end_process(dir: &Path, life: u64) -> ! {
    let reason =
        "other nodes have seen a later start of this node, or another process runs from a copy of this directory";
    let way_out = "keep the one that is newest and stop the other; where only an older copy is left, remove this node \
                   (`quiver node leave`) and start it anew with an empty --data-dir and --join";
    tracing::error!(dir = %dir.display(), life, "this process ends: {reason}; {way_out}");
    eprintln!("error: {} cannot take part: {reason}; {way_out}", dir.display());
    std::process::exit(1);
}
