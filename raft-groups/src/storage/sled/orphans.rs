//! Parts of large values that belong to no value: what a write leaves that a crash interrupted.
//!
//! Comes in: sled's tree. Goes out: the keys of such parts, which may then be removed. It reads everything once, so
//! damage anywhere in the tree is found as well.

use super::layout::{StoredValue, pair_key, part_of, read_stored};

/// Reads all of sled's tree once, and returns the keys of parts that belong to no value.
pub fn find_orphans(db: &sled::Db) -> sled::Result<Vec<Vec<u8>>> {
    let mut orphans = Vec::new();
    let (mut of, mut count) = (Vec::new(), 0);
    for pair in db.iter() {
        let (tree_key, _) = pair?;
        let Some((key, part)) = part_of(&tree_key) else { continue };
        if of != key || part == 0 {
            of = key.to_vec();
            count = match db.get(pair_key(key))?.as_deref().map(read_stored) {
                Some(Ok(StoredValue::Parts(count))) => count,
                // One that cannot be read is found where it is asked for.
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
