//! From a point to its shard: pure, and the same for ever, since stored points lie where it says.
//!
//! Consistent hashing: xxh3 of (collection, point id) falls into the range of exactly one shard. The hash's input is
//! the collection's number in 8 bytes, a byte for the id's kind, and the id: 8 bytes little-endian or a UUID's 16.

use xxhash_rust::xxh3::xxh3_64;

use crate::engine::{CollectionId, PointId};
use crate::placement::{ClusterMap, ShardId};

/// Where a point stands in the hash space.
pub fn point_hash(collection: CollectionId, point: PointId) -> u64 {
    // The order of these bytes is fixed: another one would send each point to another shard than the one that has it.
    let mut input = [0; 25];
    input[..8].copy_from_slice(&collection.0.to_le_bytes());
    match point {
        PointId::Num(number) => {
            input[9..17].copy_from_slice(&number.to_le_bytes());
            xxh3_64(&input[..17])
        }
        PointId::Uuid(uuid) => {
            input[8] = 1;
            input[9..].copy_from_slice(uuid.as_bytes());
            xxh3_64(&input)
        }
    }
}

/// The shards of one map in the order of their ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// Each shard with the last hash of its range, ascending.
    ends: Vec<(u64, ShardId)>,
}

impl Ring {
    /// The ring of `map`; `None` where it has no shards, before the cluster is formed.
    pub fn of(map: &ClusterMap) -> Option<Self> {
        let mut ends: Vec<_> = map.shards.iter().map(|(id, entry)| (entry.range.1, *id)).collect();
        ends.sort_unstable();
        (!ends.is_empty()).then_some(Self { ends })
    }

    /// The shard that a point belongs to.
    pub fn shard(&self, collection: CollectionId, point: PointId) -> ShardId {
        let hash = point_hash(collection, point);
        let at = self.ends.partition_point(|(last, _)| *last < hash);
        self.ends[at.min(self.ends.len() - 1)].1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::placement::tests::map_of;

    /// Computed with another implementation of xxh3.
    #[test]
    fn the_hash_never_changes() {
        let hash = |c, p| point_hash(CollectionId(c), p);
        let golden = [
            (hash(1, PointId::Num(0)), 0xa595_0f9c_4c7a_9188),
            (hash(1, PointId::Num(1)), 0xc42b_6e7f_1764_7e47),
            (hash(2, PointId::Num(1)), 0xfb7e_94eb_4fd3_db8d),
            (hash(1, PointId::Num(u64::MAX)), 0xee42_80a3_ab56_a9c5),
            (hash(1, PointId::Uuid(Uuid::from_u128(1))), 0x96e5_ecd7_611b_1993),
        ];
        for (found, expected) in golden {
            assert_eq!(found, expected, "{found:#018x}");
        }
    }

    proptest! {
        #[test]
        fn every_point_lies_in_the_range_of_its_shard(shards in 1u32..300, collection: u64, point: u64) {
            let map = map_of(3, shards, 3);
            let (collection, point) = (CollectionId(collection), PointId::Num(point));
            let shard = Ring::of(&map).unwrap().shard(collection, point);
            let (first, last) = map.shards[&shard].range;
            let hash = point_hash(collection, point);
            prop_assert!(first <= hash && hash <= last);
        }
    }

    #[test]
    fn points_spread_evenly() {
        let ring = Ring::of(&map_of(3, 8, 3)).unwrap();
        let mut held = BTreeMap::<ShardId, u32>::new();
        for point in 0..80_000 {
            *held.entry(ring.shard(CollectionId(1), PointId::Num(point))).or_default() += 1;
        }
        assert_eq!(held.len(), 8);
        assert!(held.values().all(|count| (9_500..10_500).contains(count)), "{held:?}");
    }

    #[test]
    fn both_ends_of_the_hash_space_have_a_shard() {
        let map = map_of(3, 7, 3);
        let ring = Ring::of(&map).unwrap();
        assert_eq!(ring.ends.last().map(|(last, _)| *last), Some(u64::MAX));
        assert_eq!(Ring::of(&ClusterMap::default()), None);
    }
}
