//! The pipeline of an ingest: a thread reads rows, several clients send batches, and one task keeps the account.
//!
//! Rows of one id are written in their order. A batch ends before an id that it already holds, and it waits for earlier
//! batches that hold one of its ids.
//!
//! A batch keeps one `request_id` through all its retries, so an attempt with an unknown outcome cannot apply it twice.
//! The server refuses a batch as a whole. If it blames an item, that item is set aside as rejected, and the rest is
//! sent as a new batch.

use super::body;
use super::order::{Repeats, Turns};
use super::source::{InputRow, InputRows};
use crate::api::{Consistency, PointId, PointInput, PointsHead, Upserted};
use crate::client::{Client, Failure};
use anyhow::{Context, bail};
use futures::StreamExt;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::iter::Peekable;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use uuid::Uuid;

/// What to load into, and how.
#[derive(Clone)]
pub struct LoadPlan {
    /// The collection.
    pub collection: String,
    /// Most points of one request.
    pub batch: usize,
    /// Requests in flight.
    pub clients: usize,
    /// Level of the writes; `None` for the collection's default.
    pub consistency: Option<Consistency>,
    /// How long one batch is retried after it first failed.
    pub patience: Duration,
    /// The run stops when more rows than this are rejected.
    pub max_rejects: u64,
}

/// A row that was not stored, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Reject {
    /// Its number, from 0.
    pub row: u64,
    /// Its id, if the row could be read.
    pub id: Option<crate::api::PointId>,
    /// Why.
    pub reason: String,
}

/// The account so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Account {
    /// Rows that are done, counted from the input's first without a gap. In a resumed run, 0 until its first batch is
    /// done.
    pub rows_done: u64,
    /// The part of the input that they are, from 0 to 1, if it is known.
    pub fraction: Option<f64>,
    /// Points stored in this run.
    pub points: u64,
    /// Rows rejected in this run.
    pub rejected: u64,
    /// Requests repeated in this run.
    pub retries: u64,
    /// Ids that came more than once in this run. The last row of each counts.
    pub repeated: u64,
    /// `true` if there may be more of those, because not all ids could be remembered.
    pub repeated_at_least: bool,
}

/// The listener of a run.
pub trait Journal {
    /// The account has grown. `rejects` are the rows that were rejected since the last call. An error ends the run.
    fn update(&mut self, account: &Account, rejects: &[Reject]) -> anyhow::Result<()>;
}

/// Rows that were read and not sent yet.
struct Batch {
    number: u64,
    rows_end: u64,
    fraction: Option<f64>,
    /// Each point with the number of its row.
    points: Vec<(u64, PointInput)>,
    rejects: Vec<Reject>,
    /// How many ids came for the second time, and `true` if there may be more.
    repeated: (u64, bool),
}

/// A batch that has been sent, without its points.
struct Sent {
    number: u64,
    rows_end: u64,
    fraction: Option<f64>,
    points: u64,
    rejects: Vec<Reject>,
    repeated: (u64, bool),
}

/// Sends all `rows`, in batches and in parallel. Returns the account of the run.
///
/// # Errors
/// The first failure that neither waiting nor setting a row aside can cure; an error of the journal; too many rejects.
pub async fn load(
    client: Arc<Client>,
    load: LoadPlan,
    rows: InputRows,
    journal: &mut impl Journal,
) -> anyhow::Result<Account> {
    let retries = Arc::new(AtomicU64::new(0));
    let (clients, max_rejects) = (load.clients, load.max_rejects);
    let batches = futures::stream::unfold(read_ahead(rows, load.batch, clients), async |mut queue| {
        Some((queue.recv().await?, queue))
    });
    // Places are taken in the order of the input, because the stream is polled in order. Sending runs in parallel.
    let turns = Turns::default();
    let sending = batches.map(|batch: anyhow::Result<Batch>| {
        let (client, load, retries) = (client.clone(), load.clone(), retries.clone());
        let ids = |batch: &Batch| turns.take(batch.number, batch.points.iter().map(|(_, point)| point.id));
        let batch = batch.map(|batch| (ids(&batch), batch));
        async move {
            let (turn, batch) = batch?;
            turn.comes().await;
            let rows_end = batch.rows_end;
            // Each batch has its own task, so that batches are encoded on all cores.
            let sent = tokio::spawn(async move { send(&client, &load, &retries, batch).await }).await?;
            sent.with_context(|| format!("a batch that ends before row {rows_end} failed"))
        }
    });
    let mut sending = std::pin::pin!(sending.buffer_unordered(clients));
    let (mut account, mut early, mut next) = (Account::default(), BTreeMap::new(), 0);
    while let Some(sent) = sending.next().await {
        // The retries of a batch that failed were made, too.
        account.retries = retries.load(Ordering::Relaxed);
        let sent = match sent {
            Ok(sent) => sent,
            Err(error) => return journal.update(&account, &[]).and(Err(error)),
        };
        account.points += sent.points;
        account.rejected += sent.rejects.len() as u64;
        account.repeated += sent.repeated.0;
        account.repeated_at_least |= sent.repeated.1;
        // Batches end in any order. Rows count as done only up to the first batch that has not ended.
        early.insert(sent.number, (sent.rows_end, sent.fraction));
        while let Some((rows_end, fraction)) = early.remove(&next) {
            (account.rows_done, account.fraction) = (rows_end, fraction);
            next += 1;
        }
        journal.update(&account, &sent.rejects)?;
        // The journal has heard of these rejects already, so the list is complete.
        if account.rejected > max_rejects {
            bail!("more than {max_rejects} rows were rejected: see their reasons, or raise --max-rejects");
        }
    }
    Ok(account)
}

/// Reads and parses rows on a thread of its own, at most two batches a client ahead.
fn read_ahead(rows: InputRows, size: usize, clients: usize) -> mpsc::Receiver<anyhow::Result<Batch>> {
    let (queue, batches) = mpsc::channel(clients * 2);
    std::thread::spawn(move || {
        let mut rows = rows.peekable();
        let (mut number, mut repeats) = (0, Repeats::default());
        while rows.peek().is_some() {
            let batch = gather(number, size, &mut rows, &mut repeats);
            // An error of the input, or a run that has ended, stops the thread.
            let last = batch.is_err();
            if queue.blocking_send(batch).is_err() || last {
                return;
            }
            number += 1;
        }
    });
    batches
}

/// The next rows: at most `size`, and no id twice, because one request cannot write a point twice.
fn gather(number: u64, size: usize, rows: &mut Peekable<InputRows>, repeats: &mut Repeats) -> anyhow::Result<Batch> {
    let (points, rejects) = (Vec::new(), Vec::new());
    let mut batch = Batch { number, rows_end: 0, fraction: None, points, rejects, repeated: (0, false) };
    let mut ids = HashSet::new();
    // Rows without a point take a place in the batch, too.
    let fits = |row: &anyhow::Result<InputRow>, ids: &mut HashSet<PointId>| match row {
        Ok(InputRow { point: Ok(point), .. }) => ids.insert(point.id),
        Ok(_) | Err(_) => true,
    };
    for _ in 0..size {
        let Some(row) = rows.next_if(|row| fits(row, &mut ids)) else { break };
        let row = row?;
        (batch.rows_end, batch.fraction) = (row.number + 1, row.fraction);
        match row.point {
            Ok(point) => {
                batch.repeated.0 += u64::from(repeats.comes_again(point.id));
                batch.points.push((row.number, point));
            }
            Err(reason) => batch.rejects.push(Reject { row: row.number, id: None, reason }),
        }
    }
    batch.repeated.1 = repeats.misses_some;
    Ok(batch)
}

/// Sends one batch. Points that the server blames are set aside.
async fn send(client: &Client, load: &LoadPlan, retries: &AtomicU64, batch: Batch) -> Result<Sent, Failure> {
    let Batch { number, rows_end, fraction, points, rejects, repeated } = batch;
    let mut sent = Sent { number, rows_end, fraction, points: 0, rejects, repeated };
    // Parts of the batch that are still to send. A part that was blamed comes back smaller, so this ends.
    let mut pending = apart(points);
    // The last is sent first.
    pending.reverse();
    while let Some(mut points) = pending.pop() {
        if points.is_empty() {
            continue;
        }
        let head = PointsHead {
            collection: load.collection.clone(),
            using: None,
            consistency: load.consistency.map(Into::into),
            request_id: Some(Uuid::new_v4()),
            timeout_ms: None,
        };
        let body = body::of(head, &points);
        let count = |_: &Failure| {
            retries.fetch_add(1, Ordering::Relaxed);
        };
        let answer: Result<Upserted, _> = client.write_body("/vectors", body, load.patience, count).await;
        match answer.map_err(|failure| (blamed(&failure, points.len()), failure)) {
            Ok(_) => sent.points += points.len() as u64,
            Err((Blame::Nobody, failure)) => return Err(failure),
            // The rest goes out as a new batch, under a new request id.
            Err((Blame::Item(position), failure)) => {
                let (row, point) = points.remove(position);
                sent.rejects.push(Reject { row, id: Some(point.id), reason: failure.to_string() });
                pending.push(points);
            }
            // The first half is sent first: rows of one id keep their order.
            Err((Blame::SomeItem, _)) => {
                let half = points.split_off(points.len() / 2);
                pending.extend([half, points]);
            }
        }
    }
    Ok(sent)
}

/// Points with a condition each by itself, and what lies between them together, in order. Of several shards each writes its
/// part of a batch or refuses it: sent again after a refusal, a point that was written would fail its own condition.
fn apart(points: Vec<(u64, PointInput)>) -> Vec<Vec<(u64, PointInput)>> {
    let mut parts: Vec<Vec<(u64, PointInput)>> = Vec::new();
    let mut joins_free = false;
    for (row, point) in points {
        let is_free = point.if_version.is_none();
        match parts.last_mut() {
            Some(part) if is_free && joins_free => part.push((row, point)),
            _ => parts.push(vec![(row, point)]),
        }
        joins_free = is_free;
    }
    parts
}

enum Blame {
    /// The request as such failed.
    Nobody,
    /// This item is at fault.
    Item(usize),
    /// Some item is at fault, or all together are too large. Sending the halves will tell.
    SomeItem,
}

/// Which of `items` items the failure blames. Only refusals of the content blame an item.
fn blamed(failure: &Failure, items: usize) -> Blame {
    let Failure::Refused { http: 400 | 412 | 413 | 422, status } = failure else {
        return Blame::Nobody;
    };
    // Without a position, a batch of one item leaves no doubt.
    let position = status.details.get("position").and_then(serde_json::Value::as_u64);
    match position.and_then(|position| usize::try_from(position).ok()) {
        Some(position) if position < items => Blame::Item(position),
        _ if items == 1 => Blame::Item(0),
        _ => Blame::SomeItem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_with_a_condition_go_by_themselves_and_in_order() {
        let point = |(row, condition): (usize, &bool)| {
            let condition = if *condition { r#", "if_version": 0"# } else { "" };
            let text = format!(r#"{{"id": 7, "vector": [1]{condition}}}"#);
            (row as u64, serde_json::from_str(&text).expect("a point"))
        };
        let parts = |conditions: &[bool]| -> Vec<Vec<u64>> {
            let parts = apart(conditions.iter().enumerate().map(point).collect());
            parts.iter().map(|part| part.iter().map(|(row, _)| *row).collect()).collect()
        };
        assert_eq!(parts(&[false, false, false]), [[0, 1, 2]]);
        assert_eq!(parts(&[true, true]), [[0], [1]]);
        assert_eq!(parts(&[false, false, true, false, true]), [vec![0, 1], vec![2], vec![3], vec![4]]);
        assert!(parts(&[]).is_empty());
    }
}
