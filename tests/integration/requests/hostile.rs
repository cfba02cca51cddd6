//! Strangers at the door of real processes: other sites' pages, names that are not ours, bodies that do not come.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jepsen_lite::cluster::TestCluster;
use jepsen_lite::seed::seed;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{PATIENCE, place, single};

/// Requests that are served at once; as many bodies that do not come must not matter.
const AT_ONCE: usize = 1_024;

/// Who may listen to the events of one node at once.
const LISTENERS: usize = 64;

/// Sends these bytes on a connection of their own, and gives the status of the answer.
async fn raw(cluster: &TestCluster, text: &str) -> Result<String> {
    let mut stream = TcpStream::connect(cluster.nodes()[0].address()).await?;
    stream.write_all(text.as_bytes()).await?;
    let mut answer = vec![0; 4_096];
    let read = stream.read(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer[..read]).into_owned())
}

fn post(headers: &[&str], body: &str) -> String {
    let head = headers.join("\r\n");
    format!("POST /collections HTTP/1.1\r\n{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_sites_and_foreign_names_are_refused() -> Result<()> {
    let _place = place().await;
    seed("hostile-browser");
    let cluster = TestCluster::start(single("hostile-browser")).await?;
    let body = json!({"name": "planted", "vector_size": 2}).to_string();
    let own = cluster.nodes()[0].address();
    let (host, origin) = (format!("host: {own}"), "origin: http://evil.example");
    for (headers, wanted) in [
        (vec![&*host, origin, "sec-fetch-site: cross-site"], "403"),
        (vec![&*host, origin], "403"),
        (vec!["host: evil.example"], "403"),
        (vec![&*host, origin, "content-type: application/json"], "403"),
    ] {
        let answer = raw(&cluster, &post(&headers, &body)).await?;
        ensure!(answer.starts_with(&format!("HTTP/1.1 {wanted}")), "{headers:?}: {answer}");
        ensure!(answer.contains("foreign_host") || answer.contains("cross_site"), "{answer}");
    }
    let rebound = raw(&cluster, "GET /collections HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n").await?;
    ensure!(rebound.starts_with("HTTP/1.1 403"), "{rebound}");
    // Nothing more is taken from whoever sent such a head.
    let mut stream = TcpStream::connect(own).await?;
    let next = format!("GET /collections HTTP/1.1\r\n{host}\r\n\r\n");
    stream.write_all(format!("GET /collections HTTP/1.1\r\nhost: evil.example\r\n\r\n{next}").as_bytes()).await?;
    let mut answers = String::new();
    timeout(Duration::from_secs(30), stream.read_to_string(&mut answers)).await.context("the connection stays")??;
    ensure!(answers.matches("HTTP/1.1 ").count() == 1, "{answers}");
    let listed = cluster.client(0).get("/collections").await.ok()?;
    ensure!(!listed.to_string().contains("planted"), "{listed}");
    let no_browser = raw(&cluster, &post(&[&host], &body)).await?;
    ensure!(no_browser.starts_with("HTTP/1.1 201"), "{no_browser}");
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_listens_has_so_many_places_and_no_more() -> Result<()> {
    let _place = place().await;
    seed("hostile-listeners");
    let cluster = TestCluster::start(single("hostile-listeners")).await?;
    let stream = reqwest::Client::builder().no_proxy().build()?;
    let listen = || stream.get(format!("{}/quiver/v1/events", cluster.client(0).base())).send();
    let mut crowd = Vec::new();
    for _ in 0..LISTENERS {
        crowd.push(listen().await?.error_for_status()?);
    }
    let refused = listen().await?;
    ensure!(refused.status() == 429, "{}", refused.status());
    ensure!(refused.text().await?.contains("64 listeners"), "it does not say why");
    crowd.pop();
    let start = Instant::now();
    while listen().await?.status() != 200 {
        ensure!(start.elapsed() < PATIENCE, "a place is not given back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_do_not_come_keep_nobody_out() -> Result<()> {
    let _place = place().await;
    seed("hostile-bodies");
    let cluster = TestCluster::start(single("hostile-bodies")).await?;
    let (client, address) = (cluster.client(0), cluster.nodes()[0].address());
    client.create_collection("docs", 2, "dot").await.ok()?;
    let head = format!("POST /vectors HTTP/1.1\r\nhost: {address}\r\ncontent-length: 33554432\r\n\r\n{{");
    let mut crowd = Vec::new();
    while crowd.len() < AT_ONCE + 16 {
        // This process may have fewer descriptors: what it can hold open will do.
        let Ok(mut stream) = TcpStream::connect(address).await else { break };
        stream.write_all(head.as_bytes()).await?;
        crowd.push(stream);
    }
    println!("{} bodies of which one byte came", crowd.len());
    let point = json!({"id": 1, "vector": [1, 2]});
    client.upsert("docs", vec![point], json!({})).await.ok()?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_reads_what_a_node_writes() -> Result<()> {
    let _place = place().await;
    let cluster = TestCluster::start(single("hostile-files")).await?;
    let data = cluster.nodes()[0].data();
    for name in ["node.json", "raft"] {
        let mode = std::fs::metadata(data.join(name))?.permissions().mode();
        ensure!(mode & 0o077 == 0, "{name}: {mode:o}");
    }
    cluster.finish()
}

/// Sends a body to the peer port, or only its first bytes; the connection stays open.
async fn tell_peer(address: &str, path: &str, announced: usize, sent: usize) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {announced}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&vec![0; sent]).await?;
    Ok(stream)
}

/// The status of what the peer port says to a body that means nothing.
async fn peer_status(address: &str, path: &str, bytes: usize) -> Result<String> {
    let mut stream = tell_peer(address, path, bytes, bytes).await?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await?;
    Ok(String::from_utf8_lossy(&status[9..]).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_from_peers_takes_no_more_memory_than_it_may_and_keeps_no_heartbeat_out() -> Result<()> {
    const MEMORY: usize = 8 << 20;
    const LARGE: usize = 1 << 20;
    let _place = place().await;
    let memory = MEMORY.to_string();
    let args = ["--max-body-bytes", "1048576", "--body-memory", memory.as_str()];
    let cluster = TestCluster::start(single("hostile-peers").args(&args)).await?;
    let told = cluster.nodes()[0].out();
    let peers = told.rsplit_once("(peers ").and_then(|(_, rest)| rest.split_once(')')).map(|(address, _)| address);
    let peers = peers.context("the node says where its peer port is")?;
    for (path, other) in [("/raft", "/route"), ("/route", "/raft")] {
        let all_of_it = tell_peer(peers, path, 3 * MEMORY, 2 * MEMORY).await?;
        let until = async |is_refused: bool| {
            let start = Instant::now();
            while (peer_status(peers, path, LARGE).await? == "429") != is_refused {
                ensure!(start.elapsed() < PATIENCE, "{path}: it is never refused, or always: {is_refused}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            anyhow::Ok(())
        };
        until(true).await.context("while another takes all of the memory")?;
        ensure!(peer_status(peers, path, 60 << 10).await? != "429", "what is small is refused at {path}");
        ensure!(peer_status(peers, other, LARGE).await? != "429", "{other} has memory of its own");
        drop(all_of_it);
        until(false).await.context("once the other has gone")?;
    }
    cluster.finish()
}
