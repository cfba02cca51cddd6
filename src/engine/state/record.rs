//! Keys and values of the stored state.
//!
//! A key is a letter for its kind and big-endian numbers, so that a collection's points lie together. A value is a
//! format byte, a body, and the CRC-32C of key, format and body: a record that was damaged, or has strayed to another
//! key, is found when the state is opened.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3;

use crate::engine::floats::Out;
use crate::engine::ids::{CollectionId, RequestId};
use crate::engine::payload_index::PayloadSchema;
use crate::model::PointId;

/// First byte of every value.
const FORMAT: u8 = 2;
const CRC_BYTES: usize = 4;

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordKey {
    /// Log index of the last command.
    Index,
    Collection(CollectionId),
    /// Which payload fields of a collection are indexed.
    Schema(CollectionId),
    Point(CollectionId, PointId),
    /// What came of a request, of before requests were remembered by time.
    Request(RequestId),
    /// What came of a request.
    Remembered(RequestId),
    /// A range of dropped collections, by its first.
    Dropped(CollectionId),
}

impl RecordKey {
    pub(super) fn encode(self) -> Vec<u8> {
        // Numbers are big-endian, so that keys sort as their numbers do.
        match self {
            Self::Index => vec![b'i'],
            Self::Collection(collection) => [b"c".as_slice(), &collection.0.to_be_bytes()].concat(),
            // Between a collection and its points, so that a start indexes them as they come.
            Self::Schema(collection) => [b"f".as_slice(), &collection.0.to_be_bytes()].concat(),
            Self::Point(collection, PointId::Num(number)) => {
                [b"p".as_slice(), &collection.0.to_be_bytes(), &[0], &number.to_be_bytes()].concat()
            }
            Self::Point(collection, PointId::Uuid(uuid)) => {
                [b"p".as_slice(), &collection.0.to_be_bytes(), &[1], uuid.as_bytes()].concat()
            }
            Self::Request(request) => [b"r".as_slice(), request.0.as_bytes()].concat(),
            Self::Remembered(request) => [b"m".as_slice(), request.0.as_bytes()].concat(),
            Self::Dropped(collection) => [b"d".as_slice(), &collection.0.to_be_bytes()].concat(),
        }
    }

    pub(super) fn decode(key: &[u8]) -> Option<Self> {
        let (kind, rest) = key.split_first()?;
        match kind {
            b'i' => rest.is_empty().then_some(Self::Index),
            b'c' => Some(Self::Collection(CollectionId(number(rest)?))),
            b'f' => Some(Self::Schema(CollectionId(number(rest)?))),
            b'm' => Some(Self::Remembered(RequestId(Uuid::from_slice(rest).ok()?))),
            b'd' => Some(Self::Dropped(CollectionId(number(rest)?))),
            b'r' => Some(Self::Request(RequestId(Uuid::from_slice(rest).ok()?))),
            // The kind of an id stands before it, so that numbers come before UUIDs.
            b'p' => {
                let (collection, id) = rest.split_at_checked(8)?;
                let id = match id.split_first()? {
                    (0, id) => PointId::Num(number(id)?),
                    (1, id) => PointId::Uuid(Uuid::from_slice(id).ok()?),
                    _ => return None,
                };
                Some(Self::Point(CollectionId(number(collection)?), id))
            }
            _ => None,
        }
    }

    /// The kind, in words for an error.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Collection(_) => "collection",
            Self::Schema(_) => "payload schema",
            Self::Point(..) => "point",
            Self::Request(_) | Self::Remembered(_) => "request",
            Self::Dropped(_) => "dropped collections",
        }
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// The log index of the last command, and the shard's time after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredIndex {
    pub(super) index: u64,
    pub(super) time_ms: u64,
}

/// The index record's body, which had no time once.
pub(super) fn decode_index(key: &[u8], value: &[u8]) -> Result<StoredIndex, String> {
    decode(key, value).or_else(|_| decode(key, value).map(|index| StoredIndex { index, time_ms: 0 }))
}

/// Which payload fields of a collection are indexed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredSchema {
    pub(super) version: u64,
    pub(super) schema: PayloadSchema,
}

/// A point's body.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredPoint<'a, V> {
    pub(super) version: u64,
    pub(super) payload: &'a str,
    #[serde(borrow)]
    pub(super) vectors: Vec<(&'a str, V)>,
}

/// A vector's body; its kind is written out, so that sparse vectors can join as a second.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum StoredVector<D> {
    Dense(D),
}

/// The keys of all points of a collection: from the first up to the second.
pub(in crate::engine) fn points_of(CollectionId(collection): CollectionId) -> (Vec<u8>, Vec<u8>) {
    let from = |kind: u8| [b"p".as_slice(), &collection.to_be_bytes(), &[kind]].concat();
    (from(0), from(2))
}

/// The value of a point's record.
pub(super) fn encode_point(key: &[u8], version: u64, payload: &str, vectors: &BTreeMap<String, Vec<f32>>) -> Bytes {
    let vectors = vectors.iter().map(|(name, vector)| (name.as_str(), StoredVector::Dense(Out(vector)))).collect();
    encode(key, &StoredPoint { version, payload, vectors })
}

/// The value that holds `body` under `key`.
pub(super) fn encode<T: Serialize>(key: &[u8], body: &T) -> Bytes {
    let mut value = postcard::to_extend(body, vec![FORMAT]).expect("plain data into memory: no case of it can fail");
    let crc = checksum(key, &value);
    value.extend_from_slice(&crc.to_le_bytes());
    Bytes::from(value)
}

/// The body under `key`, or what is wrong with the value.
pub(super) fn decode<'a, T: Deserialize<'a>>(key: &[u8], value: &'a [u8]) -> Result<T, String> {
    // The checksum covers the key, so a value under a wrong key fails it.
    let (covered, crc) = value.split_last_chunk::<CRC_BYTES>().ok_or("is too short")?;
    if checksum(key, covered) != u32::from_le_bytes(*crc) {
        return Err("fails its checksum".to_owned());
    }
    match covered.split_first() {
        Some((&FORMAT, body)) => postcard::from_bytes(body).map_err(|error| format!("does not parse: {error}")),
        Some((format, _)) if *format > FORMAT => Err("was written by a newer Quiver: upgrade this node".to_owned()),
        Some((format, _)) => Err(format!("has format {format}, this build knows {FORMAT}")),
        None => Err("is empty".to_owned()),
    }
}

fn checksum(key: &[u8], covered: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), covered)
}

/// A record's part of the digest.
pub(super) fn hash(key: &[u8], value: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(value);
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use super::super::outcome::{Kept, StoredRequest};
    use super::*;
    use proptest::prelude::*;

    fn key() -> impl Strategy<Value = RecordKey> {
        prop_oneof![
            Just(RecordKey::Index),
            any::<u64>().prop_map(|number| RecordKey::Collection(CollectionId(number))),
            any::<u64>().prop_map(|number| RecordKey::Schema(CollectionId(number))),
            any::<(u64, u64)>()
                .prop_map(|(collection, id)| RecordKey::Point(CollectionId(collection), PointId::Num(id))),
            any::<(u64, u128)>().prop_map(|(collection, id)| RecordKey::Point(
                CollectionId(collection),
                PointId::Uuid(Uuid::from_u128(id))
            )),
            any::<u128>().prop_map(|id| RecordKey::Request(RequestId(Uuid::from_u128(id)))),
            any::<u128>().prop_map(|id| RecordKey::Remembered(RequestId(Uuid::from_u128(id)))),
            any::<u64>().prop_map(|number| RecordKey::Dropped(CollectionId(number))),
        ]
    }

    proptest! {
        #[test]
        fn keys_round_trip(key in key()) {
            prop_assert_eq!(RecordKey::decode(&key.encode()), Some(key));
        }

        #[test]
        fn any_flipped_bit_is_found(body in any::<(u64, String)>(), bit in any::<prop::sample::Index>()) {
            let key = RecordKey::Index.encode();
            let mut value = encode(&key, &body).to_vec();
            prop_assert_eq!(decode::<(u64, String)>(&key, &value), Ok(body));
            prop_assert!(decode::<(u64, String)>(b"j", &value).is_err(), "under another key");
            let bit = bit.index(value.len() * 8);
            value[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode::<(u64, String)>(&key, &value).is_err());
        }

        #[test]
        fn garbage_is_refused_without_a_panic(key in prop::collection::vec(any::<u8>(), 0..30), value in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = RecordKey::decode(&key);
            let mut sealed = value.clone();
            sealed.extend_from_slice(&checksum(&key, &value).to_le_bytes());
            for value in [value, sealed] {
                let _ = decode::<StoredPoint<'_, StoredVector<crate::engine::floats::In>>>(&key, &value);
                let _ = decode::<StoredRequest>(&key, &value);
                let _ = decode::<Kept>(&key, &value);
                let _ = decode_index(&key, &value);
            }
        }
    }
}
