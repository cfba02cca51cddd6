//! The cost of event listeners. Single writes are measured while nobody listens to the nodes' events, while each node
//! has a listener that reads, and while each has one that has stopped reading.

use super::writes::upsert;
use crate::cluster::load::{Taken, Until, encoded, run};
use crate::cluster::{BenchCluster, WRITES};
use crate::data::corpus::Corpus;
use crate::report::times::digits;
use crate::report::{Report, ReportRow};
use futures::StreamExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Clients that write.
const WRITERS: usize = 8;
/// Rounds of each kind of listener, in turn.
const ROUNDS: usize = 3;
/// Bodies that are made before a round: a bound on memory.
const WRITES_A_ROUND: u64 = 20_000;
/// A node records for half a minute after its last listener has left. This wait is longer.
const UNTIL_QUIET: Duration = Duration::from_secs(32);

/// The sums over all rounds of one kind of listener.
#[derive(Debug, Default)]
struct Sum {
    writes: f64,
    seconds: f64,
    processor_ms: f64,
}

impl Sum {
    fn add(&mut self, taken: &Taken) {
        self.writes += taken.times.len() as f64;
        self.seconds += taken.seconds;
        self.processor_ms += taken.processor_ms;
    }

    fn rate(&self) -> f64 {
        self.writes / self.seconds
    }

    fn processor_ms_per_write(&self) -> f64 {
        self.processor_ms / self.writes.max(1.0)
    }

    fn row(&self, name: &str, detail: String) -> ReportRow {
        let cpu = self.processor_ms_per_write();
        let row = ReportRow::new(name, format!("{} ms CPU a write", digits(cpu))).detail(detail);
        row.number("cpu_ms_per_write", cpu).number("writes_per_second", self.rate())
    }
}

/// Writes beside each kind of listener in turn. Rounds without listeners come first and last. So changes over time,
/// such as the size of the collection, affect both sides equally.
pub(crate) async fn measure(
    report: &mut Report,
    cluster: &BenchCluster,
    corpus: &Corpus,
    time: Duration,
) -> anyhow::Result<()> {
    let (mut alone, mut heard, mut stalled) = (Sum::default(), Sum::default(), Sum::default());
    let events = Arc::new(AtomicU64::new(0));
    // The very first round warms up caches and connections, and does not count.
    written(cluster, corpus, time).await?;
    alone.add(&written(cluster, corpus, time).await?);
    for _ in 0..ROUNDS {
        // Dropping the listeners closes their connections before the next kind begins.
        let listeners = listen(cluster, &events).await?;
        heard.add(&written(cluster, corpus, time).await?);
        drop(listeners);
        let sockets = ignore(cluster).await?;
        stalled.add(&written(cluster, corpus, time).await?);
        drop(sockets);
    }
    tokio::time::sleep(UNTIL_QUIET).await;
    for _ in 1..ROUNDS {
        alone.add(&written(cluster, corpus, time).await?);
    }
    // The rows compare each kind of listener with none.
    let rate = format!("{} single upserts a second, {WRITERS} clients", digits(alone.rate()));
    report.add(alone.row("events that nobody listens to", rate));
    let each = events.load(Ordering::Relaxed) as f64 / heard.writes.max(1.0);
    let read = format!("{} events a write read in all", digits(each));
    for (name, sum, more) in [
        ("events, a listener at each node", heard, read),
        ("events, a listener at each node that reads nothing", stalled, "it is told later what it missed".to_owned()),
    ] {
        let cpu = sum.processor_ms_per_write() / alone.processor_ms_per_write();
        let rate = sum.rate() / alone.rate();
        let detail = format!("{} times the CPU and {} times the writes of nobody; {more}", digits(cpu), digits(rate));
        report.add(sum.row(name, detail).number("cpu_ratio", cpu).number("rate_ratio", rate));
    }
    Ok(())
}

async fn written(cluster: &BenchCluster, corpus: &Corpus, time: Duration) -> anyhow::Result<Taken> {
    let bodies = encoded((0..WRITES_A_ROUND).map(|id| upsert(WRITES, corpus, id..id + 1)));
    run(cluster, WRITERS, Until { operations: WRITES_A_ROUND, time }, move |hand, number| {
        let bodies = bodies.clone();
        async move { hand.write_body("/vectors", bodies[number as usize].clone()).await }
    })
    .await
}

/// Reads and counts every node's events until the result is dropped.
async fn listen(cluster: &BenchCluster, events: &Arc<AtomicU64>) -> anyhow::Result<JoinSet<()>> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut tasks = JoinSet::new();
    for node in cluster.nodes() {
        let stream = http.get(format!("{}/quiver/v1/events", node.url)).send().await?.error_for_status()?;
        let (mut chunks, events) = (stream.bytes_stream(), events.clone());
        tasks.spawn(async move {
            let mut last = 0;
            while let Some(Ok(chunk)) = chunks.next().await {
                events.fetch_add(messages(&mut last, &chunk), Ordering::Relaxed);
            }
        });
    }
    Ok(tasks)
}

/// How many messages end in a chunk. Each message ends with an empty line. `last` is the byte before the chunk, and
/// becomes the chunk's last byte.
fn messages(last: &mut u8, chunk: &[u8]) -> u64 {
    let mut ended = 0;
    for byte in chunk {
        ended += u64::from(*byte == b'\n' && *last == b'\n');
        *last = *byte;
    }
    ended
}

/// Asks every node for its events and never reads them, until the result is dropped.
async fn ignore(cluster: &BenchCluster) -> anyhow::Result<Vec<TcpStream>> {
    let mut sockets = Vec::new();
    for node in cluster.nodes() {
        let address = node.url.trim_start_matches("http://");
        let mut socket = TcpStream::connect(address).await?;
        let request = format!("GET /quiver/v1/events HTTP/1.1\r\nHost: {address}\r\n\r\n");
        socket.write_all(request.as_bytes()).await?;
        sockets.push(socket);
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_across_chunks() {
        for size in [1, 2, 5, 100] {
            let mut last = 0;
            let ended: u64 =
                b"data: 1\nid: 1\n\ndata: 2\nid: 2\n\ndata".chunks(size).map(|part| messages(&mut last, part)).sum();
            assert_eq!(ended, 2, "chunks of {size}");
        }
    }

    #[test]
    fn rounds_are_summed() {
        let sum = Sum { writes: 200.0, seconds: 4.0, processor_ms: 100.0 };
        assert_eq!((sum.rate(), sum.processor_ms_per_write()), (50.0, 0.5));
    }
}
