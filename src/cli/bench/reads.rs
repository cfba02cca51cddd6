//! Reads: points by id and searches, at each level, from eight clients; and searches one at a time for their latency.

use super::corpus::Corpus;
use super::fleet::Fleet;
use super::report::{Report, Row};
use super::strain::strain;
use super::{COLLECTION, count, say};
use crate::api::{Consistency, Found, Search, SearchParams, Searched, WithPayload, WithVector};
use crate::cli::client::{Client, Failure};
use std::sync::Arc;
use std::time::Duration;

/// Clients of a load of reads.
const CLIENTS: usize = 8;
/// A prime, to wander over ids without a pattern.
const STEP: u64 = 7_919;

/// Measures both kinds at all levels.
pub(super) async fn measure(
    fleet: &Fleet,
    corpus: &Corpus,
    length: Duration,
    report: &mut Report,
) -> anyhow::Result<()> {
    let levels = [Consistency::One, Consistency::Quorum, Consistency::All];
    for level in levels {
        say(&format!("get by id at {level}"));
        let (clients, points) = (fleet.clients(), corpus.points());
        let cpu = fleet.cpu_seconds()?;
        let mut run = strain(CLIENTS, length, move |worker, done| {
            let client = clients[worker % clients.len()].clone();
            let id = (worker as u64 * 104_729 + done * STEP) % points;
            async move { get(&client, id, level).await }
        })
        .await?;
        let row = Row::new(format!("get at {}, {CLIENTS} clients", shout(level)), run.per_second, "reads/s")
            .note(&run.latency());
        report.add(row.cpu(fleet.cpu_seconds()? - cpu, run.operations));
    }
    for (workers, level) in levels.map(|level| (CLIENTS, level)).into_iter().chain([(1, Consistency::Quorum)]) {
        say(&format!("search at {level}, {workers} clients"));
        let (clients, queries) = (fleet.clients(), Arc::new(corpus.queries().to_vec()));
        let cpu = fleet.cpu_seconds()?;
        let mut run = strain(workers, length, move |worker, done| {
            let client = clients[worker % clients.len()].clone();
            let vector = queries[(worker + done as usize * CLIENTS) % queries.len()].clone();
            async move { search(&client, vector, level).await }
        })
        .await?;
        let name = format!("exact search at {}, {workers} clients", shout(level));
        let note = format!("{}, top 10 of {}", run.latency(), count(corpus.points()));
        report.add(
            Row::new(name, run.per_second, "searches/s").note(&note).cpu(fleet.cpu_seconds()? - cpu, run.operations),
        );
    }
    Ok(())
}

fn shout(level: Consistency) -> String {
    level.as_str().to_uppercase()
}

async fn get(client: &Client, id: u64, level: Consistency) -> Result<(), Failure> {
    client.get::<Found>(&format!("/vectors/{COLLECTION}/{id}?consistency={level}")).await.map(drop)
}

/// Ten nearest, ids and scores only.
pub(super) async fn search(client: &Client, vector: Vec<f32>, level: Consistency) -> Result<(), Failure> {
    let search = Search {
        collection: COLLECTION.into(),
        vector: Some(vector),
        id: None,
        using: None,
        limit: 10,
        offset: 0,
        filter: None,
        score_threshold: None,
        with_payload: WithPayload::All(false),
        with_vector: WithVector::All(false),
        params: SearchParams { ef: None, exact: true },
        consistency: Some(level.into()),
        after: None,
        max_staleness_ms: None,
        timeout_ms: None,
        allow_partial: false,
    };
    client.ask::<Searched>("/search", &search).await.map(drop)
}
