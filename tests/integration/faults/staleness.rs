//! ONE may be stale and says so; QUORUM and ALL never are, whoever is cut off or asleep.
//!
//! One shard, so that "the leader" is one node. Every answer at QUORUM or ALL goes into the history that is judged at the
//! end; what a cut-off leader must do is refuse, at ALL from the first moment and at QUORUM from the end of its lease.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jepsen_lite::client::{ApiAnswer, ApiClient};
use jepsen_lite::cluster::{Options, TestCluster};
use jepsen_lite::run::load::{LoadGenerator, LoadPlan};
use jepsen_lite::run::register_collection::RegisterCollection;
use jepsen_lite::seed::seed;
use serde_json::{Value, json};

use crate::support::{PATIENCE, SIZE, leaders, options, place, put_until_acknowledged, register_collection, settle};

const KEY: u64 = 7;

fn one_shard(name: &str) -> Options {
    options(name).args(&["--shards", "1"])
}

async fn write(client: &ApiClient, points: &RegisterCollection) -> Result<Value> {
    put_until_acknowledged(client, points, KEY).await
}

/// Reads [`KEY`] by a search, with more members in the request.
async fn read(client: &ApiClient, level: &str, more: Value) -> ApiAnswer {
    let mut body = json!({"consistency": level, "with_vector": true, "params": {"exact": true}, "timeout_ms": 1500});
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    client.search("s", &[1.0; SIZE], 100, body).await
}

/// The record of [`KEY`] in an answer.
fn shown(answer: &ApiAnswer) -> Option<&Value> {
    answer.body["results"].as_array()?.iter().find(|record| record["id"] == KEY)
}

/// Reads at a level that must be fresh, and enters what an answer shows. Returns `false` for a refusal.
async fn fresh(client: &ApiClient, level: &str, points: &RegisterCollection) -> bool {
    entered(client, level, json!({}), points).await.success()
}

async fn entered(client: &ApiClient, level: &str, more: Value, points: &RegisterCollection) -> ApiAnswer {
    let asked = Instant::now();
    let answer = read(client, level, more).await;
    if answer.success() {
        points.enter_read(KEY, (Some(asked), Instant::now()), level, shown(&answer));
    }
    answer
}

/// Waits until a read at this level is answered (freshly).
async fn serves(client: &ApiClient, level: &str, points: &RegisterCollection) -> Result<()> {
    let start = Instant::now();
    while !fresh(client, level, points).await {
        ensure!(start.elapsed() < PATIENCE, "{} never serves {level}", client.base());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// The stale answer of a node that is cut off: it must say how stale, be refused to who bounds it, and wait for a
/// session's own write.
async fn stale_and_says_so(
    client: &ApiClient,
    points: &RegisterCollection,
    token: &Value,
    acknowledged: Instant,
) -> Result<()> {
    tokio::time::sleep(Duration::from_millis(300)).await;
    let known = acknowledged.elapsed().as_millis() as u64;
    let answer = read(client, "one", json!({})).await;
    ensure!(answer.success(), "ONE needs nobody else: {}", answer.problem);
    ensure!(
        !points.is_current(KEY, shown(&answer))?,
        "a node that is cut off cannot have seen the write, or the cut does not cut: {}",
        answer.body
    );
    let claimed = answer.body["shards"][0]["staleness_ms"].as_u64().context("a stale answer without `staleness_ms`")?;
    // Not a matter of speed: a state that lacks a write acknowledged so long ago is at least that stale.
    ensure!(claimed + 50 >= known, "it claims {claimed} ms, but lacks what was acknowledged {known} ms before");
    let bounded = read(client, "one", json!({"max_staleness_ms": 100})).await;
    ensure!(!bounded.success() && bounded.code() != "", "max_staleness_ms does not bound: {bounded:?}");
    let session = read(client, "one", json!({"after": token})).await;
    ensure!(!session.success(), "`after` must see the write or refuse: {}", session.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_refuses_and_the_majority_serves() -> Result<()> {
    let _place = place().await;
    let seed = seed("cut_off_leader");
    let cluster = TestCluster::start(one_shard("staleness")).await?;
    let points = register_collection(&cluster, "s").await?;
    write(&cluster.client(0), &points).await?;
    // Beside the scripted reads, a load on other keys whose searches are all judged, through every node.
    let plan = LoadPlan { keys: 6, writers: 3, insist: Duration::from_secs(2), ..LoadPlan::new(seed) };
    let load = LoadGenerator::start(plan, cluster.clients(), points.clone());

    let leader = leaders(&cluster, 1).await?[&0];
    let (old, other) = (cluster.client(leader), cluster.client((leader + 1) % 3));
    serves(&old, "all", &points).await?;
    let others: Vec<_> = cluster
        .nodes()
        .iter()
        .map(|node| node.name().to_owned())
        .filter(|name| *name != format!("node{}", leader + 1))
        .collect();
    old.cut(&others).await.ok().context("PUT /quiver/v1/faults")?;
    ensure!(!fresh(&old, "all", &points).await, "a leader that is cut off answers at ALL");

    let start = Instant::now();
    let mut served = 0;
    while fresh(&old, "quorum", &points).await {
        served += 1;
        ensure!(start.elapsed() < PATIENCE, "a leader that is cut off serves at QUORUM for ever");
    }
    println!(
        "  after the cut the old leader served {served} lease reads, then refused after {} ms",
        start.elapsed().as_millis()
    );
    let token = write(&other, &points).await?["token"].clone();
    let acknowledged = Instant::now();
    for level in ["quorum", "all", "quorum", "all"] {
        ensure!(!fresh(&old, level, &points).await, "the old leader answers at {level} again");
        serves(&other, level, &points).await?;
    }
    stale_and_says_so(&old, &points, &token, acknowledged).await?;

    old.heal().await.ok().context("DELETE /quiver/v1/faults")?;
    // A session read waits for its write instead of being refused, now that the write can come.
    let session = Instant::now();
    loop {
        // Entered as a read that is fresh: what it may not show is what was before.
        let answer = entered(&old, "one", json!({"after": token}), &points).await;
        if answer.success() {
            break;
        }
        ensure!(session.elapsed() < PATIENCE, "`after` is refused for ever: {}", answer.problem);
    }
    for client in cluster.clients() {
        serves(&client, "all", &points).await?;
    }
    let observed = load.stop().await;
    ensure!(observed.searches > 0, "no search was ever answered");
    settle(&cluster, &points).await?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lagging_follower_is_stale_and_says_so() -> Result<()> {
    let _place = place().await;
    seed("lagging_follower");
    let cluster = TestCluster::start(one_shard("lagging")).await?;
    let points = register_collection(&cluster, "s").await?;
    write(&cluster.client(0), &points).await?;
    let leader = leaders(&cluster, 1).await?[&0];
    let follower = (leader + 1) % 3;
    let lagging = cluster.client(follower);
    // It must have the first write before it is cut off, or there is nothing stale to show.
    serves(&lagging, "all", &points).await?;
    let others: Vec<_> = cluster
        .nodes()
        .iter()
        .map(|node| node.name().to_owned())
        .filter(|name| *name != format!("node{}", follower + 1))
        .collect();
    lagging.cut(&others).await.ok()?;
    let token = write(&cluster.client(leader), &points).await?["token"].clone();
    let acknowledged = Instant::now();
    stale_and_says_so(&lagging, &points, &token, acknowledged).await?;
    for level in ["quorum", "all"] {
        ensure!(!fresh(&lagging, level, &points).await, "a follower that is cut off answers at {level}");
    }
    // Through a node that is not cut off, a bound on staleness is met by a replica that can meet it.
    let bounded = read(&cluster.client(leader), "one", json!({"max_staleness_ms": 5000})).await;
    ensure!(bounded.success(), "{}", bounded.problem);
    lagging.heal().await.ok()?;
    serves(&lagging, "all", &points).await?;
    settle(&cluster, &points).await?;
    cluster.finish()
}

/// How often a leader is put to sleep at most, until reads that waited for it are answered.
const SLEEPS: usize = 5;

/// Puts the leader to sleep, writes past it, and lets it wake to reads that waited for it meanwhile; how many of these it
/// answers, freshly. It may refuse any of them.
async fn reads_after_a_sleep(cluster: &mut TestCluster, points: &RegisterCollection) -> Result<usize> {
    let leader = leaders(cluster, 1).await?[&0];
    let asleep = cluster.client(leader);
    serves(&asleep, "quorum", points).await?;
    cluster.pause(leader);
    write(&cluster.client((leader + 1) % 3), points).await?;
    // Asked while it sleeps, after the new write was acknowledged: the kernel keeps these for it.
    let queued: Vec<_> = (0..8)
        .map(|number| {
            let (client, points) = (asleep.with_deadline(PATIENCE), points.clone());
            tokio::spawn(async move { fresh(&client, ["quorum", "all"][number % 2], &points).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    cluster.resume(leader);
    let mut answered = 0;
    for read in queued {
        answered += usize::from(read.await?);
    }
    serves(&asleep, "quorum", points).await?;
    Ok(answered)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_slept_does_not_answer_from_before_its_sleep() -> Result<()> {
    let _place = place().await;
    seed("sleeping_leader");
    let mut cluster = TestCluster::start(one_shard("asleep")).await?;
    let points = register_collection(&cluster, "s").await?;
    write(&cluster.client(0), &points).await?;
    let (mut answered, mut slept) = (0, 0);
    while answered == 0 && slept < SLEEPS {
        answered = reads_after_a_sleep(&mut cluster, &points).await?;
        slept += 1;
        println!("  sleep {slept}: of 8 reads queued for the leader {answered} were answered, freshly");
    }
    ensure!(answered > 0, "none of the reads that waited in {SLEEPS} sleeps was answered: nothing was tested");
    settle(&cluster, &points).await?;
    cluster.finish()
}
