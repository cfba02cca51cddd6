//! Which requests a shard has carried out, so that a repeated one is answered and not carried out again.
//!
//! A request is remembered by the shard's own time ([`Entry::time_ms`](crate::engine::Entry::time_ms)), and forgotten for
//! no other reason: one that a client named for [`REMEMBERED_MS`], one that a gateway named until no copy of it may be applied any
//! more. A copy that comes after its [`Lifetime`] is refused. So for each copy of a write one of both holds: what came of
//! it is remembered, or it is refused.

use std::collections::{BTreeMap, BTreeSet};

use raft_groups::mutants::{Mutant, is_planted};
use xxhash_rust::xxh3::xxh3_128;

use super::outcome::Kept;
use super::record::RecordKey;
use crate::engine::commands::entry::{Lifetime, MadeBy};
use crate::engine::ids::RequestId;
use crate::model::limits::{MAX_FORGOTTEN_AT_ONCE, MAX_REMEMBERED_REQUESTS, REMEMBERED_MS};

/// What is known of a request id.
#[derive(Debug, PartialEq)]
pub(in crate::engine) enum Remembered<'a> {
    /// It was used for this very command.
    Same(&'a Kept),
    /// It was used for another.
    Reused,
}

/// The table of remembered requests. Every replica forgets the same at the same command.
///
/// Invariants; how many there are is held after each change, all else by [`Requests::check`]:
/// 1. `by_end` has one pair for each request: the end of its memory, and its id.
/// 2. `of_gateways` counts the requests that gateways have named.
#[derive(Debug, Default)]
pub(in crate::engine) struct Requests {
    entries: BTreeMap<RequestId, RememberedRequest>,
    by_end: BTreeSet<(u64, RequestId)>,
    /// How many of them gateways have named.
    of_gateways: usize,
}

#[derive(Debug)]
struct RememberedRequest {
    kept: Kept,
    hash: u64,
    /// Where its record is.
    key: RecordKind,
}

/// Which of the two kinds of records holds a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordKind {
    /// The kind that knows no time.
    Timeless,
    /// The kind that is written now.
    Timed,
}

/// A request that is not remembered any more: its record's key, and the record's part of the digest.
pub(super) struct Forgotten {
    pub(super) key: RecordKey,
    pub(super) hash: u64,
}

/// A command's fingerprint, from its encoded form.
pub(in crate::engine) fn fingerprint(command: &[u8]) -> u128 {
    xxh3_128(command)
}

/// Whether a write comes later than it may, at the time `now_ms`.
pub(in crate::engine) fn is_too_late(lifetime: Option<Lifetime>, now_ms: u64) -> bool {
    lifetime.is_some_and(|lifetime| now_ms > lifetime.end_ms()) && !is_planted(Mutant::TakesLateCopies)
}

/// Until when a request that is carried out at `now_ms` is remembered.
pub(in crate::engine) fn remembered_until(lifetime: Option<Lifetime>, now_ms: u64) -> u64 {
    let from_now = now_ms.saturating_add(if is_planted(Mutant::ForgetsEarly) { 1_000 } else { REMEMBERED_MS });
    match lifetime {
        _ if is_planted(Mutant::ForgetsEarly) => from_now,
        Some(lifetime) if lifetime.made_by == MadeBy::Gateway => lifetime.end_ms(),
        Some(lifetime) => from_now.max(lifetime.end_ms()),
        None => from_now,
    }
}

impl Requests {
    /// What is known of `id` at the time `now_ms`.
    pub(in crate::engine) fn look_up(&self, id: RequestId, fingerprint: u128, now_ms: u64) -> Option<Remembered<'_>> {
        let entry = self.entries.get(&id).filter(|entry| now_ms <= entry.kept.until_ms);
        let kept = &entry.filter(|_| !is_planted(Mutant::RepeatsRequests))?.kept;
        Some(if kept.fingerprint == fingerprint { Remembered::Same(kept) } else { Remembered::Reused })
    }

    /// What is remembered of `id` at the time `now_ms`, whatever it was used for.
    pub(in crate::engine) fn find(&self, id: RequestId, now_ms: u64) -> Option<&Kept> {
        self.entries.get(&id).map(|entry| &entry.kept).filter(|kept| now_ms <= kept.until_ms)
    }

    /// Whether no new id of this kind can be remembered.
    pub(in crate::engine) fn is_full(&self, made_by: MadeBy) -> bool {
        let count = match made_by {
            MadeBy::Gateway => self.of_gateways,
            MadeBy::Client => self.entries.len() - self.of_gateways,
        };
        count >= MAX_REMEMBERED_REQUESTS && !is_planted(Mutant::RemembersWithoutEnd)
    }

    /// Takes a request in; the one that the id meant before, if any.
    pub(super) fn insert(&mut self, id: RequestId, kept: Kept, hash: u64, key: RecordKind) -> Option<Forgotten> {
        let replaced = self.remove(id);
        self.by_end.insert((kept.until_ms, id));
        self.of_gateways += usize::from(kept.made_by == MadeBy::Gateway);
        self.entries.insert(id, RememberedRequest { kept, hash, key });
        debug_assert!(self.is_counted());
        replaced
    }

    /// Forgets what is due at the time `now_ms`, some of it at a time.
    pub(super) fn forget_due(&mut self, now_ms: u64) -> Vec<Forgotten> {
        let due = self.by_end.iter().take_while(|(until_ms, _)| *until_ms < now_ms);
        let due: Vec<RequestId> = due.map(|(_, id)| *id).take(MAX_FORGOTTEN_AT_ONCE).collect();
        due.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    fn remove(&mut self, id: RequestId) -> Option<Forgotten> {
        let entry = self.entries.remove(&id)?;
        self.by_end.remove(&(entry.kept.until_ms, id));
        self.of_gateways -= usize::from(entry.kept.made_by == MadeBy::Gateway);
        let key = match entry.key {
            RecordKind::Timeless => RecordKey::Request(id),
            RecordKind::Timed => RecordKey::Remembered(id),
        };
        debug_assert!(self.is_counted());
        Some(Forgotten { key, hash: entry.hash })
    }

    /// Requests that are remembered.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Sum of the hashes of all records.
    pub(super) fn hash(&self) -> u64 {
        self.entries.values().fold(0, |sum, entry| sum.wrapping_add(entry.hash))
    }

    /// Returns `true` if as many requests end as there are, and no more of them are gateways'. Costs nothing.
    fn is_counted(&self) -> bool {
        self.entries.len() == self.by_end.len() && self.of_gateways <= self.entries.len()
    }

    /// Says which invariant does not hold, if one does not. Looks at every request.
    pub(super) fn check(&self) -> Result<(), String> {
        let ends = |(id, entry): (&RequestId, &RememberedRequest)| self.by_end.contains(&(entry.kept.until_ms, *id));
        let of_gateways = self.entries.values().filter(|entry| entry.kept.made_by == MadeBy::Gateway).count();
        if !self.is_counted() || !self.entries.iter().all(ends) {
            return Err(format!("{} requests are remembered, {} ends of others", self.len(), self.by_end.len()));
        }
        if self.of_gateways != of_gateways {
            return Err(format!("{of_gateways} requests are gateways', {} are counted", self.of_gateways));
        }
        Ok(())
    }

    pub(in crate::engine) fn memory_bytes(&self) -> usize {
        // Both trees, their nodes about two thirds full.
        self.entries.len() * (size_of::<(RequestId, RememberedRequest)>() + size_of::<(u64, RequestId)>()) * 3 / 2
    }
}

#[cfg(test)]
mod tests {
    use raft_groups::mutants::plant;
    use raft_groups::{Changes, MemoryState};
    use uuid::Uuid;

    use super::super::outcome::{RequestOutcome, StoredRequest};
    use super::super::record;
    use super::super::{State, rebuild};
    use super::*;
    use crate::engine::commands::apply::plan;
    use crate::engine::commands::command::Command;
    use crate::engine::commands::entry;
    use crate::engine::commands::reply::{Refusal, Reply};
    use crate::engine::graph_store::Setup;
    use crate::engine::ids::CollectionId;

    fn id(number: u128) -> RequestId {
        RequestId(Uuid::from_u128(number))
    }

    fn kept(until_ms: u64, made_by: MadeBy) -> Kept {
        Kept { until_ms, made_by, fingerprint: 7, outcome: RequestOutcome::Upserted { version: 1 } }
    }

    /// What a shard without collections says to a write of this name.
    fn said(state: &State, made_by: MadeBy, time_ms: u64) -> Reply {
        let command = Command::Upsert { collection: CollectionId(1), request: Some(id(u128::MAX)), points: Vec::new() };
        let lifetime = Some(Lifetime { made_by, born_ms: time_ms, lasts_ms: 1 });
        let entry = entry::Entry { time_ms, lifetime, command: &command.encode() }.encode();
        plan(state, 1, &entry).reply
    }

    #[test]
    fn a_shard_that_remembers_all_it_can_takes_no_new_id_of_that_kind_until_one_is_due() {
        let mut state = State::default();
        for number in 0..MAX_REMEMBERED_REQUESTS as u64 {
            let kept = kept(500 + number / 2, MadeBy::Client);
            state.requests.insert(id(number.into()), kept, 0, RecordKind::Timed);
        }
        let limit = MAX_REMEMBERED_REQUESTS as u64;
        let full = Reply::Refused(Refusal::TooManyRequestIds { limit });
        let looked_at = Reply::Refused(Refusal::CollectionNotFound { collection: CollectionId(1) });
        assert_eq!(said(&state, MadeBy::Client, 400), full);
        let planted = plant(Mutant::RemembersWithoutEnd);
        assert_eq!(said(&state, MadeBy::Client, 400), looked_at, "the bug is not planted");
        drop(planted);
        assert_eq!(said(&state, MadeBy::Gateway, 400), looked_at, "clients do not crowd gateways out");
        assert_eq!(state.requests.forget_due(500).len(), 0, "none is forgotten early");
        assert_eq!(state.requests.forget_due(501).len(), 2);
        assert_eq!(said(&state, MadeBy::Client, 501), looked_at);
        state.requests.insert(id(u128::MAX - 1), kept(900, MadeBy::Gateway), 0, RecordKind::Timed);
        assert_eq!(state.requests.of_gateways, 1);
        assert!(state.requests.remove(id(u128::MAX - 1)).is_some() && state.requests.of_gateways == 0);
    }

    #[test]
    fn what_an_older_release_remembered_is_remembered_from_the_first_moment_that_is_counted() {
        let (index, old) = (RecordKey::Index.encode(), RecordKey::Request(id(7)).encode());
        let stored = StoredRequest { sequence: 3, fingerprint: 7, outcome: RequestOutcome::Upserted { version: 4 } };
        let (mut records, mut changes) = (MemoryState::default(), Changes::default());
        changes.put(index.clone(), record::encode(&index, &9u64));
        changes.put(old.clone(), record::encode(&old, &stored));
        records.commit(&changes);
        let mut state = rebuild(&Setup::default(), &records).unwrap();
        assert_eq!((state.index, state.time_ms), (9, 0));
        assert!(matches!(state.requests.look_up(id(7), 7, REMEMBERED_MS), Some(Remembered::Same(_))));
        assert_eq!(state.requests.look_up(id(7), 8, REMEMBERED_MS), Some(Remembered::Reused));
        assert_eq!(state.requests.look_up(id(7), 7, REMEMBERED_MS + 1), None);
        let mut changes = Changes::default();
        state.advance(10, REMEMBERED_MS + 1, &mut changes);
        assert!(changes.iter().any(|(key, value)| key == old && value.is_none()), "its record goes too");
        assert_eq!(state.digest, 0);
    }

    type Break = fn(&mut Requests);

    #[test]
    fn every_broken_invariant_is_found() {
        let requests = || {
            let mut requests = Requests::default();
            requests.insert(id(1), kept(500, MadeBy::Client), 0, RecordKind::Timed);
            requests.insert(id(2), kept(600, MadeBy::Gateway), 0, RecordKind::Timed);
            requests
        };
        assert_eq!(requests().check(), Ok(()));
        let breaks: [(Break, &str); 3] = [
            (|requests| requests.by_end.clear(), "0 ends of others"),
            (|requests| requests.by_end = BTreeSet::from([(500, id(1)), (601, id(2))]), "2 ends of others"),
            (|requests| requests.of_gateways = 2, "1 requests are gateways', 2 are counted"),
        ];
        for (break_it, expected) in breaks {
            let mut requests = requests();
            break_it(&mut requests);
            assert!(requests.check().is_err_and(|broken| broken.contains(expected)), "{expected}");
        }
    }
}
