//! Checksums on everything that is stored or sent in pieces: CRC32C (RFC 3720, appendix B.4) over the key and the
//! bytes, so that a record that was moved is found as well as one that was changed.

use std::io;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::keys::LogKey;
use super::store::{Batch, Store};
use crate::GroupId;
use crate::mutants::{Mutant, is_planted};

/// Bytes of the checksum in front of a record.
const CRC_BYTES: usize = 4;

/// Encodes `value` as the record of `key`.
pub fn seal<T: Serialize>(key: &[u8], value: &T) -> Bytes {
    let encoded = postcard::to_extend(value, vec![0; CRC_BYTES]).expect("plain data encodes");
    seal_bytes(key, encoded)
}

/// The value in the record of `key`.
///
/// # Errors
/// `InvalidData` where the record is not what [`seal`] made of some value under this very key.
pub fn unseal<T: DeserializeOwned>(key: &[u8], record: &[u8]) -> io::Result<T> {
    let damaged = |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("a record fails its check: {why}"));
    let (crc, encoded) = record.split_at_checked(CRC_BYTES).ok_or_else(|| damaged("too short"))?;
    if crc != checksum(key, encoded) && !is_planted(Mutant::TrustsDamage) {
        return Err(damaged("wrong checksum"));
    }
    postcard::from_bytes(encoded).map_err(|error| damaged(&error.to_string()))
}

fn seal_bytes(key: &[u8], mut record: Vec<u8>) -> Bytes {
    let crc = checksum(key, &record[CRC_BYTES..]);
    record[..CRC_BYTES].copy_from_slice(&crc);
    record.into()
}

fn checksum(key: &[u8], encoded: &[u8]) -> [u8; CRC_BYTES] {
    crc32c::crc32c_append(crc32c::crc32c(key), encoded).to_le_bytes()
}

/// The record of `group` under `key`, where there is one.
pub fn read<T: DeserializeOwned>(store: &dyn Store, group: GroupId, key: LogKey) -> io::Result<Option<T>> {
    let key = key.of(group);
    store.get(&key)?.map(|record| unseal(&key, &record)).transpose()
}

/// Adds a record of `group` to `batch`; returns its bytes.
pub fn put<T: Serialize>(batch: &mut Batch, group: GroupId, key: LogKey, value: &T) -> usize {
    let key = key.of(group);
    let record = seal(&key, value);
    let bytes = record.len();
    batch.put(key, record);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_changed_or_moved_record_is_found(
            value in prop::collection::vec(any::<u8>(), 0..100), at in any::<prop::sample::Index>(), bit in 0u8..8,
        ) {
            let record = seal(b"key", &value);
            prop_assert_eq!(unseal::<Vec<u8>>(b"key", &record).expect("intact"), value);
            prop_assert!(unseal::<Vec<u8>>(b"kez", &record).is_err());
            let mut changed = record.to_vec();
            let at = at.index(changed.len());
            changed[at] ^= 1 << bit;
            prop_assert!(unseal::<Vec<u8>>(b"key", &changed).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = unseal::<(u64, Vec<u8>)>(b"key", &bytes);
        }
    }
}
