//! What a shard can be told to do, and its binary form in the log.
//!
//! Comes in: what a gateway or a leader asks for. Goes out: the bytes that every replica reads back as the same command.
//! Must not know what a command does.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::codec::{CodecError, decode, encode};
use crate::engine::collection::CollectionConfig;
use crate::engine::commands::first_look::Glance;
use crate::engine::filter::Filter;
use crate::engine::ids::{CollectionId, RequestId};
use crate::engine::payload_index::PayloadSchema;
use crate::engine::point::PointWrite;
use crate::model::PointId;

/// First byte of an encoded command.
const COMMAND_FORMAT: u8 = 2;

/// The place of [`Command::Upsert`] among the variants, as the binary form has it.
const UPSERT: u8 = 2;

/// One change to a shard, applied whole or not at all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Makes a collection known to this shard; known already with the same settings is fine. One that was dropped here is
    /// refused for good.
    CreateCollection {
        /// Its number in the cluster map.
        collection: CollectionId,
        /// Its vectors.
        config: CollectionConfig,
    },
    /// Forgets a collection and all its points; unknown already is fine.
    DropCollection {
        /// Its number in the cluster map.
        collection: CollectionId,
    },
    /// Writes points, replacing those that exist.
    Upsert {
        /// Where to.
        collection: CollectionId,
        /// The write's name, so that it can be repeated safely.
        request: Option<RequestId>,
        /// The points; no id twice.
        points: Vec<PointWrite>,
    },
    /// Deletes points; those that do not exist are fine.
    Delete {
        /// Where from.
        collection: CollectionId,
        /// The write's name, so that it can be repeated safely.
        request: Option<RequestId>,
        /// Which points.
        selector: Selector,
    },
    /// Makes these the payload fields that are indexed: those that are missing are built from the points, those that
    /// are not named are dropped. An older version than the shard has changes nothing, so commands may come late,
    /// twice, or in any order.
    SetPayloadSchema {
        /// Of which collection.
        collection: CollectionId,
        /// Version of the schema in the cluster map; at least 1.
        version: u64,
        /// All of its indexed fields.
        schema: PayloadSchema,
    },
    /// Remembers for good that collections were dropped of which this shard knows none. Where it knows one, it refuses.
    RetireCollections {
        /// The first number.
        first: CollectionId,
        /// The last number, included.
        last: CollectionId,
    },
    /// Begins the deletion of what a filter means; see [`Deletion`](crate::engine::Deletion).
    BeginDeletion {
        /// Where from.
        collection: CollectionId,
        /// The deletion's name.
        request: RequestId,
        /// Of the command that asked for it.
        fingerprint: u128,
    },
    /// Deletes some of the points of a deletion that has begun.
    DeleteSlice {
        /// Where from.
        collection: CollectionId,
        /// The deletion's name.
        request: RequestId,
        /// Which points.
        slice: Slice,
    },
}

/// Which points a deletion means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Selector {
    /// The points of these ids.
    Ids(Vec<PointId>),
    /// The points of these ids, each only at this version (0: it must not exist); one mismatch refuses the whole.
    Guarded(Vec<(PointId, u64)>),
    /// The points that match. A leader makes a [`Deletion`](crate::engine::Deletion) of it; only logs of before have it, where it
    /// means the points that match when the command is applied.
    Filter(Filter),
}

/// One slice of the points that a [`Deletion`](crate::engine::Deletion) means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Log index of the deletion's beginning; newer points are spared.
    pub begin: u64,
    /// Points to delete.
    pub ids: Vec<PointId>,
    /// From which id on they are all that match; `None`: from the first.
    pub from: Option<PointId>,
    /// Up to which id, which is not looked at yet; `None`: to the last.
    pub next: Option<PointId>,
}

/// [`Command::Upsert`] of points that stay where they are; its place among the variants must be the same.
#[derive(Serialize)]
#[expect(dead_code, reason = "the first variants only take their places")]
enum BorrowedCommand<'a> {
    CreateCollection,
    DropCollection,
    Upsert { collection: CollectionId, request: Option<RequestId>, points: &'a [&'a PointWrite] },
}

impl Command {
    /// The binary form of a [`Command::Upsert`] of these points, without a copy of them.
    pub fn encode_upsert(collection: CollectionId, request: Option<RequestId>, points: &[&PointWrite]) -> Bytes {
        encode(COMMAND_FORMAT, &BorrowedCommand::Upsert { collection, request, points })
    }

    /// The binary form.
    pub fn encode(&self) -> Bytes {
        encode(COMMAND_FORMAT, self)
    }

    /// Returns `true` if a newer release wrote these bytes, whatever they mean.
    pub fn is_newer(bytes: &[u8]) -> bool {
        bytes.first().is_some_and(|format| *format > COMMAND_FORMAT)
    }

    /// Reads the binary form back.
    ///
    /// # Errors
    /// An unknown format byte, a body that does not parse, or bytes left over.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(COMMAND_FORMAT, bytes)
    }

    /// Looks whether [`decode`](Self::decode) can read the bytes, without a copy of the points in them.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn check(bytes: &[u8]) -> Result<(), CodecError> {
        Self::read_small(bytes).map(drop)
    }

    /// Reads the binary form back, but for an upsert: that is looked at as by [`check`](Self::check), and is `None`.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn read_small(bytes: &[u8]) -> Result<Option<Self>, CodecError> {
        match bytes {
            // Only these are large; any other way to spell that number is read whole.
            [COMMAND_FORMAT, UPSERT, ..] => decode::<Glance<'_>>(COMMAND_FORMAT, bytes).map(|_| None),
            _ => Self::decode(bytes).map(Some),
        }
    }

    /// The name under which it can be repeated safely.
    pub fn request(&self) -> Option<RequestId> {
        match self {
            Self::Upsert { request, .. } | Self::Delete { request, .. } => *request,
            Self::BeginDeletion { request, .. } => Some(*request),
            Self::CreateCollection { .. }
            | Self::DropCollection { .. }
            | Self::SetPayloadSchema { .. }
            | Self::RetireCollections { .. }
            // What is remembered of its deletion tells a slice from its repetition.
            | Self::DeleteSlice { .. } => None,
        }
    }

    /// The collection it is about, or the first of them.
    pub fn collection(&self) -> CollectionId {
        match self {
            Self::CreateCollection { collection, .. }
            | Self::DropCollection { collection }
            | Self::Upsert { collection, .. }
            | Self::Delete { collection, .. }
            | Self::SetPayloadSchema { collection, .. }
            | Self::BeginDeletion { collection, .. }
            | Self::DeleteSlice { collection, .. }
            | Self::RetireCollections { first: collection, .. } => *collection,
        }
    }
}
