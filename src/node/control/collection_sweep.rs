//! The sweep: the loop that gives each shard that this node leads the collections that the map has.
//!
//! Comes in: the newest map, and what each shard says of its collections. Goes out: commands into the shards' logs, and
//! the ends of drops in the map. What one sweep cannot do, the next one tries again. Must not decide what is dropped:
//! the map did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use raft_groups::{Group, Role};
use tokio::time::Instant;

use crate::engine::{CollectionId, CollectionStats, Command, Engine};
use crate::placement::{ClusterMap, CollectionEntry, ShardId};
use crate::routing::{Committed, LocalGroups, MapCell, Router};

/// Pause between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// How long one write of a sweep may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Most commands of each kind to one shard in one sweep. The rest waits for the next sweep.
const MAX_CHANGES: usize = 100;

/// Sweeps now and then, for ever.
pub(in crate::node) async fn sweep_collections(groups: Arc<LocalGroups>, map: MapCell, router: Router) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let map = map.get();
        // The leader of the map's group ends drops. The leader of each shard sweeps that shard.
        end_drops(&groups, &map, &router).await;
        for (shard, group) in groups.shards() {
            if group.status().role == Role::Leader {
                sweep_shard(shard, &group, &map).await;
            }
        }
    }
}

/// Ends the drops that their clients' nodes began and did not end, if this node leads the map's group.
async fn end_drops(groups: &LocalGroups, map: &ClusterMap, router: &Router) {
    if map.leaving.is_empty() || groups.meta().is_none_or(|group| group.status().role != Role::Leader) {
        return;
    }
    let ids: Vec<CollectionId> = map.leaving.keys().copied().take(MAX_CHANGES).collect();
    if let Err(error) = router.finish_drops(map, &ids, Committed::Yes, Instant::now() + PATIENCE).await {
        tracing::debug!(%error, "not ended yet; the next sweep tries again");
    }
}

/// Gives one shard the collections and payload schemas of the map.
async fn sweep_shard(shard: ShardId, group: &Group<Engine>, map: &ClusterMap) {
    // Collections that the map no longer has are dropped.
    let known = group.machine().collections();
    for collection in find_dropped(map, known.iter().map(|stats| stats.collection)).into_iter().take(MAX_CHANGES) {
        tracing::info!(%shard, %collection, "dropping a collection that the map no longer has");
        write(group, Command::DropCollection { collection }).await;
    }
    // Then the shard hears of all other dropped collections. So it also refuses late writes to those that it never had.
    for (first, last) in find_untold_drops(map, &group.machine().dropped()).into_iter().take(MAX_CHANGES) {
        tracing::debug!(%shard, %first, %last, "telling of collections that were dropped");
        write(group, Command::RetireCollections { first, last }).await;
    }
    // Collections that stay get the newest payload schemas.
    for entry in find_outdated_schemas(map, &known).into_iter().take(MAX_CHANGES) {
        tracing::info!(%shard, collection = %entry.id, "taking on the payload schema that the map has");
        let (version, schema) = (entry.schema_version, entry.payload_schema.clone());
        write(group, Command::SetPayloadSchema { collection: entry.id, version, schema }).await;
    }
}

async fn write(group: &Group<Engine>, command: Command) {
    if let Err(error) = group.write(command.encode(), Instant::now() + PATIENCE).await {
        tracing::debug!(%error, "not changed yet; the next sweep tries again");
    }
}

/// The collections of a shard that were dropped. A number that this map has not given out yet belongs to a collection
/// that is newer than the map. So an old map drops nothing wrongly.
fn find_dropped(map: &ClusterMap, known: impl Iterator<Item = CollectionId>) -> Vec<CollectionId> {
    let there: BTreeSet<CollectionId> = map.collections.values().map(|entry| entry.id).collect();
    known.filter(|id| id.0 < map.next_collection && !there.contains(id)).collect()
}

/// The ranges of dropped collections, first and last number, that a shard has not been told of. It may have been
/// unreachable, or never had any of them. Those that it still has must be dropped before.
fn find_untold_drops(map: &ClusterMap, told: &[(CollectionId, CollectionId)]) -> Vec<(CollectionId, CollectionId)> {
    // Every number that was given out and lives no more belongs to a dropped collection.
    let mut living: Vec<u64> = map.collections.values().map(|entry| entry.id.0).collect();
    living.sort_unstable();
    let mut between = Vec::new();
    let mut next = 1;
    for id in living.into_iter().chain([map.next_collection]) {
        if next < id {
            between.push((CollectionId(next), CollectionId(id - 1)));
        }
        next = id + 1;
    }
    // A range that the shard knows only in part is told as a whole.
    between.retain(|(first, last)| !told.iter().any(|(from, to)| from <= first && last <= to));
    between
}

/// The collections whose payload schema is newer in the map than in a shard that has them.
fn find_outdated_schemas<'a>(map: &'a ClusterMap, known: &[CollectionStats]) -> Vec<&'a CollectionEntry> {
    let versions: BTreeMap<CollectionId, u64> =
        known.iter().map(|stats| (stats.collection, stats.schema_version)).collect();
    let older = |entry: &&CollectionEntry| versions.get(&entry.id).is_some_and(|had| *had < entry.schema_version);
    map.collections.values().filter(older).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::FieldType;
    use crate::placement::MetaCommand;
    use crate::placement::tests::{map_of, vectors};

    #[test]
    fn only_what_the_map_has_given_out_and_taken_back_is_gone() {
        let mut map = ClusterMap { epoch: 1, ..map_of(1, 1, 1) };
        for name in ["a", "b"] {
            let (name, default_consistency) = (name.to_owned(), crate::model::Consistency::Quorum);
            map.apply(MetaCommand::CreateCollection { name, config: vectors(4), default_consistency });
        }
        let first = map.collections["a"].id;
        map.apply(MetaCommand::DropCollection { name: "a".to_owned(), id: first });
        let known = [first, map.collections["b"].id, CollectionId(map.next_collection)];
        assert_eq!(find_dropped(&map, known.into_iter()), [first]);
    }

    #[test]
    fn a_shard_is_told_of_every_drop_it_may_have_missed() {
        let mut map = ClusterMap { epoch: 1, ..map_of(1, 1, 1) };
        for name in ["a", "b", "c", "d", "e"] {
            let (name, default_consistency) = (name.to_owned(), crate::model::Consistency::Quorum);
            map.apply(MetaCommand::CreateCollection { name, config: vectors(4), default_consistency });
        }
        assert_eq!(find_untold_drops(&map, &[]), []);
        for name in ["a", "c", "d"] {
            let id = map.collections[name].id;
            map.apply(MetaCommand::DropCollection { name: name.to_owned(), id });
        }
        let range = |first, last| (CollectionId(first), CollectionId(last));
        assert_eq!(find_untold_drops(&map, &[]), [range(1, 1), range(3, 4)]);
        assert_eq!(find_untold_drops(&map, &[range(1, 1), range(4, 4)]), [range(3, 4)]);
        assert_eq!(find_untold_drops(&map, &[range(1, 1), range(3, 4)]), []);
    }

    #[test]
    fn a_shard_is_behind_where_the_map_has_a_newer_schema() {
        let mut map = ClusterMap { epoch: 1, ..map_of(1, 1, 1) };
        for name in ["a", "b", "c"] {
            let (name, default_consistency) = (name.to_owned(), crate::model::Consistency::Quorum);
            map.apply(MetaCommand::CreateCollection { name, config: vectors(4), default_consistency });
        }
        let ids: Vec<CollectionId> = map.collections.values().map(|entry| entry.id).collect();
        for (name, id) in [("a", ids[0]), ("c", ids[2])] {
            let (field, kind) = ("lang".to_owned(), Some(FieldType::Keyword));
            map.apply(MetaCommand::SetFieldIndex { name: name.to_owned(), id, field, kind });
        }
        let known = |id: usize, schema_version| CollectionStats {
            collection: ids[id],
            config: vectors(4),
            points: 0,
            schema_version,
            fields: BTreeMap::new(),
        };
        let behind = |known: &[CollectionStats]| {
            find_outdated_schemas(&map, known).iter().map(|entry| entry.id).collect::<Vec<_>>()
        };
        assert_eq!(behind(&[known(0, 0), known(1, 0)]), [ids[0]], "what a shard does not know it gets when it must");
        let newest = map.collections["a"].schema_version;
        assert_eq!(behind(&[known(0, newest), known(2, newest)]), [ids[2]]);
    }
}
