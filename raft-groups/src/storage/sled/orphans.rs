//! Parts of large values that belong to no value. A write leaves them if a crash interrupts it.
//!
//! Comes in: sled's tree. Goes out: the keys of such parts, which the caller may remove. It reads everything once,
//! so damage anywhere in the tree is found as well.

use super::layout::{StoredValue, pair_key, part_of, read_stored};

/// Reads all of sled's tree once. Returns the tree keys of parts that belong to no value.
pub fn find_orphans(db: &sled::Db) -> sled::Result<Vec<Vec<u8>>> {
    let mut orphans = Vec::new();
    let (mut of, mut count) = (Vec::new(), 0);
    for pair in db.iter() {
        let (tree_key, _) = pair?;
        let Some((key, part)) = part_of(&tree_key) else { continue };
        // Parts are in key order, so the pair is read once for all parts of a value.
        if of != key || part == 0 {
            of = key.to_vec();
            count = match db.get(pair_key(key))?.as_deref().map(read_stored) {
                Some(Ok(StoredValue::Parts(count))) => count,
                // A value that cannot be read is reported when it is read. Its parts are kept.
                Some(Err(_)) => u32::MAX,
                Some(Ok(StoredValue::Whole(_))) | None => 0,
            };
        }
        if part >= count {
            orphans.push(tree_key.to_vec());
        }
    }
    Ok(orphans)
}
