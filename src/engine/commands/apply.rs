//! What each command does to the state. Deterministic: nothing but the state, the position and the command decides.
//!
//! A command is looked at first, while searches go on, and becomes an [`StateChange`] or a refusal; then the action, which
//! cannot fail, is carried out in one step that no search sees half of.

use std::sync::Arc;

use super::command::{Command, Selector, Slice};
use super::entry::{Entry, Lifetime, MadeBy};
use super::reply::{Progress, Refusal, Reply};
use super::validate::{batch_size, validate, validate_config, validate_ids};
use super::version_condition::expect_version;
use crate::engine::collection::CollectionConfig;
use crate::engine::deletion::{Sliced, decide_slice};
use crate::engine::ids::{CollectionId, RequestId};
use crate::engine::payload_index::PayloadSchema;
use crate::engine::point::PointWrite;
use crate::engine::queries::read::matching;
use crate::engine::queries::work_meter::Meter;
use crate::engine::state::{
    Kept, Prepared, PreparedSchema, Remembered, RequestOutcome, State, fingerprint, is_too_late, remembered_until,
};
use crate::model::PointId;
use crate::model::limits::MAX_REMEMBERED_REQUESTS;
use raft_groups::Changes;
use raft_groups::mutants::{Mutant, is_planted};

/// What a command comes to: a change, what to remember of it, and the reply.
pub(in crate::engine) struct ApplyPlan {
    action: StateChange,
    remember: Option<(RequestId, Kept)>,
    /// The shard's time from now on.
    time_ms: u64,
    pub(in crate::engine) reply: Reply,
}

enum StateChange {
    Nothing,
    Create(CollectionId, CollectionConfig),
    Drop(CollectionId),
    Upsert(CollectionId, Vec<Prepared>),
    Delete(CollectionId, Vec<PointId>),
    SetSchema(CollectionId, PreparedSchema),
    Retire(CollectionId, CollectionId),
}

/// Decides what the entry at log index `index` does.
pub(in crate::engine) fn plan(state: &State, index: u64, entry: &[u8]) -> ApplyPlan {
    let refused = |time_ms, reason: String| {
        let reply = Reply::Refused(Refusal::Undecodable { reason });
        ApplyPlan { action: StateChange::Nothing, remember: None, time_ms, reply }
    };
    // Bytes that say nothing are refused alike on every replica, and the group goes on.
    let entry = match Entry::decode(entry) {
        Ok(entry) => entry,
        Err(error) => return refused(state.time_ms, error.to_string()),
    };
    // The shard's time never goes back, whatever a leader's clock says.
    let time_ms = state.time_ms.max(entry.time_ms);
    let command = match Command::decode(entry.command) {
        Ok(command) => command,
        Err(error) => return refused(time_ms, error.to_string()),
    };
    // Bugs for the tests of the net under this.
    let deletes = matches!(command, Command::Delete { .. });
    let planted = is_planted(Mutant::PanicsDeciding) || deletes && is_planted(Mutant::PanicsOnDeletes);
    assert!(!planted, "a planted bug");
    // A slice finds its request remembered by design, so it is no repetition.
    if let Command::DeleteSlice { collection, request, slice } = command {
        return sliced(state, (index, time_ms), collection, request, slice);
    }
    // A command without a name cannot be told from its repetition: each copy is carried out.
    match command.request() {
        Some(id) => once(state, index, NamedCommand { id, entry, time_ms }, command),
        None => {
            let (action, reply) = decided(state, index, command);
            ApplyPlan { action, remember: None, time_ms, reply }
        }
    }
}

/// Decides what a slice of a deletion does.
fn sliced(state: &State, at: (u64, u64), collection: CollectionId, request: RequestId, slice: Slice) -> ApplyPlan {
    let (_, time_ms) = at;
    match decide_slice(state, at, collection, request, slice) {
        Ok(Sliced { ids, keep, reply }) => {
            let remember = keep.map(|kept| (request, kept));
            ApplyPlan { action: StateChange::Delete(collection, ids), remember, time_ms, reply }
        }
        // A refused slice leaves what is remembered of the deletion as it is, so another can go on.
        Err(refusal) => {
            ApplyPlan { action: StateChange::Nothing, remember: None, time_ms, reply: Reply::Refused(refusal) }
        }
    }
}

/// What is known of a command that has a name.
struct NamedCommand<'a> {
    id: RequestId,
    entry: Entry<'a>,
    time_ms: u64,
}

/// Decides what a named command does. One that is remembered is answered as before. One that comes so late that it may
/// be forgotten is refused. Any other does what it says.
fn once(state: &State, index: u64, named: NamedCommand<'_>, command: Command) -> ApplyPlan {
    let NamedCommand { id, entry: Entry { lifetime, command: encoded, .. }, time_ms } = named;
    let nothing = |reply| ApplyPlan { action: StateChange::Nothing, remember: None, time_ms, reply };
    let fingerprint = match &command {
        // That of the command which asked for it, as it was once applied itself.
        Command::BeginDeletion { fingerprint, .. } => *fingerprint,
        _ => fingerprint(encoded),
    };
    // What is remembered comes first: a repetition is answered, however late it is.
    match state.requests.look_up(id, fingerprint, time_ms) {
        Some(Remembered::Same(kept)) => {
            let remember = outlasting(kept, lifetime).map(|kept| (id, kept));
            return ApplyPlan { remember, ..nothing(kept.outcome.reply(&command)) };
        }
        Some(Remembered::Reused) => return nothing(Reply::Refused(Refusal::RequestReused)),
        None if is_too_late(lifetime, time_ms) => return nothing(Reply::Refused(Refusal::RequestExpired)),
        None => {}
    }
    // Carried out only where it can be remembered, or the next copy would be carried out again.
    let made_by = lifetime.map_or(MadeBy::Client, |lifetime| lifetime.made_by);
    if state.requests.is_full(made_by) {
        let limit = MAX_REMEMBERED_REQUESTS as u64;
        return nothing(Reply::Refused(Refusal::TooManyRequestIds { limit }));
    }
    let (action, reply) = decided(state, index, command);
    // A refusal that may not come again is not remembered, so the next copy is decided anew.
    let remember = RequestOutcome::of(&reply, index).map(|outcome| {
        let until_ms = remembered_until(lifetime, time_ms);
        (id, Kept { until_ms, made_by, fingerprint, outcome })
    });
    ApplyPlan { action, remember, time_ms, reply }
}

/// What is to be kept of a request that has come again with a later end than it is remembered for.
fn outlasting(kept: &Kept, lifetime: Option<Lifetime>) -> Option<Kept> {
    let until_ms = lifetime.map(|lifetime| lifetime.end_ms()).filter(|end_ms| *end_ms > kept.until_ms)?;
    Some(Kept { until_ms, ..kept.clone() })
}

fn decided(state: &State, index: u64, command: Command) -> (StateChange, Reply) {
    decide(state, index, command).unwrap_or_else(|refusal| (StateChange::Nothing, Reply::Refused(refusal)))
}

impl ApplyPlan {
    /// What a command comes to where deciding it failed.
    pub(in crate::engine) fn undecided(state: &State) -> Self {
        let reply = Reply::Refused(Refusal::Undecided);
        Self { action: StateChange::Nothing, remember: None, time_ms: state.time_ms, reply }
    }

    /// The collection that carrying it out changes.
    pub(in crate::engine) fn touches(&self) -> Option<CollectionId> {
        match self.action {
            // Neither changes a collection that is here.
            StateChange::Nothing | StateChange::Retire(..) => None,
            StateChange::Create(collection, _)
            | StateChange::Drop(collection)
            | StateChange::Upsert(collection, _)
            | StateChange::Delete(collection, _)
            | StateChange::SetSchema(collection, _) => Some(collection),
        }
    }

    /// Carries the plan out; its reply.
    pub(in crate::engine) fn carry_out(self, state: &mut State, index: u64, changes: &mut Changes) -> Reply {
        // The change comes first. What is remembered of it and the index go out with the same changes, so all three
        // are stored or none is.
        match self.action {
            StateChange::Nothing => {}
            StateChange::Create(collection, config) => state.create(collection, config, changes),
            StateChange::Drop(collection) => state.drop_collection(collection, changes),
            StateChange::Upsert(collection, points) => state.upsert(collection, points, changes),
            StateChange::Delete(collection, ids) => state.delete(collection, &ids, changes),
            StateChange::SetSchema(collection, prepared) => state.set_schema(collection, prepared, changes),
            StateChange::Retire(first, last) => state.retire(first, last, changes),
        }
        if let Some((id, kept)) = self.remember {
            state.remember(id, kept, changes);
        }
        state.advance(index, self.time_ms, changes);
        self.reply
    }
}

fn decide(state: &State, index: u64, command: Command) -> Result<(StateChange, Reply), Refusal> {
    match command {
        Command::CreateCollection { collection, config } => create(state, collection, config),
        Command::DropCollection { collection } => Ok((StateChange::Drop(collection), Reply::Dropped)),
        Command::Upsert { collection, points, .. } => upsert(state, index, collection, points),
        Command::Delete { collection, selector, .. } => {
            let ids = select(state, collection, selector)?;
            let count = ids.len() as u64;
            Ok((StateChange::Delete(collection, ids), Reply::Deleted { count, version: index }))
        }
        Command::SetPayloadSchema { collection, version, schema } => set_schema(state, collection, version, schema),
        Command::RetireCollections { first, last } => retire(state, first, last),
        Command::BeginDeletion { collection, .. } => {
            // An unknown collection is refused here, before a leader looks for points.
            state.table(collection)?;
            let progress = Progress { begin: index, count: 0, from: None };
            Ok((StateChange::Nothing, Reply::from(progress)))
        }
        // Decided where its request is looked up.
        Command::DeleteSlice { .. } => Err(Refusal::RequestExpired),
    }
}

fn create(state: &State, collection: CollectionId, config: CollectionConfig) -> Result<(StateChange, Reply), Refusal> {
    validate_config(&config)?;
    match state.tables.get(&collection) {
        // A dropped number is never used again: a late copy of this command brings no collection back.
        None if state.dropped.contains(collection.0) && !is_planted(Mutant::ForgetsDrops) => {
            Err(Refusal::CollectionDropped { collection })
        }
        None => Ok((StateChange::Create(collection, config), Reply::Created)),
        Some(table) if *table.config() == config => Ok((StateChange::Nothing, Reply::Created)),
        Some(_) => Err(Refusal::CollectionDiffers { collection }),
    }
}

/// Only of collections that are not here: one that is, is dropped as one.
fn retire(state: &State, first: CollectionId, last: CollectionId) -> Result<(StateChange, Reply), Refusal> {
    if first > last {
        return Err(Refusal::invalid("last", "comes before the first"));
    }
    match state.tables.range(first..=last).next() {
        Some((collection, _)) => Err(Refusal::CollectionDiffers { collection: *collection }),
        None => Ok((StateChange::Retire(first, last), Reply::Dropped)),
    }
}

fn set_schema(
    state: &State,
    collection: CollectionId,
    version: u64,
    schema: PayloadSchema,
) -> Result<(StateChange, Reply), Refusal> {
    let table = state.table(collection)?;
    // Version 0 is that of a shard which was told nothing yet.
    if version <= table.schema_version() {
        return Ok((StateChange::Nothing, Reply::SchemaSet));
    }
    // The schema may be refused here, before anything is changed.
    let indexes = table.begin_indexes(&schema)?;
    Ok((StateChange::SetSchema(collection, PreparedSchema { version, schema, indexes }), Reply::SchemaSet))
}

fn upsert(
    state: &State,
    index: u64,
    collection: CollectionId,
    points: Vec<PointWrite>,
) -> Result<(StateChange, Reply), Refusal> {
    let table = state.table(collection)?;
    validate(table.config(), &points)?;
    // One mismatch refuses the whole batch, before anything is prepared.
    for (position, point) in points.iter().enumerate() {
        if let Some(expected) = point.if_version {
            expect_version(state, collection, position, point.id, expected)?;
        }
    }
    // Encoded and indexed here, beside the readers: carrying out only moves it in.
    let versions = points.iter().map(|point| (point.id, index)).collect();
    let prepare = |point: PointWrite| {
        let text = Arc::from(point.payload.into_text());
        let reindex = table.reindex(point.id, &text);
        Prepared::new(collection, point.id, index, text, point.vectors, reindex)
    };
    Ok((StateChange::Upsert(collection, points.into_iter().map(prepare).collect()), Reply::Upserted(versions)))
}

/// The points that exist and that a deletion means.
fn select(state: &State, collection: CollectionId, selector: Selector) -> Result<Vec<PointId>, Refusal> {
    let table = state.table(collection)?;
    let exists = |id: &PointId| table.version(*id) != 0;
    match selector {
        Selector::Ids(mut ids) => {
            batch_size("ids", ids.len())?;
            // An id that is named twice is deleted, and counted, once.
            ids.sort_unstable();
            ids.dedup();
            Ok(ids.into_iter().filter(exists).collect())
        }
        // Each named version must be the one that is there, or nothing goes.
        Selector::Guarded(guarded) => {
            validate_ids(guarded.iter().map(|(id, _)| *id))?;
            for (position, (id, expected)) in guarded.iter().enumerate() {
                expect_version(state, collection, position, *id, *expected)?;
            }
            Ok(guarded.into_iter().map(|(id, _)| id).filter(exists).collect())
        }
        // Only logs of older releases have a filter here. A leader proposes slices of ids instead.
        Selector::Filter(filter) => Ok(matching(table, Some(&filter), None, usize::MAX, &Meter::unlimited())
            .map(|(_, point)| point.id)
            .collect()),
    }
}
