//! How pairs are stored in sled's one tree. A large value is stored in parts beside its pair. A large write has a
//! record.
//!
//! ```text
//! 0 | key                       a pair: WHOLE | value, or PARTED | number of parts, u32
//! 1 | length of key | key | n   part n of the value of key
//! 2                             the redo record of a large write, PARTED, while one is under way
//! 2 | n                         part n of that record
//! ```
//! Numbers are u32 and big-endian. There is one tree, because sled's batches are atomic only within a tree.

use std::io;

use crate::storage::store::EDIT_WEIGHT;

/// Largest value, in bytes, that sled gets in one piece. sled writes a page of up to 17 values (21 after a merge) as
/// one record, which must stay below a quarter of its 512 KiB segments.
pub const PART_BYTES: usize = 4096;
// A page of the largest values, after a merge, stays below a quarter segment.
const _: () = assert!(21 * PART_BYTES < 512 * 1024 / 4);
const WHOLE: u8 = 0;
const PARTED: u8 = 1;
const PAIRS: u8 = 0;
const PARTS: u8 = 1;
const REDO: u8 = 2;

/// One change of the tree: a key of the tree and its value. `None` removes.
pub type Edit = (Vec<u8>, Option<Vec<u8>>);

/// The changes of a batch, grouped by when they may be made.
#[derive(Default)]
pub struct Edits {
    /// New parts, which no pair has yet. Nobody sees them.
    pub ahead: Vec<Edit>,
    /// Changes that must be atomic.
    pub now: Vec<Edit>,
    /// Removals of parts that no pair has any more.
    pub behind: Vec<Edit>,
}

impl Edits {
    /// Returns all edits.
    pub fn all(&self) -> impl Iterator<Item = &Edit> {
        self.ahead.iter().chain(&self.now).chain(&self.behind)
    }

    /// Returns all edits, for one batch.
    pub fn into_one(self) -> Vec<Edit> {
        let Self { mut ahead, mut now, mut behind } = self;
        ahead.append(&mut now);
        ahead.append(&mut behind);
        ahead
    }
}

/// The value of a stored pair, or where it lies.
pub enum StoredValue<'a> {
    /// The value itself.
    Whole(&'a [u8]),
    /// The number of parts in which the value lies.
    Parts(u32),
}

/// Returns the tree key of a pair.
pub fn pair_key(key: &[u8]) -> Vec<u8> {
    [&[PAIRS], key].concat()
}

/// Returns the tree key of a part of a pair's value.
pub fn part_key(key: &[u8], part: u32) -> Vec<u8> {
    // The length separates the parts of one key from those of a longer key that begins with it.
    let length = u32::try_from(key.len()).expect("keys are a few dozen bytes").to_be_bytes();
    [&[PARTS], &length[..], key, &part.to_be_bytes()].concat()
}

/// Returns `true` if a tree key is that of a part, of a value or of the redo record.
pub fn is_part(key: &[u8]) -> bool {
    key.first() != Some(&PAIRS)
}

/// Returns the tree key of the redo record's head.
pub fn redo_key() -> Vec<u8> {
    vec![REDO]
}

/// Returns the tree key of a part of the redo record.
pub fn redo_part_key(part: u32) -> Vec<u8> {
    [&[REDO][..], &part.to_be_bytes()].concat()
}

/// Returns the pair's key and the number of the part at `tree_key`; `None` if it is no part of a pair's value.
pub fn part_of(tree_key: &[u8]) -> Option<(&[u8], u32)> {
    let (&[PARTS], rest) = tree_key.split_first_chunk()? else { return None };
    let (length, rest) = rest.split_first_chunk()?;
    let (key, part) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((key, u32::from_be_bytes(part.try_into().ok()?)))
}

/// Returns what is stored for a value that fits into one piece.
pub fn whole(value: &[u8]) -> Vec<u8> {
    [&[WHOLE], value].concat()
}

/// Returns what is stored for a value in `count` parts.
pub fn parted(count: u32) -> Vec<u8> {
    [&[PARTED], &count.to_be_bytes()[..]].concat()
}

/// Reads what [`whole`] or [`parted`] made.
///
/// # Errors
/// `InvalidData` if neither made it.
pub fn read_stored(stored: &[u8]) -> io::Result<StoredValue<'_>> {
    match stored.split_first() {
        Some((&WHOLE, value)) => Ok(StoredValue::Whole(value)),
        Some((&PARTED, count)) => {
            let count = count.try_into().map_err(|_| invalid("part count"))?;
            Ok(StoredValue::Parts(u32::from_be_bytes(count)))
        }
        _ => Err(invalid("value header")),
    }
}

/// Returns the edits that store a large value's parts under the keys of `key_of`, and how many there are.
pub fn parts_of(value: &[u8], key_of: impl Fn(u32) -> Vec<u8>) -> (Vec<Edit>, u32) {
    let edits: Vec<_> = (0..).zip(value.chunks(PART_BYTES)).map(|(n, part)| (key_of(n), Some(part.to_vec()))).collect();
    let count = u32::try_from(edits.len()).expect("a value of less than 16 TiB");
    (edits, count)
}

/// Returns about how much the store writes for the edits, in bytes.
pub fn weight(edits: &[Edit]) -> usize {
    let weight_of = |(key, value): &Edit| key.len() + value.as_ref().map_or(0, Vec::len) + EDIT_WEIGHT;
    edits.iter().map(weight_of).sum()
}

/// Returns the error for bytes that sled holds and this code did not write.
pub fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("sled returned a bad {what}"))
}
