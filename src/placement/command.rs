//! What goes into the meta group's log and what its machine answers, with their bytes.

use bytes::Bytes;
use raft_groups::NodeId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{BadName, ClusterMap, CollectionEntry};
use crate::engine::{CollectionConfig, CollectionId, FieldType, Refusal};

/// First byte of every command and reply; another one means another version of Quiver wrote it.
const FORMAT: u8 = 1;

/// A change of the cluster map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum MetaCommand {
    /// The first map. Has no effect on a map that is formed.
    Form {
        /// The map to start with.
        map: ClusterMap,
    },
    /// Adds a collection.
    CreateCollection {
        /// Its name, unique in the cluster.
        name: String,
        /// Its vectors.
        config: CollectionConfig,
        /// The consistency level of requests that name none; the gateway's word, opaque here.
        default_consistency: String,
    },
    /// Removes a collection.
    DropCollection {
        /// Its name.
        name: String,
        /// The collection that is meant: a retry must not remove a later one of the same name.
        id: CollectionId,
    },
    /// Records where a node listens now.
    SetAddress {
        /// The node.
        node: NodeId,
        /// Host that clients reach it at.
        host: String,
        /// Port of its HTTP API.
        port: u16,
        /// `host:port` that its peers reach it at.
        peer_addr: String,
    },
    /// Says whether a payload field is indexed, and as what.
    SetFieldIndex {
        /// The collection's name.
        name: String,
        /// The collection that is meant: a retry must not change a later one of the same name.
        id: CollectionId,
        /// The field's path.
        field: String,
        /// What it is indexed as; `None`: not any more.
        kind: Option<FieldType>,
    },
}

/// What became of a [`MetaCommand`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum MetaReply {
    /// The map is formed.
    Formed,
    /// The map had been formed before, and stays as it was.
    AlreadyFormed,
    /// The map is not formed yet, so it cannot hold anything.
    NotFormed,
    /// The collection is new.
    Created {
        /// Its entry.
        entry: CollectionEntry,
    },
    /// The collection existed with the same settings.
    Exists {
        /// Its entry.
        entry: CollectionEntry,
    },
    /// A collection of that name exists with other settings.
    Conflict {
        /// Its entry.
        entry: CollectionEntry,
    },
    /// The name cannot be used.
    BadName(BadName),
    /// The collection is gone from the map.
    Dropped {
        /// The entry it had.
        entry: CollectionEntry,
    },
    /// The map has no such collection or node.
    NotFound,
    /// The address is recorded.
    AddressSet,
    /// The payload schema is as asked.
    SchemaSet {
        /// The collection's entry with it.
        entry: CollectionEntry,
    },
    /// The payload schema cannot be as asked.
    BadSchema(Refusal),
}

/// Bytes that are not a command or reply of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a meta {what} of format {FORMAT}: {reason}")]
pub struct MetaCodecError {
    /// `command` or `reply`.
    pub what: &'static str,
    /// What was met instead.
    pub reason: String,
}

impl MetaCommand {
    /// The bytes that go into the log.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads a command from the log.
    ///
    /// # Errors
    /// Where the bytes are cut, or of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, MetaCodecError> {
        decode("command", bytes)
    }
}

impl MetaReply {
    /// The bytes of a machine's reply.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads a machine's reply.
    ///
    /// # Errors
    /// Where the bytes are cut, or of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, MetaCodecError> {
        decode("reply", bytes)
    }
}

fn encode<T: Serialize>(value: &T) -> Bytes {
    postcard::to_extend(value, vec![FORMAT])
        .expect("writing to memory cannot fail, and these types have a known shape")
        .into()
}

fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, MetaCodecError> {
    let fail = |reason: String| MetaCodecError { what, reason };
    match bytes.split_first() {
        Some((&FORMAT, rest)) => postcard::from_bytes(rest).map_err(|e| fail(e.to_string())),
        Some((other, _)) => Err(fail(format!("the first byte is {other}"))),
        None => Err(fail("there are no bytes".to_owned())),
    }
}
