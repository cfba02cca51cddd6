//! `quiver demo`, as a real process: its lessons played by machine, its strings, and that nothing is left when it ends.
//! The twelve lessons are shared out among two clusters; they take a little over a minute together.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jepsen_lite::client::ApiClient;
use jepsen_lite::cluster::TestCluster;
use jepsen_lite::process::{ChildProcess, clean_command};
use jepsen_lite::scratch::ScratchDirectory;
use jepsen_lite::seed::seed;
use serde_json::{Value, json};

use crate::support::terminal::Terminal;
use crate::support::{PATIENCE, binary, place, single};

/// How long one request of the demo may take: a step of a lesson waits for what it announces.
const STEP_PATIENCE: Duration = Duration::from_secs(300);

/// A running demo.
struct Demo {
    process: ChildProcess,
    client: ApiClient,
    scratch: ScratchDirectory,
}

impl Demo {
    async fn start(name: &str, args: &[&str]) -> Result<Self> {
        let scratch = ScratchDirectory::new(name)?;
        let (out, err, temp) = (scratch.logs().join("out"), scratch.logs().join("err"), scratch.root().join("temp"));
        std::fs::create_dir(&temp)?;
        let mut command = clean_command(&binary());
        command.args(["demo", "--port", "0"]).args(args).env("TMPDIR", &temp);
        let mut process = ChildProcess::start(command, &out, &err)?;
        let start = Instant::now();
        loop {
            let said = std::fs::read_to_string(&out)?;
            if let Some(url) = said.split_whitespace().find(|word| word.starts_with("http://")) {
                let client = ApiClient::new(url).with_deadline(STEP_PATIENCE);
                return Ok(Self { process, client, scratch });
            }
            ensure!(process.ended().is_none(), "it ended: {said}{}", std::fs::read_to_string(&err)?);
            ensure!(start.elapsed() < PATIENCE, "it names no page");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn state(&self) -> Result<Value> {
        self.client.get("/api/state").await.ok()
    }

    async fn post(&self, path: &str) -> Result<Value> {
        self.client.post(path, &json!({})).await.ok()
    }

    /// Plays a lesson to its end, each question answered, each check held.
    async fn play(&self, lesson: &str) -> Result<()> {
        let start = Instant::now();
        let mut state = self.post(&format!("/api/lessons/{lesson}/start")).await.context("it does not begin")?;
        loop {
            ensure!(
                state["question"]["right"].is_null() && state["did"].is_null(),
                "a step gives itself away: {state}"
            );
            let answered =
                self.client.post(&format!("/api/lessons/{lesson}/answer"), &json!({"choice": 0})).await.ok()?;
            ensure!(answered["question"]["right"].is_u64(), "an answer is not judged: {answered}");
            state = self.post(&format!("/api/lessons/{lesson}/next")).await?;
            let checks = state["checks"].as_array().context("no checks")?;
            ensure!(!checks.is_empty(), "a step without a check: {state}");
            for check in checks {
                ensure!(check["holds"] == true, "step {}: {check}\nafter: {}", state["step"], state["did"]);
            }
            if state["done"] == true {
                break;
            }
            state = self.post(&format!("/api/lessons/{lesson}/next")).await?;
        }
        println!("  {lesson}: {} steps hold, {:.1} s", state["of"], start.elapsed().as_secs_f64());
        Ok(())
    }

    async fn play_all(&self, lessons: &[&str]) -> Result<()> {
        for lesson in lessons {
            if let Err(failure) = self.play(lesson).await {
                let told = self.tell_recording().await.unwrap_or_else(|error| format!("no recording: {error:#}"));
                return Err(failure.context(format!("lesson {lesson}; the last of the group's events:\n{told}")));
            }
        }
        Ok(())
    }

    /// Keeps the recording, for `quiver demo --replay`; returns what the group of lessons went through last, without the
    /// traffic.
    async fn tell_recording(&self) -> Result<String> {
        let text = self.recording().await?;
        std::fs::write(self.scratch.logs().join("recording.ndjson"), &text)?;
        let traffic = |line: &&str| {
            ["append", "applied", "committed", "heartbeat", "status"].iter().any(|kind| line.contains(kind))
        };
        let told = text.lines().rev().filter(|line| line.contains("\"group\":1,") && !traffic(line)).take(24);
        Ok(told.collect::<Vec<_>>().join("\n"))
    }

    async fn recording(&self) -> Result<String> {
        let url = format!("{}/api/recording", self.client.base());
        Ok(reqwest::Client::builder().no_proxy().build()?.get(url).send().await?.text().await?)
    }

    /// Ctrl-C; then no process and no file may be left.
    async fn end(mut self) -> Result<()> {
        let nodes = self.state().await?["nodes"].as_array().context("no nodes")?.clone();
        let pids: Vec<u64> = nodes.iter().filter_map(|node| node["pid"].as_u64()).collect();
        ensure!(pids.len() >= 3, "{nodes:?}");
        self.process.signal(libc::SIGINT);
        let status = self.process.wait(PATIENCE).await?;
        ensure!(status.code() == Some(0), "it ended with {status}");
        for (pid, node) in pids.iter().zip(&nodes) {
            // A process that was never started again after a kill has an id that may be anybody's by now.
            let gone = node["state"] == "down" || !is_ours(*pid);
            ensure!(gone, "process {pid} of {} is left", node["name"]);
        }
        let left: Vec<_> = std::fs::read_dir(self.scratch.root().join("temp"))?.collect();
        ensure!(left.is_empty(), "files are left: {left:?}");
        self.scratch.ended_well();
        Ok(())
    }
}

/// Whether a process of the binary under test runs under this id.
fn is_ours(pid: u64) -> bool {
    let command = std::fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&command).contains("--test-faults")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lessons_of_elections_hold() -> Result<()> {
    let _place = place().await;
    seed("demo_elections");
    let demo = Demo::start("demo-elections", &["--slow", "2x"]).await?;
    demo.play_all(&["first-election", "leader-crash", "split-vote", "no-quorum", "one-way-cut", "eight-groups"])
        .await?;
    demo.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lessons_of_logs_and_reads_hold() -> Result<()> {
    let _place = place().await;
    seed("demo_logs");
    let demo = Demo::start("demo-logs", &["--slow", "2x"]).await?;
    let logs = ["stale-leader", "log-repair", "why-votes-check-the-log", "three-reads"];
    demo.play_all(&logs).await?;
    demo.play_all(&["snapshot-catch-up", "membership-change"]).await?;
    demo.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_is_followed_by_another_on_the_page() -> Result<()> {
    let _place = place().await;
    seed("demo_strings");
    let demo = Demo::start("demo-strings", &["--slow", "1x", "--lesson", "first-election"]).await?;
    let start = Instant::now();
    while demo.state().await?["lesson"] != "first-election" {
        ensure!(start.elapsed() < PATIENCE, "the lesson does not begin");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let cast = demo.client.get("/api/lesson").await.ok()?["cast"].clone();
    let leader = cast["leader"].as_str().context("no leader")?;
    let log = demo.client.get(&format!("/api/log?node={leader}&group=1")).await.ok()?;
    ensure!(log["entries"].as_array().is_some_and(|entries| !entries.is_empty()), "{log}");
    ensure!(log["vote"]["committed"] == true, "{log}");

    demo.post(&format!("/api/nodes/{leader}/kill")).await?;
    let down = demo.client.get(&format!("/api/log?node={leader}&group=1")).await;
    ensure!(down.status == Some(409) && down.body["error"].is_string(), "{}", down.body);
    let twice = demo.client.post(&format!("/api/nodes/{leader}/kill"), &json!({})).await;
    ensure!(twice.status == Some(409), "{}", twice.body);
    // Every recorded event has its number, and the election is among them.
    let (start, elected) = (Instant::now(), |event: &Value| {
        event["kind"] == "elected" && event["group"] == 1 && event["node"] != cast["leader"]
    });
    loop {
        let recording = events(&demo.recording().await?)?;
        let numbers: Vec<u64> = recording.iter().filter_map(|event| event["seq"].as_u64()).collect();
        ensure!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "the recording has a hole");
        if recording.iter().any(elected) {
            break;
        }
        ensure!(start.elapsed() < PATIENCE, "nobody was elected");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    demo.post(&format!("/api/nodes/{leader}/restart")).await?;
    demo.post(&format!("/api/nodes/{}/pause", cast["first"].as_str().unwrap_or("?"))).await?;
    // It ends with a paused node as well.
    demo.end().await
}

/// The same demo in a terminal: nodes and leaders are shown, a key kills, another ends it all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_terminal_shows_and_acts() -> Result<()> {
    let _place = place().await;
    seed("demo_terminal");
    let mut scratch = ScratchDirectory::new("demo-terminal")?;
    let temp = scratch.root().join("temp");
    std::fs::create_dir(&temp)?;
    let mut command = clean_command(&binary());
    command.args(["demo", "--tui", "--port", "0", "--slow", "1x"]).env("TMPDIR", &temp);
    let mut terminal = Terminal::start(command)?;
    for text in ["node1", "node3", "leader"] {
        terminal.shows(text).await?;
    }
    terminal.presses("k")?;
    // Only what differs is drawn, so a sentence may come word by word.
    terminal.shows("killed").await?;
    terminal.presses("\nq")?;
    ensure!(terminal.ends().await? == Some(0), "{}", terminal.screen());
    let left: Vec<_> = std::fs::read_dir(&temp)?.collect();
    ensure!(left.is_empty(), "files are left: {left:?}");
    scratch.ended_well();
    Ok(())
}

/// The events of a recording that is whole.
fn events(recording: &str) -> Result<Vec<Value>> {
    let mut lines = recording.lines().map(|line| Ok(serde_json::from_str::<Value>(line)?));
    let head: Value = lines.next().context("an empty recording")??;
    ensure!(head["recording"] == 1 && head["cut"] == 0 && head["state"]["nodes"].is_array(), "{head}");
    lines.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_server_shows_its_events_and_takes_no_faults() -> Result<()> {
    let _place = place().await;
    seed("demo_plain");
    let cluster =
        TestCluster::start(jepsen_lite::cluster::Options { args: Vec::new(), ..single("demo-plain") }).await?;
    let client = cluster.client(0);
    for path in ["/quiver/v1/groups/1/campaign", "/quiver/v1/groups/1/step-down"] {
        let refused = client.post(path, &json!({})).await;
        ensure!(refused.status == Some(404) && refused.code() == "faults_off", "{path}: {}", refused.body);
    }
    let console = client.get("/console").await;
    ensure!(console.success(), "{}", console.problem);
    let log = client.get("/quiver/v1/groups/1/log?last=5").await.ok()?;
    ensure!(log["entries"][0]["kind"].is_string() && log["group"] == 1, "{log}");
    let none = client.get("/quiver/v1/groups/99/log").await;
    ensure!(none.status == Some(409), "{}", none.body);

    let stream = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{}/quiver/v1/events?groups=1", client.base());
    let mut events = stream.get(&url).header("last-event-id", "0").send().await?.error_for_status()?;
    let mut heard = String::new();
    let start = Instant::now();
    // The status as it is, which comes first.
    while !heard.contains("\"kind\":\"status\"") {
        ensure!(start.elapsed() < PATIENCE, "no status: {heard}");
        let chunk = tokio::time::timeout(PATIENCE, events.chunk()).await??.context("the stream ended")?;
        heard.push_str(&String::from_utf8_lossy(&chunk));
    }
    ensure!(heard.contains("\"role\":\"leader\"") && !heard.contains("\"group\":2"), "{heard}");
    let bad = stream.get(format!("{}/quiver/v1/events?groups=one", client.base())).send().await?;
    ensure!(bad.status() == 400, "{}", bad.status());
    cluster.finish()
}
