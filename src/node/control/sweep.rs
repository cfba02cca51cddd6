//! What a node does on its own, every few seconds: sweeps its shards, tells the map where it listens.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use raft_groups::mutants::{Mutant, is_planted};
use raft_groups::{Group, Host, NodeId, Role};
use tokio::time::Instant;

use super::{map_feed, replicas};
use crate::engine::{CollectionId, CollectionStats, Command, Engine};
use crate::node::identity::formation::JoinRequest;
use crate::node::identity::identity_file::{IdentityFile, Membership};
use crate::placement::{ClusterMap, CollectionEntry, MetaCommand, MetaReply, ShardId};
use crate::routing::{Committed, LocalGroups, MapCell, Router};

/// Pause between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// How long one write of a sweep may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Most collections dropped from one shard in one sweep, and most that get a payload schema; the rest waits for the
/// next.
const MAX_CHANGES: usize = 100;

/// Drops collections that the map no longer has from the shards that this node leads, tells these of all others that were
/// dropped, and gives those that are there the payload schemas that the map has, for ever. Ends the drops that whoever
/// began them did not, where this node leads the map's group.
pub(in crate::node) async fn sweep(groups: Arc<LocalGroups>, map: MapCell, router: Router) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let map = map.get();
        if !map.leaving.is_empty() && groups.meta().is_some_and(|group| group.status().role == Role::Leader) {
            let ids: Vec<CollectionId> = map.leaving.keys().copied().take(MAX_CHANGES).collect();
            if let Err(error) = router.finish_drops(&map, &ids, Committed::Yes, Instant::now() + PATIENCE).await {
                tracing::debug!(%error, "not ended yet; the next sweep tries again");
            }
        }
        for (shard, group) in groups.shards() {
            if group.status().role != Role::Leader {
                continue;
            }
            let known = group.machine().collections();
            for collection in gone(&map, known.iter().map(|stats| stats.collection)).into_iter().take(MAX_CHANGES) {
                tracing::info!(%shard, %collection, "dropping a collection that the map no longer has");
                change(&group, Command::DropCollection { collection }).await;
            }
            for (first, last) in untold(&map, &group.machine().dropped()).into_iter().take(MAX_CHANGES) {
                tracing::debug!(%shard, %first, %last, "telling of collections that were dropped");
                change(&group, Command::RetireCollections { first, last }).await;
            }
            for entry in behind(&map, &known).into_iter().take(MAX_CHANGES) {
                tracing::info!(%shard, collection = %entry.id, "taking on the payload schema that the map has");
                let (version, schema) = (entry.schema_version, entry.payload_schema.clone());
                change(&group, Command::SetPayloadSchema { collection: entry.id, version, schema }).await;
            }
        }
    }
}

async fn change(group: &Group<Engine>, command: Command) {
    if let Err(error) = group.write(command.encode(), Instant::now() + PATIENCE).await {
        tracing::debug!(%error, "not changed yet; the next sweep tries again");
    }
}

/// Which of the collections were dropped. One whose number this map has not given out yet is newer than the map, not
/// dropped, so an old map drops nothing wrongly.
fn gone(map: &ClusterMap, known: impl Iterator<Item = CollectionId>) -> Vec<CollectionId> {
    let there: BTreeSet<CollectionId> = map.collections.values().map(|entry| entry.id).collect();
    known.filter(|id| id.0 < map.next_collection && !there.contains(id)).collect()
}

/// The ranges of dropped collections that a shard does not know of: it could not be told, or never had any of them. Those
/// that it still has are dropped first.
fn untold(map: &ClusterMap, told: &[(CollectionId, CollectionId)]) -> Vec<(CollectionId, CollectionId)> {
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
    between.retain(|(first, last)| !told.iter().any(|(from, to)| from <= first && last <= to));
    between
}

/// The collections whose payload schema is newer in the map than in a shard that knows them.
fn behind<'a>(map: &'a ClusterMap, known: &[CollectionStats]) -> Vec<&'a CollectionEntry> {
    let versions: BTreeMap<CollectionId, u64> =
        known.iter().map(|stats| (stats.collection, stats.schema_version)).collect();
    let older = |entry: &&CollectionEntry| versions.get(&entry.id).is_some_and(|had| *had < entry.schema_version);
    map.collections.values().filter(older).collect()
}

/// Ends this process as soon as a peer says that the node was started later, or twice: an older copy of a directory may
/// have forgotten what it acknowledged, and two processes under one number vote twice.
pub(in crate::node) async fn end_when_overtaken(host: Host, dir: PathBuf) {
    host.overtaken().await;
    end_as_overtaken(&dir, host.identity().life.number);
}

fn end_as_overtaken(dir: &Path, life: u64) -> ! {
    let reason =
        "other nodes have seen a later start of this node, or another process runs from a copy of this directory";
    let way_out = "keep the one that is newest and stop the other; where only an older copy is left, remove this node \
                   (`quiver node leave`) and start it anew with an empty --data-dir and --join";
    tracing::error!(dir = %dir.display(), life, "this process ends: {reason}; {way_out}");
    eprintln!("error: {} cannot take part: {reason}; {way_out}", dir.display());
    std::process::exit(1);
}

/// Keeps in the map that this node was started, and where it listens: at each start, and where the map says something else
/// later, since a copy of this node ran for a moment. Where the map knows of a later start, this process ends.
pub(in crate::node) async fn announce(
    me: JoinRequest,
    node: NodeId,
    (life, dir): (u64, PathBuf),
    router: Router,
    map: MapCell,
) {
    let mut changes = map.watch();
    loop {
        let known = replicas::formed(&map).await;
        match known.nodes.get(&node) {
            Some(entry) if entry.life > life && !is_planted(Mutant::IgnoresLives) => end_as_overtaken(&dir, life),
            Some(entry) if me.is_at(entry) && entry.life == life => {
                if changes.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Some(_) => {}
            None => {
                return tracing::error!(
                    node,
                    "the cluster does not know this node any more: it was removed, or did not come up in time after it \
                     was adopted. It holds nothing and only passes requests on; to join again, start it with an empty \
                     --data-dir and --join"
                );
            }
        }
        let address = (me.host.clone(), me.port, me.peer_addr.clone());
        match router.set_address(node, address, life, Instant::now() + PATIENCE).await {
            Ok(true) => {
                tracing::info!(host = me.host, port = me.port, life, "the map knows of this start and its address")
            }
            Ok(false) => end_as_overtaken(&dir, life),
            Err(error) => tracing::warn!(%error, "the map does not know of this start yet"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Tells the map of the groups that go on with this node alone, by the operator's order, until it knows of all.
pub(in crate::node) async fn tell_of_recovery(
    mut identity: IdentityFile,
    me: NodeId,
    groups: Arc<LocalGroups>,
    router: Router,
    map: MapCell,
) -> IdentityFile {
    while let Some(member) = identity.identity.member.clone().filter(|member| !member.recovered.is_empty()) {
        replicas::formed(&map).await;
        let mut left = member.recovered.clone();
        for group in &member.recovered {
            let status = match ShardId::of_group(*group) {
                Some(shard) => groups.shard(shard).map(|group| group.status()),
                None => groups.meta().map(|meta| meta.status()),
            };
            let alone = status.filter(|status| status.role == Role::Leader && status.voters == BTreeSet::from([me]));
            let Some(at) = alone.and_then(|status| status.members_at) else { continue };
            let command = MetaCommand::Recover { group: *group, node: me, at };
            match router.change_map(command, Instant::now() + PATIENCE).await {
                Ok(MetaReply::Confirmed | MetaReply::Stale) => {
                    tracing::warn!(%group, "the map knows that this group goes on with this node alone");
                    left.remove(group);
                }
                Ok(reply) => tracing::error!(%group, ?reply, "the map does not take this group's recovery"),
                Err(error) => tracing::debug!(%group, %error, "the map does not know of this group's recovery yet"),
            }
        }
        if left != member.recovered
            && let Err(error) = identity.set_member(Membership { recovered: left, ..member })
        {
            tracing::warn!(%error, "it is not written down that the map knows; it will be told once more");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    identity
}

/// Writes down where the cluster's nodes are and what its timings are, whenever that has changed: after a restart this node
/// finds the others, and takes those on.
pub(in crate::node) async fn remember(mut identity: IdentityFile, map: MapCell) {
    let mut changes = map.watch();
    loop {
        let known = map.get();
        let (seeds, timings) = (map_feed::urls(&known), known.timings);
        let differs = |member: &Membership| member.seeds != seeds || timings.is_some() && member.timings != timings;
        if let Some(member) = identity.identity.member.clone().filter(differs) {
            let timings = timings.or(member.timings);
            if timings != member.timings {
                tracing::warn!("the cluster's timings have changed: this node takes them on when it is started again");
            }
            if let Err(error) = identity.set_member(Membership { seeds, timings, ..member }) {
                tracing::warn!(%error, "what the map says is not written down; the next change is another chance");
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::FieldType;
    use crate::placement::tests::{map_of, vectors};

    #[test]
    fn only_what_the_map_has_given_out_and_taken_back_is_gone() {
        let mut map = ClusterMap { epoch: 1, ..map_of(1, 1, 1) };
        for name in ["a", "b"] {
            let (name, default_consistency) = (name.to_owned(), "quorum".to_owned());
            map.apply(MetaCommand::CreateCollection { name, config: vectors(4), default_consistency });
        }
        let first = map.collections["a"].id;
        map.apply(MetaCommand::DropCollection { name: "a".to_owned(), id: first });
        let known = [first, map.collections["b"].id, CollectionId(map.next_collection)];
        assert_eq!(gone(&map, known.into_iter()), [first]);
    }

    #[test]
    fn a_shard_is_told_of_every_drop_it_may_have_missed() {
        let mut map = ClusterMap { epoch: 1, ..map_of(1, 1, 1) };
        for name in ["a", "b", "c", "d", "e"] {
            let (name, default_consistency) = (name.to_owned(), "quorum".to_owned());
            map.apply(MetaCommand::CreateCollection { name, config: vectors(4), default_consistency });
        }
        assert_eq!(untold(&map, &[]), []);
        for name in ["a", "c", "d"] {
            let id = map.collections[name].id;
            map.apply(MetaCommand::DropCollection { name: name.to_owned(), id });
        }
        let range = |first, last| (CollectionId(first), CollectionId(last));
        assert_eq!(untold(&map, &[]), [range(1, 1), range(3, 4)]);
        assert_eq!(untold(&map, &[range(1, 1), range(4, 4)]), [range(3, 4)]);
        assert_eq!(untold(&map, &[range(1, 1), range(3, 4)]), []);
    }

    #[test]
    fn a_shard_is_behind_where_the_map_has_a_newer_schema() {
        let mut map = ClusterMap { epoch: 1, ..map_of(1, 1, 1) };
        for name in ["a", "b", "c"] {
            let (name, default_consistency) = (name.to_owned(), "quorum".to_owned());
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
        let behind = |known: &[CollectionStats]| behind(&map, known).iter().map(|entry| entry.id).collect::<Vec<_>>();
        assert_eq!(behind(&[known(0, 0), known(1, 0)]), [ids[0]], "what a shard does not know it gets when it must");
        let newest = map.collections["a"].schema_version;
        assert_eq!(behind(&[known(0, newest), known(2, newest)]), [ids[2]]);
    }
}
