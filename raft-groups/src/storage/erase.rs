//! Erases a range of keys, a page at a time, so other writes can come in between.
//!
//! Comes in: a range of keys. Goes out: a store without them. The erasure is not durable yet.

use std::io;
use std::ops::ControlFlow;

use super::store::{KeyValueStore, WriteBatch};
use super::syncer::Syncer;

/// Bytes of a page, about. A page is one chunk of a snapshot, or one step of an erasure.
pub const PAGE_BYTES: usize = 128 * 1024;

/// Erases the keys `from <= key < to`, page by page. It is not durable yet.
///
/// # Errors
/// An I/O error of the store. Some pages may be erased.
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
        // The next scan begins at the last key again, which is gone by then.
        from = last.clone();
        syncer.carry_out(batch, false).await?;
    }
    Ok(())
}
