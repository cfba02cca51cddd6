//! The command line: what it prints, what it exits with, and which of flag, environment and file wins.

use std::process::Command;

use anyhow::{Result, ensure};
use jepsen_lite::cluster::TestCluster;
use jepsen_lite::ports::PortLease;
use jepsen_lite::process::{ChildProcess, Finished, run};
use jepsen_lite::seed::seed;
use serde_json::json;

use crate::support::{PATIENCE, place, single};

async fn verb(cluster: &TestCluster, args: &[&str]) -> Result<Finished> {
    run(cluster.verb(args), PATIENCE).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn help_and_usage_errors() -> Result<()> {
    let cluster = TestCluster::prepare(single("cli-help"))?;
    for verbs in [
        &["--help"][..],
        &["server", "--help"],
        &["dev", "--help"],
        &["ingest", "--help"],
        &["search", "--help"],
        &["status", "--help"],
    ] {
        let help = verb(&cluster, verbs).await?;
        ensure!(help.code == Some(0) && help.stdout.contains("Usage") && help.stderr.is_empty(), "{verbs:?}: {help:?}");
    }
    let version = verb(&cluster, &["--version"]).await?;
    ensure!(version.code == Some(0) && version.stdout.starts_with("quiver "), "{version:?}");
    for wrong in [
        &["sarver"][..],
        &["server", "--shards", "many"],
        &["server", "--no-such-flag"],
        &["server", "--shards", "0"],
        &["server", "--listen", "nowhere"],
    ] {
        let finished = verb(&cluster, wrong).await?;
        ensure!(finished.code == Some(2), "usage errors exit with 2: {wrong:?}: {finished:?}");
        ensure!(!finished.stderr.is_empty() && !finished.stderr.contains("panicked"), "{wrong:?}: {finished:?}");
    }
    let nobody = PortLease::take()?;
    let url = format!("http://127.0.0.1:{}", nobody.port());
    let status = verb(&cluster, &["status", "--url", &url]).await?;
    ensure!(
        status.code == Some(7) && status.stderr.contains(&nobody.port().to_string()),
        "nobody there is 7: {status:?}"
    );
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_a_gateway_and_the_thin_clients() -> Result<()> {
    let _place = place().await;
    seed("cli");
    let mut cluster = TestCluster::start(single("cli")).await?;
    let (client, url) = (cluster.client(0), cluster.nodes()[0].url());
    let printed = cluster.node(0).out();
    let line = format!("quiver: node1 serving {url} (peers 127.0.0.1:");
    ensure!(printed.lines().count() == 1 && printed.starts_with(&line), "it printed {printed:?}");
    client.create_collection("docs", 4, "cosine").await.ok()?;
    let point = |id: u64, title: &str| json!({"id": id, "vector": [1, 2, 3, id], "payload": {"title": title}});
    client.upsert("docs", vec![point(1, "one"), point(2, "two")], json!({})).await.ok()?;

    let status = verb(&cluster, &["status", "--url", &url]).await?;
    ensure!(status.code == Some(0) && status.stdout.contains("node1"), "{status:?}");
    let found = verb(&cluster, &["search", "docs", "--id", "1", "--url", &url]).await?;
    ensure!(found.code == Some(0) && found.stdout.contains("two"), "{found:?}");
    let absent = verb(&cluster, &["search", "nope", "--id", "1", "--url", &url]).await?;
    ensure!(absent.code == Some(4) && absent.stderr.contains("nope"), "not found is 4: {absent:?}");

    let gateway = cluster.gateway().await?;
    let through = gateway.client();
    let answer = through.search("docs", &[1.0, 2.0, 3.0, 4.0], 3, json!({"consistency": "all"})).await.ok()?;
    ensure!(answer["results"][0]["id"] == 2, "{answer}");
    drop(gateway);

    used_places(&cluster).await?;
    ensure!(cluster.terminate(0).await? == Some(0), "a clean stop ends with 0");
    cluster.finish()
}

/// A port and a directory that another node uses: clear errors, named, and the other node none the worse.
async fn used_places(cluster: &TestCluster) -> Result<()> {
    let node = &cluster.nodes()[0];
    let (port, data) = (node.port().to_string(), node.data().to_string_lossy().into_owned());
    let other = cluster.logs().join("other-data").to_string_lossy().into_owned();
    let listen = format!("127.0.0.1:{port}");
    let used =
        verb(cluster, &["server", "--listen", &listen, "--peer-listen", "127.0.0.1:0", "--data-dir", &other]).await?;
    ensure!(matches!(used.code, Some(1 | 2)) && used.stderr.contains(&port), "a used port: {used:?}");
    let locked =
        verb(cluster, &["server", "--listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0", "--data-dir", &data])
            .await?;
    ensure!(matches!(locked.code, Some(1 | 2)) && locked.stderr.contains(&data), "a directory in use: {locked:?}");
    for finished in [used, locked] {
        ensure!(!finished.stderr.contains("panicked"), "{finished:?}");
    }
    ensure!(cluster.client(0).health().await.status == Some(200), "the running node suffered");
    Ok(())
}

/// Starts a server and returns the port that it says it serves on.
async fn serves_on(command: Command, dir: &std::path::Path, name: &str) -> Result<u16> {
    let (out, err) = (dir.join(format!("{name}.out")), dir.join(format!("{name}.log")));
    let mut process = ChildProcess::start(command, &out, &err)?;
    let start = std::time::Instant::now();
    loop {
        let printed = std::fs::read_to_string(&out)?;
        if let Some(port) = printed.split("http://127.0.0.1:").nth(1).and_then(|rest| rest.split_whitespace().next()) {
            return Ok(port.parse()?);
        }
        let said = || std::fs::read_to_string(&err).unwrap_or_default();
        ensure!(process.ended().is_none() && start.elapsed() < PATIENCE, "{name} does not serve:\n{}", said());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flag_beats_the_environment_beats_the_file() -> Result<()> {
    let _place = place().await;
    let cluster = TestCluster::prepare(single("cli-precedence"))?;
    let ports = [PortLease::take()?, PortLease::take()?, PortLease::take()?];
    let address = |index: usize| format!("127.0.0.1:{}", ports[index].port());
    let dir = cluster.logs();
    let file = dir.join("quiver.toml");
    std::fs::write(&file, format!("listen = \"{}\"\npeer_listen = \"127.0.0.1:0\"\n", address(0)))?;
    for (index, name) in ["file", "environment", "flag"].into_iter().enumerate() {
        let mut command = cluster.verb(&["server", "--config", &file.to_string_lossy()]);
        command.arg("--data-dir").arg(dir.join(format!("data-{name}")));
        if index >= 1 {
            command.env("QUIVER_LISTEN", address(1));
        }
        if index >= 2 {
            command.args(["--listen", &address(2)]);
        }
        let port = serves_on(command, &dir, name).await?;
        ensure!(port == ports[index].port(), "with {name} it serves on {port}, not {}", ports[index].port());
    }
    std::fs::write(&file, "lissten = \"127.0.0.1:1\"\n")?;
    let typo = verb(&cluster, &["server", "--config", &file.to_string_lossy()]).await?;
    ensure!(typo.code == Some(2) && typo.stderr.contains("lissten"), "a typo in the file: {typo:?}");
    cluster.finish()
}
