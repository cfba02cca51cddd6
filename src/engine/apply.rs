//! What each command does to the state. Deterministic: nothing but the state, the position and the command decides.
//!
//! A command is looked at first, while searches go on, and becomes an [`Action`] or a refusal; then the action, which
//! cannot fail, is carried out in one step that no search sees half of.

use super::collection::CollectionConfig;
use super::command::{Command, Selector};
use super::ids::{CollectionId, PointId, RequestId};
use super::payload_index::PayloadSchema;
use super::point::PointWrite;
use super::read::matching;
use super::reply::{Refusal, Reply};
use super::state::{Outcome, Prepared, PreparedSchema, Remembered, State, fingerprint};
use super::validate::{batch_size, validate, validate_config, validate_ids};
use raft_groups::Changes;

/// What a command comes to: a change, what to remember of it, and the reply.
pub(super) struct Plan {
    action: Action,
    remember: Option<(RequestId, u128, Outcome)>,
    pub(super) reply: Reply,
}

enum Action {
    Nothing,
    Create(CollectionId, CollectionConfig),
    Drop(CollectionId),
    Upsert(CollectionId, Vec<Prepared>),
    Delete(CollectionId, Vec<PointId>),
    SetSchema(CollectionId, PreparedSchema),
}

/// Decides what the encoded command at log index `index` does.
pub(super) fn plan(state: &State, index: u64, encoded: &[u8]) -> Plan {
    let command = match Command::decode(encoded) {
        Ok(command) => command,
        Err(error) => return Plan::nothing(Reply::Refused(Refusal::Undecodable { reason: error.to_string() })),
    };
    let request = command.request().map(|id| (id, fingerprint(encoded)));
    if let Some((id, fingerprint)) = request {
        match state.requests.look_up(id, fingerprint) {
            Some(Remembered::Same(outcome)) => return Plan::nothing(outcome.reply(&command)),
            Some(Remembered::Reused) => return Plan::nothing(Reply::Refused(Refusal::RequestReused)),
            None => {}
        }
    }
    let (action, reply) =
        decide(state, index, command).unwrap_or_else(|refusal| (Action::Nothing, Reply::Refused(refusal)));
    let remember = request.and_then(|(id, fingerprint)| Some((id, fingerprint, Outcome::of(&reply, index)?)));
    Plan { action, remember, reply }
}

impl Plan {
    fn nothing(reply: Reply) -> Self {
        Self { action: Action::Nothing, remember: None, reply }
    }

    /// The collection that carrying it out changes.
    pub(super) fn touches(&self) -> Option<CollectionId> {
        match self.action {
            Action::Nothing => None,
            Action::Create(collection, _)
            | Action::Drop(collection)
            | Action::Upsert(collection, _)
            | Action::Delete(collection, _)
            | Action::SetSchema(collection, _) => Some(collection),
        }
    }

    /// Carries the plan out; its reply.
    pub(super) fn carry_out(self, state: &mut State, index: u64, changes: &mut Changes) -> Reply {
        match self.action {
            Action::Nothing => {}
            Action::Create(collection, config) => state.create(collection, config, changes),
            Action::Drop(collection) => state.drop_collection(collection, changes),
            Action::Upsert(collection, points) => state.upsert(collection, points, changes),
            Action::Delete(collection, ids) => state.delete(collection, &ids, changes),
            Action::SetSchema(collection, prepared) => state.set_schema(collection, prepared, changes),
        }
        if let Some((id, fingerprint, outcome)) = self.remember {
            state.remember(id, fingerprint, outcome, changes);
        }
        state.advance(index, changes);
        self.reply
    }
}

fn decide(state: &State, index: u64, command: Command) -> Result<(Action, Reply), Refusal> {
    match command {
        Command::CreateCollection { collection, config } => create(state, collection, config),
        Command::DropCollection { collection } => Ok((Action::Drop(collection), Reply::Dropped)),
        Command::Upsert { collection, points, .. } => upsert(state, index, collection, points),
        Command::Delete { collection, selector, .. } => {
            let ids = select(state, collection, selector)?;
            let count = ids.len() as u64;
            Ok((Action::Delete(collection, ids), Reply::Deleted { count, version: index }))
        }
        Command::SetPayloadSchema { collection, version, schema } => set_schema(state, collection, version, schema),
    }
}

fn create(state: &State, collection: CollectionId, config: CollectionConfig) -> Result<(Action, Reply), Refusal> {
    validate_config(&config)?;
    match state.tables.get(&collection) {
        None => Ok((Action::Create(collection, config), Reply::Created)),
        Some(table) if *table.config() == config => Ok((Action::Nothing, Reply::Created)),
        Some(_) => Err(Refusal::CollectionDiffers { collection }),
    }
}

fn set_schema(
    state: &State,
    collection: CollectionId,
    version: u64,
    schema: PayloadSchema,
) -> Result<(Action, Reply), Refusal> {
    let table = state.table(collection)?;
    // Version 0 is that of a shard which was told nothing yet.
    if version <= table.schema_version() {
        return Ok((Action::Nothing, Reply::SchemaSet));
    }
    let built = table.build_indexes(&schema)?;
    Ok((Action::SetSchema(collection, PreparedSchema { version, schema, built }), Reply::SchemaSet))
}

fn upsert(
    state: &State,
    index: u64,
    collection: CollectionId,
    points: Vec<PointWrite>,
) -> Result<(Action, Reply), Refusal> {
    let table = state.table(collection)?;
    validate(table.config(), &points)?;
    for (position, point) in points.iter().enumerate() {
        if let Some(expected) = point.if_version {
            expect_version(state, collection, position, point.id, expected)?;
        }
    }
    let versions = points.iter().map(|point| (point.id, index)).collect();
    let prepare = |point: PointWrite| {
        let text = point.payload.into_text();
        let reindex = table.reindex(point.id, &text);
        Prepared::new(collection, point.id, index, text, point.vectors, reindex)
    };
    Ok((Action::Upsert(collection, points.into_iter().map(prepare).collect()), Reply::Upserted(versions)))
}

/// The points that exist and that a deletion means.
fn select(state: &State, collection: CollectionId, selector: Selector) -> Result<Vec<PointId>, Refusal> {
    let table = state.table(collection)?;
    let exists = |id: &PointId| table.version(*id) != 0;
    match selector {
        Selector::Ids(mut ids) => {
            batch_size("ids", ids.len())?;
            ids.sort_unstable();
            ids.dedup();
            Ok(ids.into_iter().filter(exists).collect())
        }
        Selector::Guarded(guarded) => {
            validate_ids(guarded.iter().map(|(id, _)| *id))?;
            for (position, (id, expected)) in guarded.iter().enumerate() {
                expect_version(state, collection, position, *id, *expected)?;
            }
            Ok(guarded.into_iter().map(|(id, _)| id).filter(exists).collect())
        }
        Selector::Filter(filter) => {
            Ok(matching(table, Some(&filter), None, usize::MAX).map(|(_, point)| point.id).collect())
        }
    }
}

fn expect_version(
    state: &State,
    collection: CollectionId,
    position: usize,
    id: PointId,
    expected: u64,
) -> Result<(), Refusal> {
    let current = state.table(collection)?.version(id);
    if current == expected { Ok(()) } else { Err(Refusal::VersionMismatch { position, id, expected, current }) }
}
