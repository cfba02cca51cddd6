//! Searches over HTTP by the index: what each recall costs all the servers, and how many searches are answered.
//!
//! In: a cluster whose points are indexed. Out: rows by recall and number of clients, and rows for filtered searches.

use super::reads::{numbers, searches};
use super::writes::people;
use crate::cluster::load::{Taken, Until, encoded, run};
use crate::cluster::{BenchCluster, COLLECTION};
use crate::data::corpus::Corpus;
use crate::data::parts::{FIELDS, PARTS, Part};
use crate::data::truth::{TOP, Truth, right};
use crate::report::times::digits;
use crate::report::{Report, ReportRow};
use parking_lot::Mutex;
use quiver::api::{Consistency, Search, SearchParams, Searched};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Breadths that are tried, the narrowest first. Each applies to every shard.
const LADDER: [usize; 7] = [10, 16, 24, 32, 48, 64, 96];
/// The recalls to be reached.
const GOALS: [f64; 3] = [0.95, 0.97, 0.99];
/// The bar: at this recall, a search takes at most so many milliseconds of all servers.
const BAR: (f64, f64) = (0.97, 0.6);
/// Recall that a filtered search must reach.
const FILTERED_RECALL_BAR: f64 = 0.99;
/// How many clients ask every query once.
const JUDGES: usize = 4;
/// How many searches are encoded before a load.
const SEARCHES: u64 = 100;

/// The options of searches.
#[derive(Clone, Copy, Default)]
struct Style {
    /// The breadth; `None` for the default.
    ef: Option<usize>,
    /// The part whose filter they have; `None` for no filter.
    part: Option<&'static Part>,
}

impl Style {
    fn search(self, corpus: &Corpus, number: u64) -> Search {
        Search {
            params: SearchParams { ef: self.ef, exact: false },
            filter: self.part.map(Part::filter),
            consistency: Some(Consistency::Quorum.into()),
            ..corpus.search(COLLECTION, number)
        }
    }
}

/// Measures with the defaults, and then at the narrowest breadth that reaches each goal, by one client and by eight.
pub(crate) async fn ladder(
    report: &mut Report,
    cluster: &BenchCluster,
    corpus: &Corpus,
    (points, is_full): (u64, bool),
    time: Duration,
) -> anyhow::Result<()> {
    let (truth, _) = corpus.truth(points, None);
    let default = judged(cluster, corpus, &truth, Style::default()).await?;
    let name = format!("search over HTTP, {points} x {}", corpus.columns);
    for clients in [1, 8] {
        let taken = load(cluster, corpus, Style::default(), clients, time).await?;
        report.add(row(format!("{name}, {}", people(clients)), &taken, default, "default ef"));
    }
    let mut reached = Vec::new();
    for ef in LADDER {
        let style = Style { ef: Some(ef), ..Style::default() };
        reached.push((style, ef, judged(cluster, corpus, &truth, style).await?));
        // A wider search costs more and is needed for no goal.
        if reached.last().is_some_and(|(_, _, recall)| *recall >= GOALS[GOALS.len() - 1]) {
            break;
        }
    }
    let mut loads = BTreeMap::new();
    for goal in GOALS {
        let Some((style, ef, recall)) = reached.iter().find(|(_, _, recall)| *recall >= goal) else {
            report.add(ReportRow::new(format!("search over HTTP at recall@10 >= {goal}"), "not reached"));
            continue;
        };
        // One breadth may reach several goals.
        if !loads.contains_key(ef) {
            let alone = load(cluster, corpus, *style, 1, time).await?;
            loads.insert(*ef, [(1, alone), (8, load(cluster, corpus, *style, 8, time).await?)]);
        }
        for (clients, taken) in &loads[ef] {
            let name = format!("search over HTTP at recall@10 >= {goal}, {}", people(*clients));
            let row = row(name, taken, *recall, &format!("ef {ef} a shard"));
            let is_met = taken.processor_ms_per(1.0) <= BAR.1;
            report.add(row.bar_where(is_full && goal == BAR.0, format!("<= {} ms CPU", BAR.1), is_met));
        }
    }
    Ok(())
}

/// Measures searches among the points of each part. The fields of the filters are indexed first.
pub(crate) async fn filtered(
    report: &mut Report,
    cluster: &BenchCluster,
    corpus: &Corpus,
    points: u64,
    time: Duration,
) -> anyhow::Result<()> {
    let (client, path) = (cluster.client(0)?, format!("/collections/{COLLECTION}/index?wait=true"));
    for (field, kind) in FIELDS {
        // Without a payload index a filter would be tested point by point.
        let wish = json!({ "field_name": field, "field_schema": kind });
        let _: Value = client.change(&Method::PUT, &path, &wish).await?;
    }
    for part in &PARTS {
        let (truth, _) = corpus.truth(points, Some(part));
        let style = Style { part: Some(part), ..Style::default() };
        let recall = judged(cluster, corpus, &truth, style).await?;
        for clients in [1, 8] {
            let taken = load(cluster, corpus, style, clients, time / 2).await?;
            let share = corpus.ids(points, Some(part)).count() as f64 / points as f64 * 1e2;
            let name = format!("search over HTTP in {} ({share:.1} %), {}", part.name, people(clients));
            let row = row(name, &taken, recall, "payload index");
            let bar = format!("recall >= {FILTERED_RECALL_BAR}");
            report.add(row.bar_where(clients == 1, bar, recall >= FILTERED_RECALL_BAR));
        }
    }
    Ok(())
}

/// The recall over every query with a known answer. Each is asked once.
async fn judged(cluster: &BenchCluster, corpus: &Corpus, truth: &Truth, style: Style) -> anyhow::Result<f64> {
    let queries = truth.0.len() as u64;
    let bodies = encoded((0..queries).map(|number| style.search(corpus, number)));
    let answers = Arc::new(Mutex::new(Vec::new()));
    let gathered = answers.clone();
    run(cluster, JUDGES, Until::all(queries), move |hand, number| {
        let (bodies, gathered) = (bodies.clone(), gathered.clone());
        async move {
            let found: Searched = hand.client().ask_body("/search", bodies[number as usize].clone()).await?;
            gathered.lock().push((number, numbers(&found)));
            Ok(())
        }
    })
    .await?;
    let answers = answers.lock();
    let correct = answers
        .iter()
        .map(|(number, hits)| right(corpus.query(*number), &truth.0[*number as usize], hits, |id| corpus.vector(id)));
    // A part may have fewer than ten points.
    let all: usize = truth.0.iter().map(|exact| exact.len().min(TOP)).sum();
    Ok(correct.sum::<usize>() as f64 / all.max(1) as f64)
}

async fn load(
    cluster: &BenchCluster,
    corpus: &Corpus,
    style: Style,
    clients: usize,
    time: Duration,
) -> anyhow::Result<Taken> {
    let bodies = encoded((0..SEARCHES).map(|number| style.search(corpus, number)));
    searches(cluster, bodies, clients, time).await
}

fn row(name: String, taken: &Taken, recall: f64, how: &str) -> ReportRow {
    let cpu = taken.processor_ms_per(1.0);
    let row = ReportRow::new(name, format!("{} ms CPU", digits(cpu)));
    let row = row.detail(format!("{}/s, {}; recall {recall:.4}, {how}", digits(taken.rate()), taken.times.summary()));
    let row = row.number("cpu_ms", cpu).number("per_second", taken.rate()).number("recall", recall);
    row.number("p50_ms", taken.times.p50()).number("p99_ms", taken.times.p99())
}
