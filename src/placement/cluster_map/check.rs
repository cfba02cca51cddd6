//! What must hold of a cluster map, looked at after each command in builds with debug assertions.

use std::collections::BTreeSet;

use super::ClusterMap;
use crate::placement::operation::MAX_ENDED;
use crate::placement::{Operation, OperationKind};

impl ClusterMap {
    /// Says which invariant does not hold, if one does not. A map that is not formed yet may hold anything.
    pub fn check(&self) -> Result<(), String> {
        if !self.is_formed() {
            return Ok(());
        }
        self.check_numbers()?;
        self.check_nodes()?;
        self.check_placements()?;
        self.check_operations()?;
        self.check_collections()
    }

    /// Says how a command must not have changed the map, if it has changed it so.
    pub fn check_change(&self, before: &Self) -> Result<(), String> {
        let counters = |map: &Self| [map.epoch, map.next_node, map.next_collection, map.next_operation];
        // A map is formed once, and begins to count then.
        if before.is_formed() && counters(self).iter().zip(counters(before)).any(|(now, before)| *now < before) {
            return Err(format!("a counter goes back: {:?} comes after {:?}", counters(self), counters(before)));
        }
        // One epoch stands for one map: nodes compare epochs to see whether theirs is the newest.
        if (self.epoch != before.epoch) != (self != before) {
            return Err(format!(
                "the epoch goes from {} to {}, and the map does not go with it",
                before.epoch, self.epoch
            ));
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), String> {
        let collections = self.collections.values().map(|entry| entry.id.0).chain(self.leaving.keys().map(|id| id.0));
        let kinds = [
            ("node", self.nodes.keys().max().copied(), self.next_node),
            ("collection", collections.max(), self.next_collection),
            ("operation", self.operations.keys().max().copied(), self.next_operation),
        ];
        match kinds.into_iter().find(|(_, last, next)| last.is_some_and(|last| last >= *next)) {
            Some((kind, last, next)) => Err(format!("{kind} {last:?} is there, and the next is {next}")),
            None => Ok(()),
        }
    }

    fn check_nodes(&self) -> Result<(), String> {
        let names: BTreeSet<_> = self.nodes.values().map(|entry| &entry.name).collect();
        let incarnations: BTreeSet<_> = self.nodes.values().map(|entry| entry.incarnation).collect();
        if names.len() < self.nodes.len() || incarnations.len() < self.nodes.len() {
            return Err("two nodes have one name, or are one incarnation".to_owned());
        }
        // As many as are wanted, or as there are members, and never none.
        let factor = self.wanted_factor.min(self.members()).max(1);
        if self.replication_factor != factor {
            return Err(format!("the replication factor is {}, and should be {factor}", self.replication_factor));
        }
        Ok(())
    }

    fn check_placements(&self) -> Result<(), String> {
        // A range that ends with the last hash has none behind it.
        let mut next = Some(0);
        for (shard, entry) in &self.shards {
            let (first, last) = entry.range;
            if next != Some(first) || first > last {
                return Err(format!("the range of shard {shard} begins at {first}, and should at {next:?}"));
            }
            next = last.checked_add(1);
        }
        if next.is_some() {
            return Err(format!("the shards' ranges end before {next:?}"));
        }
        for (group, placement) in self.placements() {
            placement.check().map_err(|broken| format!("the placement of {group}: {broken}"))?;
            if placement.planned > self.epoch {
                return Err(format!("the placement of {group} was planned at epoch {}", placement.planned));
            }
            if let Some(node) = placement.homes().find(|node| !self.nodes.contains_key(node)) {
                return Err(format!("{group} is placed on node {node}, which is not in the map"));
            }
        }
        Ok(())
    }

    fn check_operations(&self) -> Result<(), String> {
        for (id, operation) in &self.operations {
            if operation.is_running() != operation.ended_ms.is_none() {
                return Err(format!("operation {id} is {:?}, and ended at {:?}", operation.state, operation.ended_ms));
            }
            let about = match &operation.kind {
                OperationKind::Move(shard, ..) => self.shards.contains_key(shard),
                kind => kind.node().is_none_or(|node| self.nodes.contains_key(&node)),
            };
            if operation.is_running() && !about {
                return Err(format!("operation {id} is under way with what is not in the map"));
            }
        }
        let ended = self.operations.values().filter(|operation| !Operation::is_running(operation)).count();
        if ended > MAX_ENDED { Err(format!("{ended} operations that have ended are kept")) } else { Ok(()) }
    }

    fn check_collections(&self) -> Result<(), String> {
        let mut ids = BTreeSet::new();
        for (name, entry) in &self.collections {
            if !ids.insert(entry.id) || self.leaving.contains_key(&entry.id) {
                return Err(format!("collection `{name}` has the number {} of another", entry.id));
            }
            if !self.leaving_as(name).is_empty() {
                return Err(format!("collection `{name}` has the name of one that is taken out"));
            }
            if entry.created_epoch.max(entry.schema_version) > self.epoch {
                return Err(format!("collection `{name}` is newer than the map"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::CollectionId;
    use crate::model::Consistency;
    use crate::placement::tests::{map_of, nodes, vectors};
    use crate::placement::{MetaCommand, MetaReply, OperationState, ShardId};

    /// A map of three nodes and four shards, with a collection `a` and an operation under way.
    fn map() -> ClusterMap {
        let mut map = ClusterMap::default();
        assert_eq!(map.apply(MetaCommand::Form { map: map_of(3, 4, 3) }), MetaReply::Formed);
        let (config, default_consistency) = (vectors(4), Consistency::Quorum);
        map.apply(MetaCommand::CreateCollection { name: "a".to_owned(), config, default_consistency });
        let entry = nodes(4).remove(&4).expect("there are four");
        assert!(matches!(map.apply(MetaCommand::AddNode { entry, at_ms: 7 }), MetaReply::Begun { .. }));
        map
    }

    fn collection(map: &mut ClusterMap) -> &mut super::super::CollectionEntry {
        map.collections.get_mut("a").expect("it was created")
    }

    fn shard(map: &mut ClusterMap, shard: u32) -> &mut super::super::ShardEntry {
        map.shards.get_mut(&ShardId(shard)).expect("there are four")
    }

    fn operation(map: &mut ClusterMap) -> &mut Operation {
        map.operations.get_mut(&1).expect("it has begun")
    }

    type Break = fn(&mut ClusterMap);

    #[test]
    fn every_broken_invariant_is_found() {
        assert_eq!(map().check(), Ok(()));
        let breaks: [(Break, &str); 18] = [
            (|map| map.next_node = 4, "node Some(4) is there"),
            (|map| map.next_collection = 1, "collection Some(1) is there"),
            (|map| map.next_operation = 1, "operation Some(1) is there"),
            (|map| map.nodes.values_mut().for_each(|entry| entry.incarnation = [1; 16]), "two nodes have one name"),
            (|map| map.replication_factor = 2, "the replication factor is 2, and should be 3"),
            (|map| shard(map, 1).range.0 += 1, "the range of shard 1 begins at"),
            (|map| shard(map, 3).range.1 -= 1, "the shards' ranges end before"),
            (|map| shard(map, 2).placement.target.clear(), "no node is meant to hold a replica"),
            (|map| map.meta.actual.clear(), "no node was confirmed to hold a replica"),
            (|map| map.meta.target.retain(|node| *node > 1), "it is settled elsewhere"),
            (|map| map.meta.planned = map.epoch + 1, "was planned at epoch"),
            (
                |map| {
                    map.nodes.remove(&2);
                    map.replication_factor = 2;
                },
                "is placed on node 2, which is not in the map",
            ),
            (|map| operation(map).ended_ms = Some(7), "operation 1 is Running, and ended at Some(7)"),
            (|map| drop(map.nodes.remove(&4)), "operation 1 is under way with what is not in the map"),
            (|map| drop(map.leaving.insert(CollectionId(1), "b".to_owned())), "has the number 1 of another"),
            (
                |map| {
                    map.next_collection = 9;
                    map.leaving = BTreeMap::from([(CollectionId(8), "a".to_owned())]);
                },
                "has the name of one that is taken out",
            ),
            (|map| collection(map).schema_version = map.epoch + 1, "is newer than the map"),
            (
                |map| {
                    let mut ended = operation(map).clone();
                    (ended.state, ended.ended_ms) = (OperationState::Done, Some(7));
                    map.operations = (1..).zip(std::iter::repeat_n(ended, MAX_ENDED + 1)).collect();
                    map.next_operation = 1_000;
                },
                "65 operations that have ended are kept",
            ),
        ];
        for (break_it, expected) in breaks {
            let mut map = map();
            break_it(&mut map);
            let broken = map.check().expect_err(expected);
            assert!(broken.contains(expected), "{broken} is not: {expected}");
        }
    }

    #[test]
    fn a_change_without_a_new_epoch_is_found_and_so_is_a_counter_that_goes_back() {
        let (before, mut after) = (map(), map());
        assert_eq!(after.check_change(&before), Ok(()));
        after.wanted_factor = 5;
        assert!(after.check_change(&before).is_err_and(|broken| broken.ends_with("the map does not go with it")));
        after.epoch += 1;
        assert_eq!(after.check_change(&before), Ok(()));
        after.next_node -= 1;
        assert!(after.check_change(&before).is_err_and(|broken| broken.starts_with("a counter goes back")));
    }
}
