//! Batches of searches against a model that sorts everything: what they show, with which of its payload, however many
//! shards the points lie in and however much of them is fetched afterwards.

use proptest::prelude::*;
use raft_groups::ReadMode;

use super::large::{nearest, of_size, write};
use super::{read, soon};
use crate::engine::{
    CollectionConfig, DEFAULT_VECTOR, Distance, Hit, PayloadSelector, PointId, PointWrite, SearchQuery, Target,
    VectorParams, VectorSelector,
};
use crate::model::Consistency;
use crate::routing::testing::FakeCluster;
use crate::routing::{Collection, PageSearch};

/// One of the searches of a batch, as it is drawn.
#[derive(Debug, Clone)]
struct Drawn {
    offset: usize,
    limit: usize,
    left_out: Option<u64>,
    /// Only points whose first component is at least this.
    least: Option<u8>,
    payload: u8,
    with_vector: bool,
}

impl Drawn {
    fn search(&self, docs: &Collection) -> PageSearch {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let with_payload = match self.payload {
            0 => PayloadSelector::None,
            1 => PayloadSelector::All,
            2 => PayloadSelector::Include(names(&["generation"])),
            3 => PayloadSelector::Include(names(&["nothing"])),
            _ => PayloadSelector::Exclude(names(&["pad"])),
        };
        let with_vector = if self.with_vector { VectorSelector::All } else { VectorSelector::None };
        let page = nearest(docs, self.limit, self.left_out.map(PointId::Num));
        let score_threshold = self.least.map(f32::from);
        let target = Target::Vector(vec![1.0, 0.0]);
        let query = SearchQuery { target, score_threshold, with_payload, with_vector, ..page.query };
        PageSearch { query, offset: self.offset, ..page }
    }

    /// What is shown of these points, whose scores are their first components: id, payload, and whether there are vectors.
    fn expected(&self, points: &[(u64, u8, usize)]) -> Vec<(PointId, Option<String>, bool)> {
        let mut best: Vec<_> =
            points.iter().filter(|(_, score, _)| self.least.is_none_or(|least| *score >= least)).collect();
        best.retain(|(id, _, _)| Some(*id) != self.left_out);
        best.sort_by_key(|(id, score, _)| (std::cmp::Reverse(*score), *id));
        let shown = best.into_iter().skip(self.offset).take(self.limit);
        let payload = |bytes: usize| match self.payload {
            0 => None,
            1 => Some(format!(r#"{{"generation":0,"pad":"{}"}}"#, "x".repeat(bytes))),
            3 => Some("{}".to_owned()),
            _ => Some(r#"{"generation":0}"#.to_owned()),
        };
        shown.map(|(id, _, bytes)| (PointId::Num(*id), payload(*bytes), self.with_vector)).collect()
    }
}

async fn check_batch(points: &[(u64, u8, usize)], batch: &[Drawn], shards: u32) {
    let cluster = FakeCluster::new(3, shards);
    let router = cluster.router(Some(1));
    let config = CollectionConfig { vectors: [(String::new(), VectorParams::new(2, Distance::Dot))].into() };
    let docs = router.create_collection("docs", config, Consistency::Quorum, soon()).await.unwrap().collection;
    let write_of = |(id, score, bytes): &(u64, u8, usize)| {
        let vectors = [(DEFAULT_VECTOR.to_owned(), vec![f32::from(*score), *id as f32])].into();
        PointWrite { vectors, ..of_size(*id, 0, *bytes) }
    };
    write(&router, &docs, points.iter().map(write_of).collect(), 1).await;
    let searches = batch.iter().map(|drawn| drawn.search(&docs)).collect();
    let pages = router.search(&docs, searches, read(ReadMode::Lease)).await.unwrap().value;
    for (drawn, page) in batch.iter().zip(pages) {
        let shown = |(_, hit): (_, Hit)| {
            let vectors = hit.vectors.map(|vectors| vectors[DEFAULT_VECTOR] == [hit.score, id_of(hit.id)]);
            assert!(vectors != Some(false), "{:?} has another's vector", hit.id);
            (hit.id, hit.payload.map(|payload| payload.text().to_owned()), vectors.is_some())
        };
        let shown: Vec<_> = page.hits.into_iter().map(shown).collect();
        let expected = drawn.expected(points);
        let ids = |list: &[(PointId, Option<String>, bool)]| list.iter().map(|(id, _, _)| *id).collect::<Vec<_>>();
        assert!(shown == expected, "{drawn:?}: {:?} and not {:?}", ids(&shown), ids(&expected));
    }
}

fn id_of(id: PointId) -> f32 {
    let PointId::Num(id) = id else { panic!("all are numbers") };
    id as f32
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn each_search_of_a_batch_shows_what_it_would_alone(
        points in prop::collection::btree_map(
            0_u64..40, (0_u8..6, prop_oneof![0_usize..200, 10_000_usize..150_000]), 1..30
        ),
        batch in prop::collection::vec(
            (0_usize..6, 1_usize..12, prop::option::of(0_u64..40), prop::option::of(0_u8..7), 0_u8..5, any::<bool>())
                .prop_map(|(offset, limit, left_out, least, payload, with_vector)| {
                    Drawn { offset, limit, left_out, least, payload, with_vector }
                }),
            1..9
        ),
        shards in prop::sample::select(vec![1_u32, 8, 300]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let points: Vec<_> = points.into_iter().map(|(id, (score, bytes))| (id, score, bytes)).collect();
        runtime.block_on(check_batch(&points, &batch, shards));
    }
}
