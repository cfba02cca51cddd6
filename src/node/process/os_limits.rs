//! The limits that the operating system keeps for this process: how many descriptors it has, and who may read its
//! files.
//!
//! Comes in: the limits that the process was started with. Goes out: raised limits, and how many connections fit into
//! them.

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};

/// Most connections of clients, and of other nodes. With few descriptors there are fewer.
const CLIENTS: usize = 4_096;
const PEERS: usize = 1_024;

/// Raises the limit on open files as far as the system lets it. Returns the limit that then holds.
pub(super) fn raise_descriptor_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, "the bound on open files stays as it is");
    }
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX))
}

/// From now on, nobody but this process's user can read the files that it makes.
pub(super) fn keep_files_private() {
    umask(Mode::RWXG | Mode::RWXO);
}

/// Returns how many connections of clients there may be, and how many of other nodes. The rest of the descriptors is
/// for files and for connections to other nodes.
pub(super) fn split_connections(descriptors: usize) -> (usize, usize) {
    (CLIENTS.min(descriptors / 3).max(8), PEERS.min(descriptors / 4).max(8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_descriptors_for_peers_and_files() {
        for descriptors in [64, 128, 1_024, 65_536, 1 << 20] {
            let (clients, peers) = split_connections(descriptors);
            assert!(clients + peers <= descriptors * 3 / 4, "{descriptors}");
        }
        assert!(raise_descriptor_limit() >= 64);
    }
}
