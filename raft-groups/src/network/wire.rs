//! What replicas say to each other; the same bytes over HTTP and in simulation.
//!
//! ```text
//! message   version, u8   the message in postcard   what a later release added: skipped
//! ```
//! What is openraft's in a message is encoded as our own [`crate::format`].

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

/// The version of the messages that are sent, and the only one that is read.
const VERSION: u8 = 1;

/// A request, and between whom it is: a cluster, a node and a life of that node are never taken for another.
#[derive(Debug, Serialize, Deserialize)]
pub struct RequestEnvelope {
    pub cluster: [u8; 16],
    pub from: NodeId,
    pub to: NodeId,
    /// The sender's life.
    pub life: Life,
    /// The newest life in which the sender has seen the node it asks.
    pub known: Life,
    pub group: GroupId,
    /// For how many milliseconds the sender, where it leads, asks not to be deposed: its lease rests on it.
    pub lease_ms: u32,
    pub request: PeerRequest,
}

/// What one replica asks of another.
#[derive(Debug, Serialize, Deserialize)]
pub enum PeerRequest {
    Append(#[serde(with = "AsForm")] AppendEntriesRequest<RaftTypes>),
    Vote(#[serde(with = "AsForm")] VoteRequest<RaftTypes>),
    PreVote(#[serde(with = "AsForm")] VoteRequest<RaftTypes>),
    TransferLeader(#[serde(with = "AsForm")] TransferLeaderRequest<RaftTypes>),
    /// Asks the leader to confirm itself and for the index a linearizable read must wait for.
    ReadIndex,
    /// Asks to be answered when `index` is applied, or after so many milliseconds.
    AwaitApplied {
        index: u64,
        within_ms: u64,
    },
    Snapshot(SnapshotChunk),
}

impl PeerRequest {
    /// What it is, in a word.
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

    /// The vote of the leader whose message it is, if it is one that takes a follower to follow.
    pub fn leader(&self) -> Option<&Vote> {
        match self {
            Self::Append(rpc) => Some(&rpc.vote),
            Self::Snapshot(SnapshotChunk::End { vote, .. }) => Some(vote),
            _ => None,
        }
    }

    /// The term it is sent in; 0 where it names none.
    pub fn term(&self) -> u64 {
        match self {
            Self::Append(rpc) => rpc.vote.leader_id.term,
            Self::Vote(rpc) | Self::PreVote(rpc) => rpc.vote.leader_id.term,
            _ => 0,
        }
    }
}

/// One step of a snapshot's way to a follower; each waits for the answer to the one before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum SnapshotChunk {
    /// A new transfer; the reply names it.
    Begin,
    /// The pairs after those of the chunk before.
    Pairs { transfer: u64, number: u64, pairs: PackedPairs },
    /// All `chunks` were sent: install. Asked again until it is installed.
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
    /// The transfer it belongs to; a first chunk has none yet.
    pub fn transfer(&self) -> Option<u64> {
        match self {
            Self::Begin => None,
            Self::Pairs { transfer, .. } | Self::End { transfer, .. } => Some(*transfer),
        }
    }
}

/// Bytes that one compressed byte comes to, at most (LZ4 block format: a match of 255 a byte).
const LZ4_MOST: usize = 255;

/// Pairs of a machine's state, compressed, with a checksum over the compressed bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PackedPairs {
    crc: u32,
    lz4: Bytes,
}

impl PackedPairs {
    /// Packs pairs.
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

    /// The pairs; `None` where they were damaged on the way.
    pub fn unpack(&self) -> Option<Vec<(Vec<u8>, Bytes)>> {
        if crc32c::crc32c(&self.lz4) != self.crc {
            return None;
        }
        let (size, compressed) = lz4_flex::block::uncompressed_size(&self.lz4).ok()?;
        // No size is believed that the bytes cannot come to.
        if size > compressed.len().saturating_mul(LZ4_MOST) {
            return None;
        }
        postcard::from_bytes(&lz4_flex::decompress(compressed, size).ok()?).ok()
    }

    /// Bytes on the wire.
    pub fn len(&self) -> usize {
        self.lz4.len()
    }
}

/// A reply, and the life of the node that gives it.
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
    /// `true` if the index is applied.
    Applied(bool),
    Snapshot(SnapshotAnswer),
    /// Nothing was done.
    Refused(PeerRefusal),
}

/// The answer to a [`SnapshotChunk`].
#[derive(Debug, Serialize, Deserialize)]
pub enum SnapshotAnswer {
    /// Taken; the number of the transfer. To an `End`: still being installed.
    Taken(u64),
    /// The transfer is not known (any more), or a chunk is missing or damaged: begin again.
    StartOver,
    Installed(#[serde(with = "AsForm")] SnapshotResponse<RaftTypes>),
}

/// Why a node did nothing about a request.
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
        /// `true` if it is the sender that takes part in a life which is not its newest.
        yours: bool,
    },
    #[error("it follows another leader of the same term, node {leader}: a node has forgotten how it voted")]
    OtherLeader {
        /// The leader that it follows.
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
    /// Another release wrote them.
    OtherVersion,
    /// They say nothing.
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

/// Encodes a message.
pub fn encode<T: Serialize>(message: &T) -> Bytes {
    postcard::to_extend(message, vec![VERSION]).expect("plain data encodes").into()
}

/// Decodes a message.
///
/// # Errors
/// Where the bytes are not one of this version.
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
