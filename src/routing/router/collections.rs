//! Finding, making and dropping collections.
//!
//! The map's group decides whether a collection exists; the shards are told afterwards. A shard that could not be told
//! learns of a new collection with its first request there, and its leader drops by itself what the map no longer has.

use raft_groups::NodeId;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Router, unfit_answer};
use crate::engine::{CollectionConfig, CollectionId, Command, Lifetime, MadeBy, Refusal, Reply, RequestId};
use crate::model::Consistency;
use crate::placement::{ClusterMap, CollectionEntry, META, MetaCommand, MetaReply, ShardId};
use crate::routing::dispatch::pending_call::PendingCall;
use crate::routing::dispatch::scatter::CallOutcome;
use crate::routing::rpc::message::{Call, CallAnswer};
use crate::routing::{Collection, Committed, Created, LogPoint, RouteError};

impl Router {
    /// A collection by name. A name the cached map does not know is looked up in the map's group first, and so is a name
    /// whose collection this process has asked to change.
    ///
    /// # Errors
    /// [`RouteError::CollectionNotFound`], or why the map's group could not be asked.
    pub async fn collection(&self, name: &str, deadline: Instant) -> Result<Collection, RouteError> {
        let found = |entry: &CollectionEntry| Collection { name: name.to_owned(), entry: entry.clone() };
        let map = self.formed()?;
        if let Some(entry) = map.collections.get(name).filter(|_| !self.scatter.map.is_in_doubt(name)) {
            return Ok(found(entry));
        }
        // The known map may be old. Only its owner can say that there is no such collection.
        let map = self.fresh_map(deadline).await?;
        if let Some(entry) = map.collections.get(name) {
            return Ok(found(entry));
        }
        // The client hears that the collection is gone only once no shard has it.
        self.free_name(&map, name, deadline).await?;
        Err(RouteError::CollectionNotFound { name: name.to_owned() })
    }

    /// Makes sure that no shard takes a write any more for a collection of this name, which `map` does not have: only then
    /// may anyone be told so. Whoever took it out may have died before every shard was told.
    ///
    /// # Errors
    /// [`RouteError::Deadline`] where a shard could not be told in time.
    pub(super) async fn free_name(&self, map: &ClusterMap, name: &str, deadline: Instant) -> Result<(), RouteError> {
        self.finish_drops(map, &map.leaving_as(name), Committed::No, deadline).await
    }

    /// Tells every shard of collections that were taken out of the map, and then the map that they have been told.
    ///
    /// # Errors
    /// [`RouteError::Deadline`], with what became of the caller's own change, where a shard could not be told in time.
    pub async fn finish_drops(
        &self,
        map: &ClusterMap,
        ids: &[CollectionId],
        committed: Committed,
        deadline: Instant,
    ) -> Result<(), RouteError> {
        let shards: Vec<ShardId> = map.shards.keys().copied().collect();
        // No shard may take writes for a collection whose name can be given away.
        for id in ids {
            let told = self.tell(&shards, &Command::DropCollection { collection: *id }, deadline).await;
            if let Some((shard, error)) = shards.iter().zip(told).find_map(|(shard, told)| Some((shard, told.err()?))) {
                let reason = format!("the collection is dropped, but shard {shard} could not be told yet: {error}");
                return Err(RouteError::Deadline { committed, reason });
            }
        }
        if !ids.is_empty() {
            // Where this fails, the next who asks for the name tells them once more.
            let gone = MetaCommand::CollectionsGone { ids: ids.to_vec() };
            if let Err(error) = self.change_map(gone, deadline).await {
                tracing::debug!(%error, "the map does not know yet that the shards have dropped a collection");
            }
        }
        Ok(())
    }

    /// Adds a collection to the map and tells every shard.
    ///
    /// # Errors
    /// [`RouteError::CollectionExists`] where it has other settings, [`RouteError::BadName`], or why the map's group
    /// could not carry it out.
    pub async fn create_collection(
        &self,
        name: &str,
        config: CollectionConfig,
        default_consistency: Consistency,
        deadline: Instant,
    ) -> Result<Created, RouteError> {
        let command = MetaCommand::CreateCollection { name: name.to_owned(), config, default_consistency };
        let (entry, existed) = match self.create_entry(name, command, deadline).await? {
            MetaReply::Created { entry } => (entry, false),
            MetaReply::Exists { entry } => (entry, true),
            MetaReply::Conflict { entry } => {
                return Err(RouteError::CollectionExists { name: name.to_owned(), entry: Box::new(entry) });
            }
            MetaReply::BadName(bad) => return Err(bad.into()),
            MetaReply::NotFormed => return Err(RouteError::NotFormed),
            _ => return Err(unfit_answer(Committed::Unknown)),
        };
        // Part of the time is kept for the answer: the collection exists now, whatever becomes of the rest.
        let now = Instant::now();
        let until = now + deadline.saturating_duration_since(now) / 2;
        let shards: Vec<ShardId> = self.map().shards.keys().copied().collect();
        let told = self.introduce(&shards, &entry, until).await;
        let pending = shards.into_iter().zip(told).filter(|(_, told)| told.is_err()).map(|(shard, _)| shard).collect();
        Ok(Created { collection: Collection { name: name.to_owned(), entry }, existed, pending })
    }

    /// Has the map make an entry, once the name is free.
    async fn create_entry(&self, name: &str, command: MetaCommand, deadline: Instant) -> Result<MetaReply, RouteError> {
        loop {
            match self.change_map(command.clone(), deadline).await? {
                // Shards may still have an older collection of this name. They are told first, and then the map is
                // asked again.
                MetaReply::Leaving { .. } => {
                    let map = self.fresh_map(deadline).await?;
                    self.free_name(&map, name, deadline).await?;
                }
                reply => return Ok(reply),
            }
        }
    }

    /// Removes a collection from the map and from every shard; whether there was one.
    ///
    /// # Errors
    /// [`RouteError::Deadline`] with `committed: yes` where a shard could not be told in time (its leader will find out
    /// by itself), or why the map's group could not carry it out.
    pub async fn drop_collection(&self, name: &str, deadline: Instant) -> Result<bool, RouteError> {
        self.formed()?;
        let map = self.fresh_map(deadline).await?;
        // No such collection is a success, too, once all shards have dropped the last one of this name.
        let Some(entry) = map.collections.get(name) else {
            return self.free_name(&map, name, deadline).await.map(|()| false);
        };
        let command = MetaCommand::TakeOutCollection { name: name.to_owned(), id: entry.id };
        match self.change_map(command, deadline).await? {
            // Not found: a try whose answer was lost has dropped it, or someone else has at the same time.
            MetaReply::Dropped { .. } | MetaReply::NotFound => {}
            _ => return Err(unfit_answer(Committed::Unknown)),
        }
        self.finish_drops(&map, &[entry.id], Committed::Yes, deadline).await.map(|()| true)
    }

    /// Records in the map where a node listens from its start number `life` on; `false` where the map was told of a later
    /// start, so that this one must not take part.
    ///
    /// # Errors
    /// [`RouteError::Internal`] where the map does not know the node, or why the map's group could not carry it out.
    pub async fn set_address(
        &self,
        node: NodeId,
        (host, port, peer_addr): (String, u16, String),
        life: u64,
        deadline: Instant,
    ) -> Result<bool, RouteError> {
        match self.change_map(MetaCommand::Announce { node, host, port, peer_addr, life }, deadline).await? {
            MetaReply::AddressSet => Ok(true),
            MetaReply::OlderLife { .. } => Ok(false),
            other => {
                let reason = format!("the address of node {node} was not taken: {other:?}");
                Err(RouteError::Internal { reason, committed: Committed::No })
            }
        }
    }

    /// Makes a collection known to shards; the place in each shard's log, from which on it is.
    pub(in crate::routing) async fn introduce(
        &self,
        shards: &[ShardId],
        entry: &CollectionEntry,
        deadline: Instant,
    ) -> Vec<Result<LogPoint, RouteError>> {
        let command = Command::CreateCollection { collection: entry.id, config: entry.config.clone() };
        let known_from = self.tell(shards, &command, deadline).await;
        // Only shards that have the collection by now can take its indexes.
        if entry.schema_version > 0 {
            let known = shards.iter().zip(&known_from).filter(|(_, told)| told.is_ok());
            let known: Vec<ShardId> = known.map(|(shard, _)| *shard).collect();
            for (shard, told) in known.iter().zip(self.tell_schema(&known, entry, deadline).await) {
                if let Err(error) = told {
                    // Without its indexes a shard answers the same, slower, until its leader has looked at the map.
                    tracing::debug!(%shard, %error, "a shard has a collection without its payload indexes");
                }
            }
        }
        known_from
    }

    /// Carries out one command in several shards; its place in the log of each.
    pub(super) async fn tell(
        &self,
        shards: &[ShardId],
        command: &Command,
        deadline: Instant,
    ) -> Vec<Result<LogPoint, RouteError>> {
        let command = command.encode();
        // To be told twice is the same as once, so the command needs no lifetime.
        let pending = |shard: &ShardId| {
            let call =
                Call::Write { group: shard.group(), command: command.clone(), everywhere: false, lifetime: None };
            PendingCall::new(Some(*shard), call)
        };
        let outcomes = self.scatter.run(shards.iter().map(pending).collect(), deadline).await;
        outcomes.into_iter().map(done_at).collect()
    }

    /// Carries a command out on the cluster map. What was changed, this process sees from then on.
    ///
    /// # Errors
    /// Why the map's group could not carry it out. What the map itself refuses is a reply.
    pub async fn change_map(&self, command: MetaCommand, deadline: Instant) -> Result<MetaReply, RouteError> {
        self.formed()?;
        // A change that must not be made twice travels under a request id. Any other may simply be repeated.
        let by_request = command.must_be_once();
        let (encoded, lifetime) = match by_request {
            true => {
                let named = MetaCommand::Once { request: RequestId(Uuid::new_v4()), change: command.encode() };
                (named.encode(), Some(Lifetime::unborn(MadeBy::Gateway)))
            }
            false => (command.encode(), None),
        };
        let call = Call::Write { group: META, command: encoded, everywhere: false, lifetime };
        let outcome = self.scatter.run_one(PendingCall::new(None, call), deadline).await;
        // The next request of this process must see a change that was made, or may have been.
        if by_request && outcome.as_ref().err().is_none_or(|error| error.committed() != Committed::No) {
            self.scatter.map.changed(command.collection());
            self.catch_up(deadline).await;
        }
        let (_, CallAnswer::Written { reply, .. }) = outcome? else { return Err(unfit_answer(Committed::Unknown)) };
        match MetaReply::decode(&reply) {
            Ok(MetaReply::Expired) => Err(RouteError::Refused { refusal: Refusal::RequestExpired }),
            Ok(MetaReply::TooManyChanges { limit }) => {
                let limit = format!("{limit} changes of the cluster map within the last minutes");
                Err(RouteError::Overloaded { limit })
            }
            Ok(reply) => Ok(reply),
            Err(_) => Err(unfit_answer(Committed::Unknown)),
        }
    }
}

fn done_at(outcome: CallOutcome) -> Result<LogPoint, RouteError> {
    let (_, CallAnswer::Written { index, term, reply, .. }) = outcome? else {
        return Err(unfit_answer(Committed::Unknown));
    };
    match Reply::decode(&reply) {
        Ok(Reply::Created | Reply::Dropped | Reply::SchemaSet) => Ok(LogPoint::new(term, index)),
        Ok(Reply::Refused(refusal)) => Err(RouteError::Refused { refusal }),
        _ => Err(unfit_answer(Committed::Unknown)),
    }
}
