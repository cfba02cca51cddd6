//! Writes: batches from one client and from eight, then single points from one client and from sixty-four.

use super::corpus::Corpus;
use super::fleet::Fleet;
use super::report::{Report, Row};
use super::strain::strain;
use super::{COLLECTION, count, say};
use crate::api::{PointId, PointInput, Upsert, Upserted, VectorValue};
use crate::cli::client::{Client, Failure};
use crate::cli::ingest::{Account, Journal, Load, Reject, create, load};
use crate::cli::progress::Progress;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Points of a batch.
const BATCH: usize = 100;
/// Clients that write single points, where group commit is to show.
const CROWD: usize = 64;
/// How long a write is retried.
const PATIENCE: Duration = Duration::from_secs(30);

/// Loads the corpus: a tenth from one client, the rest from eight.
pub(super) async fn ingest(fleet: &Fleet, corpus: &Corpus, report: &mut Report) -> anyhow::Result<()> {
    create(&fleet.client(0), COLLECTION, Some(corpus.size()), None, PATIENCE).await?;
    let share = corpus.points() / 10;
    for (clients, from, to) in [(1, 0, share), (8, share, corpus.points())] {
        say(&format!("ingest of {} points, batch {BATCH}, {clients} clients", count(to - from)));
        let plan = Load {
            collection: COLLECTION.into(),
            batch: BATCH,
            clients,
            consistency: None,
            patience: PATIENCE,
            max_rejects: 0,
        };
        let (cpu, begun) = (fleet.cpu_seconds()?, Instant::now());
        let mut bar = Bar(Progress::start("bench: ingest"));
        let account = load(fleet.client(0), plan, corpus.rows(from, to)?, &mut bar).await?;
        let elapsed = begun.elapsed().as_secs_f64();
        bar.0.finish();
        let row =
            Row::new(format!("ingest, batch {BATCH}, {clients} clients"), account.points as f64 / elapsed, "vectors/s");
        let note =
            format!("{} points in {elapsed:.1} s, {} retries; CPU per vector", count(account.points), account.retries);
        report.add(row.cpu(fleet.cpu_seconds()? - cpu, account.points).note(&note));
    }
    Ok(())
}

struct Bar(Progress);

impl Journal for Bar {
    fn update(&mut self, account: &Account, _: &[Reject]) -> anyhow::Result<()> {
        self.0.show(account.points, account.fraction);
        Ok(())
    }
}

/// Single points: one client, whose every write waits for a sync of its own, and a crowd, whose writes share syncs.
pub(super) async fn single(
    fleet: &Fleet,
    corpus: &Corpus,
    length: Duration,
    syncs_per_second: f64,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut rates = Vec::new();
    for workers in [1, CROWD] {
        say(&format!("single writes, {workers} clients"));
        let (clients, queries) = (fleet.clients(), Arc::new(corpus.queries().to_vec()));
        let first = corpus.points();
        let cpu = fleet.cpu_seconds()?;
        let mut run = strain(workers, length, move |worker, done| {
            let client = clients[worker % clients.len()].clone();
            let vector = queries[done as usize % queries.len()].clone();
            // Ids of its own for each worker, again and again: the corpus stays what it is.
            let id = first + worker as u64 * 16 + done % 16;
            async move { write(&client, id, vector).await }
        })
        .await?;
        let row = Row::new(format!("single write, {workers} clients"), run.per_second, "writes/s").note(&run.latency());
        report.add(row.cpu(fleet.cpu_seconds()? - cpu, run.operations));
        rates.push(run.per_second);
    }
    let serial = rates[0].max(f64::MIN_POSITIVE);
    let note = format!("{CROWD} clients against one, whose every write has a sync of its own");
    report.add(Row::new("group commit", rates[1] / serial, "times").note(&note));
    let note = format!("{CROWD} clients against the disk's own fdatasync rate; three nodes share that disk");
    report.add(Row::new("group commit, against the disk", rates[1] / syncs_per_second, "times").note(&note));
    Ok(())
}

async fn write(client: &Client, id: u64, vector: Vec<f32>) -> Result<(), Failure> {
    let point =
        PointInput { id: PointId::Num(id), vector: VectorValue::Single(vector), payload: None, if_version: None };
    upsert(client, vec![point]).await
}

/// Writes points under a request id of their own.
pub(super) async fn upsert(client: &Client, vectors: Vec<PointInput>) -> Result<(), Failure> {
    let upsert = Upsert {
        collection: COLLECTION.into(),
        vectors,
        consistency: None,
        request_id: Some(Uuid::new_v4()),
        timeout_ms: None,
    };
    client.write::<Upserted>("/vectors", &upsert, PATIENCE, |_| {}).await.map(drop)
}
