//! Checks that the stores which a node opens are its own.
//!
//! Comes in: the two stores and the node's identity. Goes out: an error if they belong to another node, or if a log
//! that must exist is gone. Each store has its owner's identity in a record of its own.

use super::disk::Stores;
use super::keys;
use super::record::{seal, unseal};
use super::store::{KeyValueStore, WriteBatch};
use crate::error::damaged;
use crate::{Identity, NodeId, OpenError};

/// Checks the owner in both stores, and writes the node's identity into them. It may be missing in the state store,
/// because a damaged one is set aside. Returns `true` if either store had an owner before.
///
/// # Errors
/// [`OpenError::Damaged`] if a store belongs to another node, or the log store has no owner although `is_new` is
/// `false`. [`OpenError::Io`] if a store fails.
pub(crate) async fn claim_stores(stores: &Stores, identity: Identity, is_new: bool) -> Result<bool, OpenError> {
    let Identity { cluster, node, incarnation, .. } = identity;
    let key = keys::identity();
    let is_mine = |what: &str, store: &dyn KeyValueStore| {
        let io_error = |source| OpenError::Io { what: what.to_owned(), source };
        let Some(record) = store.get(&key).map_err(io_error)? else { return Ok(false) };
        let owner = unseal::<([u8; 16], NodeId, [u8; 16])>(&key, &record);
        if owner.map_err(|error| damaged(what.to_owned(), &error.to_string()))? == (cluster, node, incarnation) {
            return Ok(true);
        }
        Err(damaged(what.to_owned(), "it belongs to another node or another life of this one"))
    };
    let (log, state) = (is_mine("the log store", &*stores.log)?, is_mine("the state store", &*stores.state)?);
    // Without its log the node has forgotten its votes, so it must not start as if it were new.
    if !log && !is_new {
        return Err(damaged("the log store".to_owned(), "it is empty although this node has run before"));
    }
    // Durable in both before anything else is written.
    for syncer in [&stores.log_syncer, &stores.state_syncer] {
        let mut batch = WriteBatch::default();
        batch.put(key.clone(), seal(&key, &(cluster, node, incarnation)));
        let claimed = syncer.carry_out(batch, true).await;
        claimed.map_err(|source| OpenError::Io { what: "the stores".to_owned(), source })?;
    }
    Ok(log || state)
}
