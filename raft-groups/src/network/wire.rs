//! The messages between replicas. They have the same bytes over HTTP and in simulation.
//!
//! ```text
//! message   version, u8   the message in postcard   bytes of a later release: skipped
//! ```
//! openraft's types in a message are encoded as our own forms: see [`crate::format`].

use bytes::Bytes;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};

use crate::consensus::types::{RaftTypes, SnapshotMeta, Vote};
use crate::format::AsForm;
use crate::mutants::{Mutant, is_planted};
use crate::{GroupId, Life, NodeId, ReadError};

/// The version of the messages that are sent. No other version is read.
const VERSION: u8 = 1;

/// A request with its sender and receiver. They name cluster, node and life, so none of these is taken for another.
#[derive(Debug, Serialize, Deserialize)]
pub struct RequestEnvelope {
    pub cluster: [u8; 16],
    pub from: NodeId,
    pub to: NodeId,
    /// The sender's life.
    pub life: Life,
    /// The newest life in which the sender has seen the receiver.
    pub known: Life,
    pub group: GroupId,
    /// For how many milliseconds the sender asks not to be deposed, if it leads. Its lease rests on it. 0 asks for
    /// nothing.
    pub lease_ms: u32,
    pub request: PeerRequest,
}

/// A request of one replica to another.
#[derive(Debug, Serialize, Deserialize)]
pub enum PeerRequest {
    Append(#[serde(with = "AsForm")] AppendEntriesRequest<RaftTypes>),
    Vote(#[serde(with = "AsForm")] VoteRequest<RaftTypes>),
    PreVote(#[serde(with = "AsForm")] VoteRequest<RaftTypes>),
    TransferLeader(#[serde(with = "AsForm")] TransferLeaderRequest<RaftTypes>),
    /// Asks the leader to confirm that it leads, and for the index that a linearizable read must wait for.
    ReadIndex,
    /// Asks for an answer when `index` is applied, or after `within_ms` milliseconds.
    AwaitApplied {
        index: u64,
        within_ms: u64,
    },
    Snapshot(SnapshotChunk),
}

impl PeerRequest {
    /// Returns its kind in a word.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::Append(rpc) if rpc.entries.is_empty() => "heartbeat",
            Self::Append(_) => "append",
            Self::Vote(_) => "vote",
            Self::PreVote(_) => "pre_vote",
            Self::TransferLeader(_) => "transfer",
            Self::ReadIndex => "read_index",
            Self::AwaitApplied { .. } => "await_applied",
            Self::Snapshot(_) => "snapshot",
        }
    }

    /// Returns the leader's vote, if it is a message that only a leader sends to its followers.
    pub fn leader(&self) -> Option<&Vote> {
        match self {
            Self::Append(rpc) => Some(&rpc.vote),
            Self::Snapshot(SnapshotChunk::End { vote, .. }) => Some(vote),
            _ => None,
        }
    }

    /// Returns the term in which it is sent; 0 if it names none.
    pub fn term(&self) -> u64 {
        match self {
            Self::Append(rpc) => rpc.vote.leader_id.term,
            Self::Vote(rpc) | Self::PreVote(rpc) => rpc.vote.leader_id.term,
            _ => 0,
        }
    }
}

/// One step of sending a snapshot. Each step waits for the answer to the one before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum SnapshotChunk {
    /// Begins a transfer. The reply names it.
    Begin,
    /// Carries the pairs after those of the chunk before. `number` counts from 0.
    Pairs { transfer: u64, number: u64, pairs: PackedPairs },
    /// All `chunks` were sent: install them. It is repeated until the snapshot is installed.
    End {
        transfer: u64,
        chunks: u64,
        #[serde(with = "AsForm")]
        vote: Vote,
        #[serde(with = "AsForm")]
        meta: SnapshotMeta,
    },
}

impl SnapshotChunk {
    /// Returns the transfer to which it belongs; `None` for the first step.
    pub fn transfer(&self) -> Option<u64> {
        match self {
            Self::Begin => None,
            Self::Pairs { transfer, .. } | Self::End { transfer, .. } => Some(*transfer),
        }
    }
}

/// Bytes, at most, to which one compressed byte expands (LZ4 block format: each byte of a length adds up to 255).
const LZ4_MOST: usize = 255;

/// Pairs of a machine's state, compressed, with a checksum over the compressed bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PackedPairs {
    crc: u32,
    lz4: Bytes,
}

impl PackedPairs {
    /// Packs pairs, and keeps their order.
    pub fn pack(pairs: &[(Vec<u8>, Bytes)]) -> Self {
        let shuffled: Vec<_>;
        let pairs = if is_planted(Mutant::ShufflesPairs) {
            let by_key: std::collections::HashMap<_, _> = pairs.iter().cloned().collect();
            shuffled = by_key.into_iter().collect();
            &shuffled
        } else {
            pairs
        };
        let plain = postcard::to_allocvec(pairs).expect("plain data encodes");
        let lz4 = Bytes::from(lz4_flex::compress_prepend_size(&plain));
        Self { crc: crc32c::crc32c(&lz4), lz4 }
    }

    /// Returns the pairs in order; `None` if they were damaged on the way.
    pub fn unpack(&self) -> Option<Vec<(Vec<u8>, Bytes)>> {
        if crc32c::crc32c(&self.lz4) != self.crc {
            return None;
        }
        let (size, compressed) = lz4_flex::block::uncompressed_size(&self.lz4).ok()?;
        // A size that these bytes cannot expand to is not believed, so it allocates nothing.
        if size > compressed.len().saturating_mul(LZ4_MOST) {
            return None;
        }
        postcard::from_bytes(&lz4_flex::decompress(compressed, size).ok()?).ok()
    }

    /// Returns the bytes of the compressed pairs.
    pub fn len(&self) -> usize {
        self.lz4.len()
    }
}

/// A reply, and the life of the node that sends it.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReplyEnvelope {
    pub life: Life,
    pub reply: PeerReply,
}

/// The answer to a [`PeerRequest`].
#[derive(Debug, Serialize, Deserialize)]
pub enum PeerReply {
    Append(#[serde(with = "AsForm")] AppendEntriesResponse<RaftTypes>),
    Vote(#[serde(with = "AsForm")] VoteResponse<RaftTypes>),
    TransferLeader(#[serde(with = "AsForm")] TransferLeaderResponse<RaftTypes>),
    ReadIndex(Result<u64, ReadError>),
    /// Says whether the index is applied.
    Applied(bool),
    Snapshot(SnapshotAnswer),
    /// Nothing was done.
    Refused(PeerRefusal),
}

/// The answer to a [`SnapshotChunk`].
#[derive(Debug, Serialize, Deserialize)]
pub enum SnapshotAnswer {
    /// The step was carried out; with the number of the transfer. To an `End`: the snapshot is still being
    /// installed.
    Taken(u64),
    /// The transfer is unknown or was replaced, or a chunk is missing or damaged. Begin again.
    StartOver,
    Installed(#[serde(with = "AsForm")] SnapshotResponse<RaftTypes>),
}

/// Why a node did nothing with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum PeerRefusal {
    #[error("it belongs to another cluster")]
    OtherCluster,
    #[error("it is another node than the one that was meant")]
    OtherNode,
    #[error("it has no replica of this group")]
    UnknownGroup,
    #[error("its replica is new and does not know itself as a member yet")]
    NoMember,
    #[error("its replica has stopped")]
    Stopped,
    #[error("the link is cut by a fault test")]
    Cut,
    #[error("it cannot read the request")]
    Unreadable,
    #[error("a node has been started again since, or its directory runs twice (the sender's: {yours})")]
    OlderLife {
        /// `true` if the sender is in an older life; else the receiver is.
        yours: bool,
    },
    #[error("it follows another leader of the same term, node {leader}: a node has forgotten how it voted")]
    OtherLeader {
        /// The leader that the refusing replica follows.
        leader: crate::NodeId,
    },
    #[error("it speaks another version; run one release of Quiver on all nodes")]
    OtherVersion,
    #[error("its disk does not answer: look at the disk of that node")]
    Hung,
}

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// They have another version.
    OtherVersion,
    /// They cannot be decoded.
    Garbage,
}

impl From<Unreadable> for PeerRefusal {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::OtherVersion => Self::OtherVersion,
            Unreadable::Garbage => Self::Unreadable,
        }
    }
}

/// Encodes a message, after the version byte.
pub fn encode<T: Serialize>(message: &T) -> Bytes {
    postcard::to_extend(message, vec![VERSION]).expect("plain data encodes").into()
}

/// Decodes a message. Bytes after it are skipped.
///
/// # Errors
/// [`Unreadable`] if the bytes are not a message of this version.
pub fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    match bytes.split_first() {
        Some((&VERSION, message)) => {
            postcard::take_from_bytes(message).map(|(message, _)| message).map_err(|_| Unreadable::Garbage)
        }
        Some((_, message)) if is_planted(Mutant::ReadsOtherVersions) => {
            postcard::from_bytes(message).map_err(|_| Unreadable::Garbage)
        }
        Some(_) => Err(Unreadable::OtherVersion),
        None => Err(Unreadable::Garbage),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mutants::plant;

    #[test]
    fn a_message_of_another_version_is_refused_unread() {
        let mut message = encode(&7u64).to_vec();
        assert_eq!(decode::<u64>(&message), Ok(7));
        message[0] = VERSION + 1;
        assert_eq!(decode::<u64>(&message), Err(Unreadable::OtherVersion));
        let _planted = plant(Mutant::ReadsOtherVersions);
        assert_eq!(decode::<u64>(&message), Ok(7), "the bug is not planted");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode::<RequestEnvelope>(&bytes);
            let _ = decode::<ReplyEnvelope>(&bytes);
        }

        #[test]
        fn pairs_come_back_and_damage_is_found(
            pairs in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..20), prop::collection::vec(any::<u8>(), 0..50)), 0..20),
            bit in any::<prop::sample::Index>(),
        ) {
            let pairs: Vec<(Vec<u8>, Bytes)> = pairs.into_iter().map(|(key, value)| (key, value.into())).collect();
            let packed = PackedPairs::pack(&pairs);
            prop_assert_eq!(packed.unpack().expect("intact"), pairs);
            let mut lz4 = packed.lz4.to_vec();
            let bit = bit.index(lz4.len() * 8);
            lz4[bit / 8] ^= 1 << (bit % 8);
            let damaged = PackedPairs { crc: packed.crc, lz4: lz4.into() };
            prop_assert!(damaged.unpack().is_none());
        }
    }
}
