//! The verbs about data, from a shell: collections and points, names that would lead elsewhere, readers that leave.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use jepsen_lite::cluster::TestCluster;
use jepsen_lite::process::run;
use jepsen_lite::seed::seed;
use serde_json::json;

use crate::support::{PATIENCE, place, single};

/// A shell session with one node.
struct Shell(TestCluster);

impl Shell {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.0.verb(args);
        command.args(["--url", &self.0.nodes()[0].url()]);
        command
    }

    /// Runs a verb, which must end with `code`; what it printed, on both ways.
    async fn says(&self, code: i32, args: &[&str]) -> Result<String> {
        let finished = run(self.command(args), PATIENCE).await?;
        ensure!(finished.code == Some(code), "{args:?} ends with {code}: {finished:?}");
        Ok(finished.stdout + &finished.stderr)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collections_and_points_from_a_shell() -> Result<()> {
    let _place = place().await;
    seed("cli-data");
    let shell = Shell(TestCluster::start(single("cli-data")).await?);
    let make = ["collection", "create", "docs", "--size", "2", "--distance", "euclid"];
    ensure!(shell.says(0, &make).await?.contains("docs made"));
    ensure!(shell.says(0, &make).await?.contains("was there already"));
    shell.says(5, &["collection", "create", "docs", "--size", "3"]).await?;
    let points: Vec<_> = (1..=5).map(|id| json!({"id": id, "vector": [id, 0], "payload": {"n": id}})).collect();
    shell.0.client(0).upsert("docs", points, json!({})).await.ok()?;

    ensure!(shell.says(0, &["collection", "list"]).await?.contains("docs"));
    ensure!(shell.says(0, &["collection", "index", "docs", "n", "--type", "integer"]).await?.contains("completed"));
    ensure!(shell.says(0, &["collection", "show", "docs"]).await?.contains("integer"));
    ensure!(shell.says(4, &["point", "get", "docs", "1", "77"]).await?.contains("no point 77"));
    let few = r#"{"must":[{"key":"n","range":{"gte":4}}]}"#;
    ensure!(shell.says(0, &["point", "count", "docs", "--filter", few]).await?.trim() == "2");
    ensure!(shell.says(0, &["point", "scroll", "docs", "-n", "2"]).await?.contains("--offset 3"));
    ensure!(shell.says(0, &["point", "count", "docs", "--consistency", "all"]).await?.trim() == "5");
    ensure!(
        shell.says(0, &["point", "scroll", "docs", "-n", "2", "--consistency", "all"]).await?.contains("--offset 3")
    );

    // What cannot be taken back is not done where nobody can say yes, nor by a filter that every point passes.
    ensure!(shell.says(2, &["point", "delete", "docs", "--id", "1"]).await?.contains("--yes"));
    ensure!(shell.says(1, &["point", "delete", "docs", "--filter", "{}", "--yes"]).await?.contains("every point"));
    ensure!(shell.says(0, &["point", "delete", "docs", "--filter", few, "--yes"]).await?.contains("2 points deleted"));
    ensure!(shell.says(0, &["point", "count", "docs"]).await?.trim() == "3");
    shell.says(0, &["collection", "index", "docs", "n", "--drop"]).await?;
    shell.says(4, &["collection", "index", "docs", "n", "--drop"]).await?;

    // A name is a name, wherever it seems to lead.
    shell.says(4, &["op", "cancel", "../../../collections/docs", "--yes"]).await?;
    shell.says(2, &["node", "show", ".."]).await?;
    shell.says(4, &["node", "show", "?x=1"]).await?;
    ensure!(shell.says(0, &["point", "count", "docs"]).await?.trim() == "3", "the collection is still there");

    shell.says(2, &["collection", "delete", "docs"]).await?;
    shell.says(0, &["collection", "delete", "docs", "--yes"]).await?;
    shell.says(4, &["collection", "delete", "docs", "--yes"]).await?;
    shell.0.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_leaves_and_a_device_that_is_full() -> Result<()> {
    let _place = place().await;
    let shell = Shell(TestCluster::start(single("cli-out")).await?);
    let completions = || shell.0.verb(&["completions", "bash"]);
    for mut command in [shell.command(&["node", "list"]), shell.command(&["status"]), completions()] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
        let on_full = command.stdout(full).stderr(Stdio::piped()).output()?;
        let said = String::from_utf8_lossy(&on_full.stderr);
        ensure!(on_full.status.code() == Some(1) && said.contains("stdout"), "{on_full:?}");
    }
    for mut command in [shell.command(&["node", "list"]), shell.command(&["status"]), completions()] {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        drop(child.stdout.take().context("it was piped")?);
        let left = child.wait_with_output()?;
        ensure!(left.status.code() == Some(0) && left.stderr.is_empty(), "{left:?}");
    }
    shell.0.finish()
}
