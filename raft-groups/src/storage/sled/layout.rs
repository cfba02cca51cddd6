//! How pairs lie in sled's one tree: a value of some size in parts beside its pair, and the record of a large write.
//!
//! ```text
//! 0 | key                       a pair: WHOLE | value, or PARTED | number of parts, u32
//! 1 | length of key | key | n   part n of the value of key
//! 2                             the redo record of a large write, PARTED, where one is under way
//! 2 | n                         part n of that record
//! ```
//! Numbers are u32 and big-endian. One tree, because a batch of sled's is atomic within a tree.

use std::io;

use crate::storage::store::EDIT_WEIGHT;

/// Largest value sled is given in one piece, in bytes. sled writes a page of up to 17 values (21 after a merge) as one
/// record, which must stay below a quarter of its 512 KiB segments.
pub const PART_BYTES: usize = 4096;
// A page after a merge, of the largest values.
const _: () = assert!(21 * PART_BYTES < 512 * 1024 / 4);
const WHOLE: u8 = 0;
const PARTED: u8 = 1;
const PAIRS: u8 = 0;
const PARTS: u8 = 1;
const REDO: u8 = 2;

/// One change of the tree; `None` removes.
pub type Edit = (Vec<u8>, Option<Vec<u8>>);

/// What a batch changes, by when it may be done.
#[derive(Default)]
pub struct Edits {
    /// Parts that no pair has yet: nobody sees them.
    pub ahead: Vec<Edit>,
    /// What must be there as one.
    pub now: Vec<Edit>,
    /// Parts that no pair has any more: nobody misses them.
    pub behind: Vec<Edit>,
}

impl Edits {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Edit> {
        self.ahead.iter().chain(&self.now).chain(&self.behind)
    }

    /// All of them, to be done as one.
    pub fn into_one(self) -> Vec<Edit> {
        let Self { mut ahead, mut now, mut behind } = self;
        ahead.append(&mut now);
        ahead.append(&mut behind);
        ahead
    }
}

/// What a stored pair says of its value.
pub enum StoredValue<'a> {
    /// It is here.
    Whole(&'a [u8]),
    /// It lies in so many parts.
    Parts(u32),
}

/// Where a pair lies.
pub fn pair_key(key: &[u8]) -> Vec<u8> {
    [&[PAIRS], key].concat()
}

/// Where a part of a pair's value lies.
pub fn part_key(key: &[u8], part: u32) -> Vec<u8> {
    // The length keeps the parts of one key apart from those of a key it is a prefix of.
    let length = u32::try_from(key.len()).expect("keys are a few dozen bytes").to_be_bytes();
    [&[PARTS], &length[..], key, &part.to_be_bytes()].concat()
}

/// Returns `true` if a part of some value lies there.
pub fn is_part(key: &[u8]) -> bool {
    key.first() != Some(&PAIRS)
}

/// Where the redo record lies.
pub fn redo_key() -> Vec<u8> {
    vec![REDO]
}

/// Where a part of the redo record lies.
pub fn redo_part_key(part: u32) -> Vec<u8> {
    [&[REDO][..], &part.to_be_bytes()].concat()
}

/// Whose part lies there, and which; `None` where it is no part of a pair's value.
pub fn part_of(tree_key: &[u8]) -> Option<(&[u8], u32)> {
    let (&[PARTS], rest) = tree_key.split_first_chunk()? else { return None };
    let (length, rest) = rest.split_first_chunk()?;
    let (key, part) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((key, u32::from_be_bytes(part.try_into().ok()?)))
}

/// What is stored for a value that fits one piece.
pub fn whole(value: &[u8]) -> Vec<u8> {
    [&[WHOLE], value].concat()
}

/// What is stored for a value in so many parts.
pub fn parted(count: u32) -> Vec<u8> {
    [&[PARTED], &count.to_be_bytes()[..]].concat()
}

/// Reads what [`whole`] or [`parted`] made.
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

/// The edits that store a large value's parts under keys that `key_of` gives, and how many there are.
pub fn parts_of(value: &[u8], key_of: impl Fn(u32) -> Vec<u8>) -> (Vec<Edit>, u32) {
    let edits: Vec<_> = (0..).zip(value.chunks(PART_BYTES)).map(|(n, part)| (key_of(n), Some(part.to_vec()))).collect();
    let count = u32::try_from(edits.len()).expect("a value of less than 16 TiB");
    (edits, count)
}

/// About what it takes to write the edits, in bytes.
pub fn weight(edits: &[Edit]) -> usize {
    let weight_of = |(key, value): &Edit| key.len() + value.as_ref().map_or(0, Vec::len) + EDIT_WEIGHT;
    edits.iter().map(weight_of).sum()
}

/// An error for bytes that sled holds and this code did not write.
pub fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("sled returned a bad {what}"))
}
