//! Erasing a range of keys, a page at a time, so that other writes come in between.
//!
//! Comes in: a range of keys. Goes out: nothing of it is left, though it is not durable yet that it is gone.

use std::io;
use std::ops::ControlFlow;

use super::store::{KeyValueStore, WriteBatch};
use super::syncer::Syncer;

/// Bytes of a page, about: one chunk of a snapshot, one step of an erasure.
pub const PAGE_BYTES: usize = 128 * 1024;

/// Erases the keys from the first of the two up to the second, page by page; not durable yet.
pub async fn erase_range(
    store: &dyn KeyValueStore,
    syncer: &Syncer,
    (mut from, to): (Vec<u8>, Vec<u8>),
) -> io::Result<()> {
    while from < to {
        let mut batch = WriteBatch::default();
        let mut bytes = 0;
        let mut visit = |key: &[u8], value: &[u8]| {
            bytes += key.len() + value.len();
            batch.delete(key.to_vec());
            if bytes < PAGE_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        store.scan(&from, &to, &mut visit)?;
        let Some((last, _)) = batch.edits.last() else { return Ok(()) };
        from = last.clone();
        syncer.carry_out(batch, false).await?;
    }
    Ok(())
}
