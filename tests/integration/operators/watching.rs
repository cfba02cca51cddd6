//! Who watches a node's events and stops reading costs it a bounded buffer and nothing else: writes go on, memory stays,
//! and whoever reads on is told how much was missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use jepsen_lite::client::ApiClient;
use jepsen_lite::cluster::TestCluster;
use jepsen_lite::seed::seed;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{PATIENCE, place, single};

/// Consumers that stop reading.
const STALLED: usize = 64;
/// Points of a write: enough that every shard has some, so that one request makes many events.
const POINTS: u64 = 64;
/// Writers at once, how often each writes before the measure, and at most.
const WRITERS: usize = 4;
const WARM: usize = 200;
const MOST: usize = 50_000;
/// Bytes of events that pass during the measure: more than the system's own buffers of a connection take in, and then
/// more than the node keeps.
const ENOUGH: u64 = 5 << 20;
/// What a stalled consumer's connection takes in unread, at its own end: little, so that what the node does shows.
const RECEIVE_BUFFER: u32 = 4096;
/// Events that a node keeps, as its documentation says; a consumer further behind has missed some.
const KEPT: u64 = 8192;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_consumer_costs_the_node_a_bounded_buffer() -> Result<()> {
    let _place = place().await;
    seed("watching_stalled");
    let cluster = TestCluster::start(single("watching-stalled")).await?;
    let (client, node) = (cluster.client(0), &cluster.nodes()[0]);
    let created = client.create_collection("watched", 4, "euclid").await;
    ensure!(created.success(), "{}", created.problem);
    // The same points over and over, before the measure too: what grows then is not what is stored.
    write(&client, |writes| writes == WARM).await?;
    let before = resident_bytes(node.pid())?;

    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        stalled.push(consume(node.port(), Some(RECEIVE_BUFFER)).await?);
    }
    let passed = Arc::new(AtomicU64::new(0));
    let reader = tokio::spawn(count(consume(node.port(), None).await?, passed.clone()));
    let heard = passed.clone();
    write(&client, move |_| heard.load(Ordering::Relaxed) >= ENOUGH).await?;
    let after = resident_bytes(node.pid())?;
    reader.abort();

    let (passed, grown) = (passed.load(Ordering::Relaxed), after.saturating_sub(before));
    let mib = |bytes: u64| bytes >> 20;
    println!("  {} MiB of events; with {STALLED} stalled consumers the node grew by {} MiB", mib(passed), mib(grown));
    // Had it kept for each what it did not read, it would have grown by all that passed, for each.
    let hoarded = passed * STALLED as u64;
    ensure!(grown < hoarded / 3, "it grew by {} MiB of {} MiB that were not read", mib(grown), mib(hoarded));

    let (gap, next) = read_to_gap(stalled.remove(0)).await.context("whoever reads on is told of the gap")?;
    ensure!(gap > 0, "a gap of nothing");
    println!("  it was told that it missed {gap} events, and went on at {next}");
    ensure!(next > KEPT, "event {next} comes after a gap, although the node still had those before");
    cluster.finish()
}

/// Writes the same points from several clients at once, each until it has written enough; every write is acknowledged.
async fn write(client: &ApiClient, is_enough: impl Fn(usize) -> bool + Clone + Send + 'static) -> Result<()> {
    let points: Vec<Value> = (0..POINTS).map(|id| json!({"id": id, "vector": [id as f32, 1.0, 2.0, 3.0]})).collect();
    let writers = (0..WRITERS).map(|_| {
        let (client, points, is_enough) = (client.clone(), points.clone(), is_enough.clone());
        tokio::spawn(async move {
            for writes in 0.. {
                if is_enough(writes) {
                    break;
                }
                ensure!(writes < MOST, "{writes} writes, and not enough events of them were heard");
                let answer = client.upsert("watched", points.clone(), json!({})).await;
                ensure!(answer.success(), "{}", answer.problem);
            }
            Ok(())
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await??;
    }
    Ok(())
}

/// Asks for a node's events.
async fn consume(port: u16, receive_buffer: Option<u32>) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(size) = receive_buffer {
        socket.set_recv_buffer_size(size)?;
    }
    let mut stream = socket.connect(([127, 0, 0, 1], port).into()).await?;
    stream.write_all(b"GET /quiver/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    Ok(stream)
}

/// Reads, and counts the bytes.
async fn count(mut stream: TcpStream, bytes: Arc<AtomicU64>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(more @ 1..) = stream.read(&mut buffer).await {
        bytes.fetch_add(more as u64, Ordering::Relaxed);
    }
}

/// Reads until it is told of a gap: how many events it missed, and the number of the first one after.
async fn read_to_gap(mut stream: TcpStream) -> Result<(u64, u64)> {
    let (mut text, mut buffer) = (String::new(), vec![0; 1 << 16]);
    loop {
        let more = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await??;
        ensure!(more > 0, "the stream ended without a gap");
        text.push_str(&String::from_utf8_lossy(&buffer[..more]));
        let Some((_, after)) = text.split_once("event: gap\n") else {
            // What came before the gap is of no interest, but its name may be cut in two.
            let keep = text.char_indices().rev().nth(64).map_or(0, |(at, _)| at);
            text.drain(..keep);
            continue;
        };
        let field = |name: &str, text: &str| -> Option<u64> {
            let rest = text.split_once(&format!("\"{name}\":"))?.1;
            let end = rest.find(|letter: char| !letter.is_ascii_digit())?;
            rest[..end].parse().ok()
        };
        if let (Some(missed), Some(next)) = (field("missed", after), field("seq", after)) {
            return Ok((missed, next));
        }
        let kept = text.find("event: gap\n").unwrap_or(0);
        text.drain(..kept);
    }
}

/// What a process holds in memory.
fn resident_bytes(pid: Option<u32>) -> Result<u64> {
    let pid = pid.context("it does not run")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}
