//! What each command does to the cluster map: pure, so that every replica of the meta group comes to the same map.
//!
//! Comes in: a command of the meta group's log. Goes out: the map as it is after it, and the answer. What an operator asks
//! of nodes and replicas is in [`nodes`], what the driver plans and groups confirm in [`replicas`], the records of long
//! work in [`operations`]; each knows only those that come after it here.
//!
//! Whoever applies a command of the log does so on a copy of the map, and catches a panic: it becomes one refusal, the
//! same on every replica (see [`MetaMachine`](super::MetaMachine)).

mod nodes;
mod operations;
mod replicas;

use raft_groups::mutants::{Mutant, is_planted};

use self::nodes::NewAddress;
use super::{ClusterMap, CollectionEntry, MetaCommand, MetaReply, OperationKind, RaftTimings, check_collection_name};
use crate::engine::{CollectionConfig, CollectionId, FieldType, PayloadSchema, validate_schema};
use crate::model::Consistency;

impl ClusterMap {
    /// Carries out `command` and answers it. The epoch grows exactly where the map changes.
    pub fn apply(&mut self, command: MetaCommand) -> MetaReply {
        // Copied where assertions are on, and only there.
        let before = cfg!(debug_assertions).then(|| self.clone());
        let reply = self.carry_out(command);
        if let Some(before) = before {
            debug_assert_eq!(self.check_change(&before), Ok(()));
            debug_assert_eq!(self.check(), Ok(()));
        }
        reply
    }

    fn carry_out(&mut self, command: MetaCommand) -> MetaReply {
        if let MetaCommand::Form { map } = command {
            return self.form(map);
        }
        // A map that is not formed takes nothing but its formation.
        if !self.is_formed() {
            return MetaReply::NotFormed;
        }
        match command {
            MetaCommand::Form { .. } => MetaReply::AlreadyFormed,
            MetaCommand::CreateCollection { name, config, default_consistency } => {
                self.create(name, config, default_consistency)
            }
            MetaCommand::DropCollection { name, id } => self.drop_collection(&name, id),
            MetaCommand::TakeOutCollection { name, id } => self.take_out(name, id),
            MetaCommand::CollectionsGone { ids } => self.gone(&ids),
            MetaCommand::SetFieldIndex { name, id, field, kind } => self.set_field_index(&name, id, field, kind),
            MetaCommand::SetAddress { node, host, port, peer_addr } => {
                // The message names no life, so it counts as one of the present life.
                let life = self.nodes.get(&node).map_or(0, |entry| entry.life);
                self.set_address(node, NewAddress { host, port, peer_addr, life })
            }
            MetaCommand::Announce { node, host, port, peer_addr, life } => {
                self.set_address(node, NewAddress { host, port, peer_addr, life })
            }
            MetaCommand::AddNode { entry, at_ms } => self.add_node(entry, at_ms),
            MetaCommand::RemoveNode { node, at_ms } => self.remove_node(node, at_ms),
            MetaCommand::SetDraining { node, draining, at_ms } => self.set_draining(node, draining, at_ms),
            MetaCommand::SetLabels { node, labels } => self.set_labels(node, labels),
            MetaCommand::MoveReplica { shard, from, to, at_ms } => self.move_replica(shard, from, to, at_ms),
            MetaCommand::TransferLeader { shard, to } => self.transfer_leader(shard, to),
            MetaCommand::Rebalance { at_ms } => {
                let operation = self.begin(OperationKind::Rebalance, at_ms);
                self.epoch += 1;
                MetaReply::Begun { operation, node: None }
            }
            MetaCommand::Cancel { operation, at_ms } => self.cancel(operation, at_ms),
            MetaCommand::Plan { epoch, at_ms, change } => self.plan(epoch, at_ms, change),
            MetaCommand::Recover { group, node, at } => self.recover(group, node, at),
            MetaCommand::RecoverMap { node, at } => self.recover_map(node, at),
            MetaCommand::Confirm { group, planned, members, at } => self.confirm(group, planned, members, at),
            MetaCommand::SetTimings { timings } => self.set_timings(timings),
            MetaCommand::Once { .. } => {
                // A named change is unwrapped before it comes here. What is left is one inside another.
                MetaReply::Refused { reason: "a named change is none of the map's own".to_owned() }
            }
        }
    }

    fn set_timings(&mut self, timings: RaftTimings) -> MetaReply {
        if let Err((member, why)) = timings.check() {
            return MetaReply::Refused { reason: format!("{member}: {why}") };
        }
        // The same timings again are no change, so no node has to read a new map for them.
        if self.timings != Some(timings) {
            self.timings = Some(timings);
            self.epoch += 1;
        }
        MetaReply::TimingsSet
    }

    fn form(&mut self, map: ClusterMap) -> MetaReply {
        if self.is_formed() {
            return MetaReply::AlreadyFormed;
        }
        *self = map;
        self.epoch = 1;
        MetaReply::Formed
    }

    fn create(&mut self, name: String, config: CollectionConfig, default_consistency: Consistency) -> MetaReply {
        if let Err(bad) = check_collection_name(&name) {
            return MetaReply::BadName(bad);
        }
        // A repetition is answered by what is there.
        if let Some(entry) = self.collections.get(&name) {
            let same = entry.config == config && entry.default_consistency == default_consistency;
            let entry = entry.clone();
            return if same { MetaReply::Exists { entry } } else { MetaReply::Conflict { entry } };
        }
        // Until it is gone from every shard, a collection that is taken out keeps its name.
        if let Some(id) = self.leaving_as(&name).first() {
            return MetaReply::Leaving { id: *id };
        }
        // The number is used up for good, so shards tell this one from any other of the name.
        self.epoch += 1;
        let id = CollectionId(self.next_collection);
        self.next_collection += 1;
        let created_epoch = self.epoch;
        let (payload_schema, schema_version) = (PayloadSchema::new(), 0);
        let entry = CollectionEntry { id, config, default_consistency, created_epoch, payload_schema, schema_version };
        self.collections.insert(name, entry.clone());
        MetaReply::Created { entry }
    }

    fn drop_collection(&mut self, name: &str, id: CollectionId) -> MetaReply {
        // The number must fit as well: a late copy must not drop a newer collection of the name.
        if self.collections.get(name).is_none_or(|entry| entry.id != id) {
            return MetaReply::NotFound;
        }
        match self.collections.remove(name) {
            Some(entry) => {
                self.epoch += 1;
                MetaReply::Dropped { entry }
            }
            None => MetaReply::NotFound,
        }
    }

    fn take_out(&mut self, name: String, id: CollectionId) -> MetaReply {
        let reply = self.drop_collection(&name, id);
        if matches!(reply, MetaReply::Dropped { .. }) && !is_planted(Mutant::FreesNamesEarly) {
            self.leaving.insert(id, name);
        }
        reply
    }

    fn gone(&mut self, ids: &[CollectionId]) -> MetaReply {
        let before = self.leaving.len();
        self.leaving.retain(|id, _| !ids.contains(id));
        self.epoch += u64::from(self.leaving.len() < before);
        MetaReply::Gone
    }

    fn set_field_index(&mut self, name: &str, id: CollectionId, field: String, kind: Option<FieldType>) -> MetaReply {
        let Some(entry) = self.collections.get_mut(name).filter(|entry| entry.id == id) else {
            return MetaReply::NotFound;
        };
        // Changed on a copy, which is refused whole where it breaks a rule.
        let mut schema = entry.payload_schema.clone();
        match kind {
            Some(kind) => drop(schema.insert(field, kind)),
            None => drop(schema.remove(&field)),
        }
        if let Err(refusal) = validate_schema(&schema) {
            return MetaReply::BadSchema(refusal);
        }
        if schema != entry.payload_schema {
            self.epoch += 1;
            entry.payload_schema = schema;
            entry.schema_version = self.epoch;
        }
        MetaReply::SchemaSet { entry: entry.clone() }
    }
}
