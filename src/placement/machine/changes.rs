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
        let known = self.entries.get(&id).filter(|kept| now_ms <= kept.until_ms);
        match known.filter(|_| !is_planted(Mutant::RepeatsMapChanges)) {
            Some(kept) if kept.fingerprint == xxh3_128(change) => return Some(kept.reply.clone()),
            Some(_) => {
                let reason = "the request id was used before for another change of the map".to_owned();
                return Some(MetaReply::Refused { reason }.encode());
            }
            None => {}
        }
        if lifetime.is_some_and(|lifetime| now_ms > lifetime.end_ms()) {
            return Some(MetaReply::Expired.encode());
        }
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

    fn remove(&mut self, id: RequestId) {
        if let Some(kept) = self.entries.remove(&id) {
            self.by_end.remove(&(kept.until_ms, id));
            self.digest = self.digest.wrapping_sub(hash(id, &kept));
        }
    }
}

fn hash(id: RequestId, kept: &KeptChange) -> u64 {
    xxh3_64(&machine::bytes_of(&(id, kept)))
}
