//! Checksums on everything that is stored: CRC32C (RFC 3720, appendix B.4) over the key and the bytes. So a record
//! under the wrong key is found, as well as one that was changed.
//!
//! ```text
//! version 1   checksum ^ MARK, u32 little-endian   version, u8   the value   bytes of a later release: skipped
//! version 0   checksum, u32 little-endian                        the value
//! ```
//! The checksum tells the two versions apart, so one directory may hold both.

use std::io;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::keys::LogKey;
use super::store::{KeyValueStore, WriteBatch};
use crate::GroupId;
use crate::mutants::{Mutant, is_planted};

/// Bytes of the checksum in front of a record.
const CRC_BYTES: usize = 4;
/// The version of the records that this release writes.
const VERSION: u8 = 1;
/// The checksum of a record with a version byte is XORed with this.
const MARK: u32 = u32::from_le_bytes(*b"QREC");

/// Encodes `value` as the record of `key`, with its checksum.
pub fn seal<T: Serialize>(key: &[u8], value: &T) -> Bytes {
    let encoded = postcard::to_extend(value, vec![0, 0, 0, 0, VERSION]).expect("plain data encodes");
    seal_bytes(key, encoded)
}

/// Returns the value in the record of `key`.
///
/// # Errors
/// `InvalidData` if the record is not what this release or an earlier one wrote under this key. `Unsupported` if a
/// later release wrote it.
pub fn unseal<T: DeserializeOwned>(key: &[u8], record: &[u8]) -> io::Result<T> {
    let damaged = |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("a record fails its check: {why}"));
    // The XOR of the stored and the computed checksum is 0 for version 0, and MARK for a record with a version byte.
    let (crc, encoded) = record.split_at_checked(CRC_BYTES).ok_or_else(|| damaged("too short"))?;
    let version = match crc.try_into().map(|crc| u32::from_le_bytes(crc) ^ checksum(key, encoded)) {
        Ok(0) => None,
        Ok(MARK) => encoded.first(),
        _ if is_planted(Mutant::TrustsDamage) => encoded.first(),
        _ => return Err(damaged("wrong checksum")),
    };
    let value = match version {
        None => encoded,
        Some(&VERSION) => &encoded[1..],
        Some(version) => {
            let newer = format!("a record of version {version} was written by a newer Quiver: upgrade this node");
            return Err(io::Error::new(io::ErrorKind::Unsupported, newer));
        }
    };
    postcard::take_from_bytes(value).map(|(value, _)| value).map_err(|error| damaged(&error.to_string()))
}

fn seal_bytes(key: &[u8], mut record: Vec<u8>) -> Bytes {
    let crc = checksum(key, &record[CRC_BYTES..]);
    record[..CRC_BYTES].copy_from_slice(&(crc ^ MARK).to_le_bytes());
    record.into()
}

fn checksum(key: &[u8], encoded: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), encoded)
}

/// Reads the record of `group` under `key`, if there is one.
///
/// # Errors
/// As [`unseal`], or an I/O error of the store.
pub fn read<T: DeserializeOwned>(store: &dyn KeyValueStore, group: GroupId, key: LogKey) -> io::Result<Option<T>> {
    let key = key.for_group(group);
    store.get(&key)?.map(|record| unseal(&key, &record)).transpose()
}

/// Adds a record of `group` to `batch`. Returns the number of its bytes.
pub fn put<T: Serialize>(batch: &mut WriteBatch, group: GroupId, key: LogKey, value: &T) -> usize {
    let key = key.for_group(group);
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
        fn a_record_of_before_versions_and_one_with_a_tail_are_read(value: (u64, Vec<u8>), tail: Vec<u8>) {
            let encoded = postcard::to_stdvec(&value).expect("encodes");
            let before = [&checksum(b"key", &encoded).to_le_bytes()[..], &encoded].concat();
            prop_assert_eq!(unseal::<(u64, Vec<u8>)>(b"key", &before).expect("is read"), value.clone());
            let longer = seal_bytes(b"key", [&[0, 0, 0, 0, VERSION][..], &encoded, &tail].concat());
            prop_assert_eq!(unseal::<(u64, Vec<u8>)>(b"key", &longer).expect("is read"), value);
            let newer = seal_bytes(b"key", [&[0, 0, 0, 0, VERSION + 1][..], &encoded].concat());
            let error = unseal::<(u64, Vec<u8>)>(b"key", &newer).expect_err("nobody knows what it says");
            prop_assert!(error.to_string().contains("newer Quiver"), "{}", error);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = unseal::<(u64, Vec<u8>)>(b"key", &bytes);
        }
    }
}
