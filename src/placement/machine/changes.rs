//! Which changes of the map were carried out under which request id, with what was answered: a call that lost an answer
//! asks again, and must not create anew what was dropped since, or begin an operation twice.
//!
//! As in the shards, a request is remembered until no copy of it may be carried out any more, by the group's own time,
//! and a copy that comes later is refused. Pure; what is kept is a record for each request.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use raft_groups::mutants::{Mutant, is_planted};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::engine::{Lifetime, RequestId};
use crate::model::limits::REMEMBERED_MS;
use crate::placement::{MetaReply, machine};

/// Changes that are remembered at once; beyond, none is taken until some may be forgotten.
pub const MAX_REMEMBERED_CHANGES: usize = 8_192;

/// Changes forgotten with one command: more than it adds, and little work.
const MAX_FORGOTTEN_AT_ONCE: usize = 16;

/// What is kept of a change, also as its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::placement) struct KeptChange {
    /// The last moment of the group's time at which it is remembered.
    until_ms: u64,
    fingerprint: u128,
    /// As it was encoded.
    reply: Bytes,
}

/// All changes that are remembered.
///
/// Invariants; how many there are is held after each change, all else by [`KeptChanges::check`]:
/// 1. `by_end` has one pair for each change: the end of its memory, and its id.
/// 2. `digest` is the sum of the hashes of all.
#[derive(Debug, Default)]
pub(in crate::placement) struct KeptChanges {
    entries: BTreeMap<RequestId, KeptChange>,
    by_end: BTreeSet<(u64, RequestId)>,
    /// Wrapping sum of the hashes of all records.
    digest: u64,
}

impl KeptChanges {
    /// What to answer a change without carrying it out: what it was answered before, or why it is refused.
    pub(in crate::placement) fn answer(
        &self,
        id: RequestId,
        change: &[u8],
        lifetime: Option<Lifetime>,
        now_ms: u64,
    ) -> Option<Bytes> {
        // What is remembered comes first: a repetition is answered, however late it is.
        let known = self.entries.get(&id).filter(|kept| now_ms <= kept.until_ms);
        match known.filter(|_| !is_planted(Mutant::RepeatsMapChanges)) {
            Some(kept) if kept.fingerprint == xxh3_128(change) => return Some(kept.reply.clone()),
            Some(_) => {
                let reason = "the request id was used before for another change of the map".to_owned();
                return Some(MetaReply::Refused { reason }.encode());
            }
            None => {}
        }
        // What an earlier copy did may be forgotten, so a late one is not carried out.
        if lifetime.is_some_and(|lifetime| now_ms > lifetime.end_ms()) {
            return Some(MetaReply::Expired.encode());
        }
        // A change that cannot be remembered is refused: its copy would be carried out again.
        let limit = MAX_REMEMBERED_CHANGES as u64;
        (self.entries.len() >= MAX_REMEMBERED_CHANGES).then(|| MetaReply::TooManyChanges { limit }.encode())
    }

    /// Remembers what a change was answered at the time `now_ms`; what is kept of it.
    pub(in crate::placement) fn remember(
        &mut self,
        id: RequestId,
        change: &[u8],
        lifetime: Option<Lifetime>,
        now_ms: u64,
        reply: Bytes,
    ) -> KeptChange {
        // Until no copy of it may be carried out any more.
        let until_ms = lifetime.map_or(now_ms.saturating_add(REMEMBERED_MS), |lifetime| lifetime.end_ms());
        let kept = KeptChange { until_ms, fingerprint: xxh3_128(change), reply };
        self.insert(id, kept.clone());
        kept
    }

    /// Takes a change in, instead of what the id meant before.
    pub(in crate::placement) fn insert(&mut self, id: RequestId, kept: KeptChange) {
        self.remove(id);
        self.digest = self.digest.wrapping_add(hash(id, &kept));
        self.by_end.insert((kept.until_ms, id));
        self.entries.insert(id, kept);
        debug_assert_eq!(self.entries.len(), self.by_end.len());
    }

    /// Forgets what is due at the time `now_ms`, some of it at a time: which.
    pub(in crate::placement) fn forget_due(&mut self, now_ms: u64) -> Vec<RequestId> {
        let due = self.by_end.iter().take_while(|(until_ms, _)| *until_ms < now_ms);
        let due: Vec<RequestId> = due.map(|(_, id)| *id).take(MAX_FORGOTTEN_AT_ONCE).collect();
        due.iter().for_each(|id| self.remove(*id));
        due
    }

    /// The same for the same changes.
    pub(in crate::placement) fn digest(&self) -> u64 {
        self.digest
    }

    /// Says which invariant does not hold, if one does not. Looks at every change.
    pub(in crate::placement) fn check(&self) -> Result<(), String> {
        let ends = |(id, kept): (&RequestId, &KeptChange)| self.by_end.contains(&(kept.until_ms, *id));
        if self.entries.len() != self.by_end.len() || !self.entries.iter().all(ends) {
            return Err(format!("{} changes are kept, {} ends of others", self.entries.len(), self.by_end.len()));
        }
        let digest = self.entries.iter().fold(0_u64, |sum, (id, kept)| sum.wrapping_add(hash(*id, kept)));
        if digest != self.digest {
            return Err(format!("the changes' hashes add up to {digest:016x}, not to {:016x}", self.digest));
        }
        Ok(())
    }

    fn remove(&mut self, id: RequestId) {
        if let Some(kept) = self.entries.remove(&id) {
            self.by_end.remove(&(kept.until_ms, id));
            self.digest = self.digest.wrapping_sub(hash(id, &kept));
        }
        debug_assert_eq!(self.entries.len(), self.by_end.len());
    }
}

fn hash(id: RequestId, kept: &KeptChange) -> u64 {
    xxh3_64(&machine::bytes_of(&(id, kept)))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_broken_invariant_is_found() {
        let kept = || {
            let mut kept = KeptChanges::default();
            for number in 1..4 {
                kept.remember(RequestId(Uuid::from_u128(number)), b"change", None, 7, Bytes::from_static(b"reply"));
            }
            kept
        };
        assert_eq!(kept().check(), Ok(()));
        let mut ends = kept();
        ends.by_end.pop_first();
        assert_eq!(ends.check(), Err("3 changes are kept, 2 ends of others".to_owned()));
        let mut digest = kept();
        digest.digest += 1;
        assert!(digest.check().is_err_and(|broken| broken.starts_with("the changes' hashes add up to")));
    }
}
