//! Indexing payload fields.
//!
//! The map's group decides which fields of a collection are indexed; the shards are told afterwards, by the whole schema
//! and its version. A shard that could not be told is told by its leader, which compares it with the map every few
//! seconds; until then it answers the same, slower.

use tokio::time::Instant;

use super::{Router, unfit_answer};
use crate::engine::{Command, FieldType, Refusal};
use crate::placement::{CollectionEntry, MetaCommand, MetaReply, ShardId};
use crate::routing::{Collection, Committed, Indexed, LogPoint, RouteError};

impl Router {
    /// Says whether a payload field is indexed, and as what; `None`: not any more. With `wait`, tells every shard before
    /// it returns.
    ///
    /// # Errors
    /// [`RouteError::CollectionNotFound`], [`RouteError::Refused`] for a path that is malformed or a field too many, or
    /// why the map's group could not carry it out.
    pub async fn set_field_index(
        &self,
        collection: &Collection,
        field: String,
        kind: Option<FieldType>,
        wait: bool,
        deadline: Instant,
    ) -> Result<Indexed, RouteError> {
        let changed =
            self.on_successor(collection, |collection| self.change_schema(collection, &field, kind, deadline));
        let entry = changed.await?;
        let (version, shards) = (entry.schema_version, self.map().shards.keys().copied().collect::<Vec<_>>());
        if version == 0 {
            // A field that never was indexed is not indexed: no shard has anything to learn.
            return Ok(Indexed { version, everywhere: true });
        }
        // A client that does not wait is answered now. The shards are told all the same.
        if !wait {
            let router = self.clone();
            tokio::spawn(async move { router.tell_schema(&shards, &entry, deadline).await });
            return Ok(Indexed { version, everywhere: false });
        }
        // Part of the time is kept for the answer: the map has the index now, whatever becomes of the rest.
        let now = Instant::now();
        let until = now + deadline.saturating_duration_since(now) * 9 / 10;
        let told = self.tell_schema(&shards, &entry, until).await;
        Ok(Indexed { version, everywhere: told.iter().all(Result::is_ok) })
    }

    /// Has the map change the schema of `collection`. Where it has no such collection, this process sees the newest map
    /// afterwards, and the name is free.
    async fn change_schema(
        &self,
        collection: Collection,
        field: &str,
        kind: Option<FieldType>,
        deadline: Instant,
    ) -> Result<CollectionEntry, RouteError> {
        let Collection { name, entry } = collection;
        let command = MetaCommand::SetFieldIndex { name: name.clone(), id: entry.id, field: field.to_owned(), kind };
        // The client hears that the collection is gone only once no shard has it.
        match self.change_map(command, deadline).await? {
            MetaReply::SchemaSet { entry } => Ok(entry),
            MetaReply::BadSchema(refusal) => Err(RouteError::Refused { refusal }),
            MetaReply::NotFound => {
                let map = self.fresh_map(deadline).await?;
                self.free_name(&map, &name, deadline).await?;
                Err(RouteError::CollectionNotFound { name })
            }
            MetaReply::NotFormed => Err(RouteError::NotFormed),
            _ => Err(unfit_answer(Committed::Unknown)),
        }
    }

    /// Tells shards which payload fields to index. One that does not know the collection has nothing to index, and gets
    /// the schema together with the collection.
    pub(super) async fn tell_schema(
        &self,
        shards: &[ShardId],
        entry: &CollectionEntry,
        deadline: Instant,
    ) -> Vec<Result<(), RouteError>> {
        let CollectionEntry { id: collection, payload_schema: schema, schema_version: version, .. } = entry.clone();
        let told = self.tell(shards, &Command::SetPayloadSchema { collection, version, schema }, deadline).await;
        let settled = |told: Result<LogPoint, RouteError>| match told {
            Ok(_) => Ok(()),
            Err(RouteError::Refused { refusal: Refusal::CollectionNotFound { .. } }) => Ok(()),
            Err(error) => Err(error),
        };
        told.into_iter().map(settled).collect()
    }
}
