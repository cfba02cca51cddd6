//! The map's rules, and the properties every first map has.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use raft_groups::NodeId;
use raft_groups::mutants::{Mutant, plant};

use super::*;
use crate::engine::{CollectionConfig, CollectionId, Distance, FieldType, VectorParams};
use crate::model::Consistency;

pub(crate) fn vectors(size: usize) -> CollectionConfig {
    let params = VectorParams::new(size, Distance::Cosine);
    CollectionConfig { vectors: BTreeMap::from([(String::new(), params)]) }
}

pub(crate) fn nodes(count: u64) -> BTreeMap<NodeId, NodeEntry> {
    (1..=count)
        .map(|id| {
            let entry = NodeEntry {
                name: NodeName::new(format!("node{id}")).unwrap(),
                incarnation: [id as u8; 16],
                host: "127.0.0.1".to_owned(),
                port: 8000 + id as u16,
                peer_addr: format!("127.0.0.1:{}", 8100 + id),
                state: NodeState::Member,
                labels: BTreeMap::new(),
                life: 0,
            };
            (id, entry)
        })
        .collect()
}

pub(crate) fn map_of(node_count: u64, shards: u32, rf: usize) -> ClusterMap {
    form([7; 16], nodes(node_count), shards, rf).unwrap()
}

fn formed() -> ClusterMap {
    let mut map = ClusterMap::default();
    assert_eq!(map.apply(MetaCommand::Form { map: map_of(3, 8, 3) }), MetaReply::Formed);
    map
}

fn create(map: &mut ClusterMap, name: &str, size: usize) -> MetaReply {
    let (config, default_consistency) = (vectors(size), Consistency::Quorum);
    map.apply(MetaCommand::CreateCollection { name: name.to_owned(), config, default_consistency })
}

proptest! {
    #[test]
    fn ranges_cover_the_hash_space_evenly(node_count in 1u64..12, shards in 1u32..300, rf in 1usize..6) {
        let map = map_of(node_count, shards, rf);
        let ranges: Vec<_> = map.shards.values().map(|shard| shard.range).collect();
        prop_assert_eq!(ranges[0].0, 0);
        prop_assert_eq!(ranges[ranges.len() - 1].1, u64::MAX);
        for pair in ranges.windows(2) {
            prop_assert_eq!(pair[0].1 + 1, pair[1].0);
        }
        let sizes = ranges.iter().map(|(first, last)| last - first);
        prop_assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
    }

    #[test]
    fn replicas_and_first_leaders_are_spread(node_count in 1u64..12, shards in 1u32..300, rf in 1usize..6) {
        let map = map_of(node_count, shards, rf);
        let mut held: BTreeMap<NodeId, u32> = map.nodes.keys().map(|id| (*id, 0)).collect();
        let mut led = held.clone();
        for shard in map.shards.values() {
            prop_assert_eq!(shard.placement.target.len(), rf.min(node_count as usize));
            prop_assert!(shard.placement.target.contains(&shard.preferred));
            *led.get_mut(&shard.preferred).unwrap() += 1;
            for node in &shard.placement.target {
                *held.get_mut(node).unwrap() += 1;
            }
        }
        prop_assert!(led.values().max().unwrap() - led.values().min().unwrap() <= 1);
        let spread = held.values().max().unwrap() - held.values().min().unwrap();
        prop_assert!(spread as usize <= rf);
        prop_assert!(map.meta.target.len() <= MAX_META_VOTERS);
    }
}

#[test]
fn impossible_formations_are_refused() {
    assert_eq!(form([0; 16], BTreeMap::new(), 8, 3), Err(FormationError::NoNodes));
    assert_eq!(form([0; 16], nodes(1), 0, 3), Err(FormationError::Shards(0)));
    assert_eq!(form([0; 16], nodes(1), 8, 0), Err(FormationError::NoReplicas));
    let mut twins = nodes(2);
    twins.get_mut(&2).unwrap().name = NodeName::new("node1").unwrap();
    assert_eq!(form([0; 16], twins, 8, 3), Err(FormationError::SameName("node1".to_owned())));
}

#[test]
fn a_cluster_forms_once() {
    let mut map = formed();
    assert_eq!(map.epoch, 1);
    let before = map.clone();
    let other = MetaCommand::Form { map: map_of(1, 1, 1) };
    assert_eq!(map.apply(other), MetaReply::AlreadyFormed);
    assert_eq!(map, before);
}

#[test]
fn creating_twice_is_existing_and_differing_is_a_conflict() {
    let mut map = formed();
    let MetaReply::Created { entry } = create(&mut map, "docs", 4) else { panic!("new name") };
    assert_eq!((entry.created_epoch, map.epoch), (2, 2));
    assert_eq!(create(&mut map, "docs", 4), MetaReply::Exists { entry: entry.clone() });
    assert_eq!(create(&mut map, "docs", 5), MetaReply::Conflict { entry });
    assert_eq!(map.epoch, 2);
}

#[test]
fn a_number_is_never_used_twice_and_a_late_drop_spares_the_successor() {
    let mut map = formed();
    let MetaReply::Created { entry: first } = create(&mut map, "docs", 4) else { panic!("new") };
    let drop = MetaCommand::DropCollection { name: "docs".to_owned(), id: first.id };
    assert!(matches!(map.apply(drop.clone()), MetaReply::Dropped { .. }));
    let MetaReply::Created { entry: second } = create(&mut map, "docs", 4) else { panic!("new") };
    assert_ne!(first.id, second.id);
    assert_eq!(map.apply(drop), MetaReply::NotFound);
    assert!(map.has_collection(second.id) && !map.has_collection(first.id));
}

#[test]
fn a_field_is_indexed_once_and_the_schema_has_the_epoch_of_its_change() {
    let mut map = formed();
    let MetaReply::Created { entry } = create(&mut map, "docs", 4) else { panic!("new") };
    assert_eq!((entry.schema_version, entry.payload_schema.len()), (0, 0));
    let set = |map: &mut ClusterMap, field: &str, kind| {
        let (name, field) = ("docs".to_owned(), field.to_owned());
        map.apply(MetaCommand::SetFieldIndex { name, id: entry.id, field, kind })
    };
    for _ in 0..2 {
        let MetaReply::SchemaSet { entry } = set(&mut map, "lang", Some(FieldType::Keyword)) else { panic!("known") };
        assert_eq!((entry.schema_version, map.epoch), (3, 3));
    }
    let MetaReply::SchemaSet { entry: changed } = set(&mut map, "lang", Some(FieldType::Uuid)) else { panic!("known") };
    assert_eq!((changed.schema_version, changed.payload_schema["lang"]), (4, FieldType::Uuid));
    assert!(matches!(set(&mut map, "a[", Some(FieldType::Bool)), MetaReply::BadSchema(_)));
    assert_eq!(
        create(&mut map, "docs", 4),
        MetaReply::Exists { entry: changed },
        "indexes are no part of its settings"
    );
    let MetaReply::SchemaSet { entry: emptied } = set(&mut map, "lang", None) else { panic!("known") };
    assert_eq!((emptied.schema_version, emptied.payload_schema.len()), (5, 0));
    assert!(matches!(set(&mut map, "lang", None), MetaReply::SchemaSet { .. }));
    assert_eq!(map.epoch, 5, "what changes nothing has no epoch");
    let other =
        MetaCommand::SetFieldIndex { name: "docs".to_owned(), id: CollectionId(99), field: "a".to_owned(), kind: None };
    assert_eq!(map.apply(other), MetaReply::NotFound, "a later collection of the name is spared");
}

#[test]
fn an_address_changes_the_epoch_only_where_it_moves() {
    let mut map = formed();
    let set = |node, port| MetaCommand::SetAddress {
        node,
        host: "10.0.0.1".to_owned(),
        port,
        peer_addr: "10.0.0.1:9".to_owned(),
    };
    assert_eq!(map.apply(set(2, 80)), MetaReply::AddressSet);
    assert_eq!(map.apply(set(2, 80)), MetaReply::AddressSet);
    assert_eq!(map.epoch, 2);
    assert_eq!(map.apply(set(9, 80)), MetaReply::NotFound);
    assert_eq!(map.nodes[&2].host, "10.0.0.1");
}

fn announce(map: &mut ClusterMap, port: u16, life: u64) -> MetaReply {
    let (host, peer_addr) = ("10.0.0.1".to_owned(), "10.0.0.1:9".to_owned());
    map.apply(MetaCommand::Announce { node: 2, host, port, peer_addr, life })
}

#[test]
fn a_node_that_was_started_again_is_not_heard_in_its_earlier_life() {
    let mut map = formed();
    assert_eq!(announce(&mut map, 80, 3), MetaReply::AddressSet);
    assert_eq!((map.nodes[&2].life, map.epoch), (3, 2));
    assert_eq!(announce(&mut map, 80, 3), MetaReply::AddressSet);
    assert_eq!(map.epoch, 2, "what changes nothing has no epoch");
    assert_eq!(announce(&mut map, 70, 2), MetaReply::OlderLife { newest: 3 });
    assert_eq!((map.nodes[&2].port, map.epoch), (80, 2));
    assert_eq!(announce(&mut map, 70, 4), MetaReply::AddressSet);
    let _planted = plant(Mutant::IgnoresLives);
    assert_eq!(announce(&mut map, 60, 1), MetaReply::AddressSet, "the planted bug hears it");
}

#[test]
fn timings_are_the_clusters_and_are_sound() {
    let mut map = formed();
    let timings = RaftTimings { heartbeat_ms: 100, election_min_ms: 400, election_max_ms: 900 };
    for _ in 0..2 {
        assert_eq!(map.apply(MetaCommand::SetTimings { timings }), MetaReply::TimingsSet);
    }
    assert_eq!((map.timings, map.epoch), (Some(timings), 2));
    let wrong = RaftTimings { election_max_ms: 400, ..timings };
    assert!(matches!(map.apply(MetaCommand::SetTimings { timings: wrong }), MetaReply::Refused { .. }));
    assert_eq!(map.timings, Some(timings));
}

#[test]
fn a_map_comes_back_from_json_and_lacks_nothing_where_an_earlier_release_wrote_it() {
    let mut map = formed();
    map.timings = Some(RaftTimings::default());
    let mut json = serde_json::to_value(&map).unwrap();
    assert_eq!(serde_json::from_value::<ClusterMap>(json.clone()).unwrap(), map);
    json["a_later_member"] = true.into();
    json["nodes"]["1"]["another"] = 7.into();
    assert_eq!(serde_json::from_value::<ClusterMap>(json.clone()).unwrap(), map, "what is not known is skipped");
    json.as_object_mut().unwrap().remove("timings");
    json["nodes"]["1"].as_object_mut().unwrap().remove("life");
    assert_eq!(serde_json::from_value::<ClusterMap>(json).unwrap(), ClusterMap { timings: None, ..map });
}

#[test]
fn names_are_checked() {
    let long = "x".repeat(256);
    for bad in ["", ".hidden", "a/b", "a b", "ü", "a\n", long.as_str()] {
        assert!(check_collection_name(bad).is_err(), "{bad:?}");
        assert!(matches!(create(&mut formed(), bad, 4), MetaReply::BadName(_)), "{bad:?}");
    }
    for good in ["docs", "a.b-c_D9", "-", &"x".repeat(255)] {
        assert!(check_collection_name(good).is_ok(), "{good:?}");
    }
    assert!(serde_json::from_str::<NodeName>("\".x\"").is_err());
}

#[test]
fn commands_and_replies_keep_their_meaning_as_bytes() {
    let mut map = formed();
    let reply = create(&mut map, "docs", 4);
    assert_eq!(MetaReply::decode(&reply.encode()), Ok(reply));
    let (name, field, kind) = ("docs".to_owned(), "a".to_owned(), Some(FieldType::Datetime));
    let index = MetaCommand::SetFieldIndex { name, id: CollectionId(1), field, kind };
    assert_eq!(MetaCommand::decode(&index.encode()), Ok(index.clone()));
    let reply = map.apply(index);
    assert!(matches!(reply, MetaReply::SchemaSet { .. }));
    assert_eq!(MetaReply::decode(&reply.encode()), Ok(reply));
    let command = MetaCommand::Form { map };
    assert_eq!(MetaCommand::decode(&command.encode()), Ok(command));
}

#[test]
fn shards_and_groups_number_each_other() {
    assert_eq!(ShardId(0).group(), raft_groups::GroupId(1));
    assert_eq!(ShardId::of_group(ShardId(41).group()), Some(ShardId(41)));
    assert_eq!(ShardId::of_group(META), None);
}

#[test]
fn a_recovered_map_gives_out_no_number_that_a_lost_one_may_have_given_out() {
    let mut kept = formed();
    create(&mut kept, "kept", 4);
    // What a majority that is lost had acknowledged beside it.
    let mut lost = kept.clone();
    let MetaReply::Created { entry: lost_entry } = create(&mut lost, "lost", 4) else { panic!("it is new") };
    lost.apply(MetaCommand::Rebalance { at_ms: 1 });

    let mut recovered = kept.clone();
    assert_eq!(recovered.apply(MetaCommand::RecoverMap { node: 2, at: 90 }), MetaReply::Confirmed);
    assert_eq!(recovered.meta.actual, BTreeSet::from([2]));
    let MetaReply::Created { entry } = create(&mut recovered, "new", 4) else { panic!("it is new") };
    assert!(entry.id > lost_entry.id && recovered.epoch > lost.epoch);
    assert!(recovered.next_node > lost.next_node && recovered.next_operation > lost.next_operation);

    // Told again, as a node does that does not know whether it was heard, it changes nothing.
    let before = recovered.clone();
    assert_eq!(recovered.apply(MetaCommand::Recover { group: META, node: 2, at: 90 }), MetaReply::Stale);
    assert_eq!(recovered.apply(MetaCommand::RecoverMap { node: 2, at: 90 }), MetaReply::Stale);
    assert_eq!(recovered, before);

    let _bug = plant(Mutant::ReusesNumbers);
    kept.apply(MetaCommand::RecoverMap { node: 2, at: 90 });
    let MetaReply::Created { entry } = create(&mut kept, "new", 4) else { panic!("it is new") };
    assert_eq!(entry.id, lost_entry.id, "the bug is not planted");
}
