//! Digests of one replica's state after certain log entries. Others compare them with their own.
//!
//! Replicas are never read at the same moment, and while a group takes writes they are rarely at the same index. So
//! each keeps the digests after every [`EVERY`]th entry, for the last [`KEPT`] of these, beside its present one. Two
//! replicas that are at most that far apart have a digest at the same index. An installed snapshot replaces the
//! state, and all digests with it. Nothing here is stored: a restart begins with the present state.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Entries between two digests that are kept.
const EVERY: u64 = 256;
/// Digests that are kept, beside the present one.
const KEPT: usize = 16;

/// The digests of one replica, by log index. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Digests(Arc<Mutex<KeptDigests>>);

/// Invariants, held by [`KeptDigests::check`]: `regular` has at most [`KEPT`] digests, each at a multiple of [`EVERY`].
#[derive(Debug, Default)]
struct KeptDigests {
    regular: BTreeMap<u64, u64>,
    present: Option<(u64, u64)>,
}

impl KeptDigests {
    /// Says which invariant does not hold, if one does not.
    fn check(&self) -> Result<(), String> {
        if self.regular.len() > KEPT {
            return Err(format!("{} digests are kept", self.regular.len()));
        }
        match self.regular.keys().find(|index| !Digests::is_due(**index)) {
            Some(index) => Err(format!("a digest at {index} that no other replica keeps")),
            None => Ok(()),
        }
    }
}

impl Digests {
    /// Returns `true` if the digest after the entry at `index` must be kept. It is the same on every replica.
    pub fn is_due(index: u64) -> bool {
        index.is_multiple_of(EVERY)
    }

    /// Keeps the digest of the state after the entry at `index`, which must be due.
    pub fn keep(&self, index: u64, digest: u64) {
        let mut kept = self.0.lock();
        kept.regular.insert(index, digest);
        if kept.regular.len() > KEPT {
            kept.regular.pop_first();
        }
        debug_assert_eq!(kept.check(), Ok(()));
    }

    /// Sets the digest of the present state, which is the state after the entry at `index`.
    pub fn set_present(&self, index: u64, digest: u64) {
        self.0.lock().present = Some((index, digest));
    }

    /// Replaces all digests by that of the present state. A new state was installed, so the kept ones belong to
    /// another.
    pub fn replace(&self, index: u64, digest: u64) {
        *self.0.lock() = KeptDigests { regular: BTreeMap::new(), present: Some((index, digest)) };
    }

    /// Returns all digests, keyed by log index.
    pub fn all(&self) -> BTreeMap<u64, u64> {
        let kept = self.0.lock();
        kept.regular.iter().map(|(index, digest)| (*index, *digest)).chain(kept.present).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_that_are_near_each_other_have_a_digest_in_common() {
        for apart in [0, 1, EVERY - 1, EVERY, EVERY * 10] {
            let (ahead, behind) = (Digests::default(), Digests::default());
            // One replica applies each entry some entries later than the other.
            for index in 1..=EVERY * 40 {
                for digests in [(index > apart).then_some(&behind), Some(&ahead)].into_iter().flatten() {
                    let index = if std::ptr::eq(digests, &behind) { index - apart } else { index };
                    if Digests::is_due(index) {
                        digests.keep(index, index * 7);
                    }
                    digests.set_present(index, index * 7);
                }
            }
            let (ahead, behind) = (ahead.all(), behind.all());
            assert!(ahead.len() <= KEPT + 1);
            assert!(behind.iter().any(|(index, digest)| ahead.get(index) == Some(digest)), "{apart} entries apart");
        }
    }

    #[test]
    fn an_installed_state_takes_the_place_of_all_that_was_kept() {
        let digests = Digests::default();
        digests.keep(EVERY, 1);
        digests.replace(EVERY * 9, 2);
        assert_eq!(digests.all(), BTreeMap::from([(EVERY * 9, 2)]));
    }
}
