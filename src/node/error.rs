//! Why a node cannot start. Each message names the way out.
//!
//! Comes in: what the disk, the system or another node said. Goes out: a message for the operator. Must not decide what
//! happens next: the process ends.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The directory has files, but they are not a node's.
    #[error(
        "{} has files that are not Quiver's ({found}): give an empty directory, or one of a node, with --data-dir",
        dir.display()
    )]
    ForeignDirectory {
        /// The directory.
        dir: PathBuf,
        /// One of the files.
        found: String,
    },
    /// The directory is empty, and no flag says which cluster the node belongs to.
    #[error(
        "{} belongs to no cluster yet, and no flag names one: form a new one with --bootstrap N, or join one with \
         --join URL. If this node had a cluster, this is not its data directory, or its data is lost",
        dir.display()
    )]
    NoOrigin {
        /// The directory.
        dir: PathBuf,
    },
    /// Another process uses the directory.
    #[error("{} is in use by another process: stop it, or give another directory with --data-dir", dir.display())]
    DirectoryInUse {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory belongs to a node of another name.
    #[error(
        "{} belongs to node `{stored}`: start it with --node-id {stored}, or give `{asked}` another --data-dir",
        dir.display()
    )]
    OtherNode {
        /// The directory.
        dir: PathBuf,
        /// The name it was made for.
        stored: String,
        /// The name asked for.
        asked: String,
    },
    /// The directory's format is another version's.
    #[error(
        "{} has format {found}, and this build reads {known}: use the version of Quiver that made it",
        path.display()
    )]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The format this build reads.
        known: u64,
    },
    /// The node's identity is damaged.
    #[error(
        "{} is damaged ({reason}): without it this node must not vote. Keep the directory for inspection, and start \
         this node anew with an empty one",
        path.display()
    )]
    DamagedIdentity {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The disk answered with an error.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// The disk's answer.
        source: io::Error,
    },
    /// A port cannot be listened on.
    #[error("cannot listen on {address} ({source}): stop what uses it, or give another address with {flag}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The setting it comes from.
        flag: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The cluster does not take this node.
    #[error("the cluster at {url} refuses this node: {reason}")]
    Refused {
        /// Whom it asked.
        url: String,
        /// The answer.
        reason: String,
    },
    /// No cluster can be formed of what was given.
    #[error("cannot form a cluster: {0}")]
    Formation(#[from] crate::placement::FormationError),
    /// The name cannot be used.
    #[error(transparent)]
    Name(#[from] crate::placement::BadName),
    /// The stores cannot be opened.
    #[error(transparent)]
    Open(#[from] raft_groups::OpenError),
    /// A part of the process cannot be set up.
    #[error("cannot set up {what}: {reason}")]
    Setup {
        /// The part.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// The process was told to stop before it had started.
    #[error("stopped before the cluster was formed")]
    Stopped,
}

impl NodeError {
    /// An error of the disk.
    pub(super) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source }
    }

    /// A part that cannot be set up.
    pub(super) fn setup(what: &'static str, reason: impl ToString) -> Self {
        Self::Setup { what, reason: reason.to_string() }
    }
}
