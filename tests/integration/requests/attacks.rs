//! The hostile suite, in small: what strangers do to a port keeps no good client out, brings about no election, and is
//! answered by a clear refusal or the end of the connection. `scripts/hostile` measures the same attacks at full size.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use jepsen_lite::cluster::TestCluster;
use jepsen_lite::crowd::Crowd;
use jepsen_lite::hostile::measure::{calm, terms};
use jepsen_lite::hostile::{Assault, Attack, Counters, GoodClient, moves, prepare};
use jepsen_lite::seed::seed;

use crate::support::members::can_lose_one;
use crate::support::{PATIENCE, leaders, options, place, put_until_acknowledged, register_collection, settle, single};

/// Attackers that say nothing, beside as many as there are moves of the others.
const LASTING: usize = 64;
/// What a good client gets done during each attack.
const ANSWERS: usize = 20;
/// Descriptors of a node, and idle clients, who want more than that.
const DESCRIPTORS: u64 = 128;
const IDLE: usize = 200;

/// An election that the load of other tests brings about would say nothing of attacks.
const PATIENT: [&str; 8] =
    ["--shards", "2", "--heartbeat-ms", "300", "--election-min-ms", "3000", "--election-max-ms", "5000"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_attack_keeps_a_good_client_out_or_brings_about_an_election() -> Result<()> {
    let _place = place().await;
    seed("attacks");
    let mut cluster = TestCluster::start(options("attacks").args(&PATIENT)).await?;
    prepare(&cluster.client(0)).await?;
    let before = calm(&cluster).await?;
    for attack in moves::attacks(cluster.nodes()[0].address()) {
        withstood(&cluster, &attack).await.with_context(|| attack.name)?;
    }
    cluster.wait_healthy().await?;
    let after = terms(&cluster).await;
    ensure!(after == before, "there were elections: the terms were {before} together, and are {after}");
    let listed = cluster.client(0).get("/collections").await.ok()?;
    ensure!(!listed.to_string().contains("planted"), "{listed}");
    cluster.finish()
}

/// Each move is made at least once, but for those that last, and a good client is answered meanwhile.
async fn withstood(cluster: &TestCluster, attack: &Attack) -> Result<()> {
    let moves = attack.moves.len();
    let crowd = if attack.lasting { LASTING } else { moves };
    let good_client = GoodClient::start(cluster.client(0));
    let assault = Assault::start(attack, cluster.nodes()[0].address(), crowd);
    if !attack.lasting {
        assault.progress(moves as u64 * 2, 3 * PATIENCE).await?;
    }
    good_client.progress(ANSWERS, PATIENCE).await?;
    let (made, wrong) = (assault.made(), assault.stop().await);
    let seen = good_client.seen();
    println!("  {}: {made} moves ended, {} answers beside them", attack.name, seen.took.len());
    ensure!(wrong.told.is_empty(), "{} wrong answers: {:#?}", wrong.count, wrong.told);
    ensure!(seen.refused.is_empty(), "a good client was refused: {:#?}", seen.refused);
    Ok(())
}

/// Those who never send the whole of a head have to go, without a word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_no_head_is_let_go() -> Result<()> {
    let waits_for_a_place = place().await;
    let cluster = TestCluster::start(single("no-head")).await?;
    // What follows is waiting.
    drop(waits_for_a_place);
    let address = cluster.nodes()[0].address();
    let silent = ["idle sockets", "slow head"];
    let attacks: Vec<Attack> =
        moves::attacks(address).into_iter().filter(|attack| silent.contains(&attack.name)).collect();
    ensure!(attacks.len() == silent.len(), "an attack has another name now");
    let counters = Counters::default();
    let moves = attacks.iter().flat_map(|attack| &attack.moves);
    let made = join_all(moves.map(|made| made.make(address, &counters))).await;
    made.into_iter().collect::<Result<Vec<()>>>()?;
    cluster.finish()
}

/// One node may have few descriptors, and clients who say nothing want more than those. Another node starts again, and
/// needs new connections to the first, which leads some shards: they are served all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_clients_take_no_shard_from_the_others() -> Result<()> {
    let _place = place().await;
    seed("few-descriptors");
    let mut cluster = TestCluster::start(options("few-descriptors").args(&["--shards", "6"])).await?;
    let points = register_collection(&cluster, "d").await?;
    cluster.node(0).set_descriptors(Some(DESCRIPTORS));
    cluster.restart(0)?;
    cluster.wait_healthy().await?;
    let start = Instant::now();
    while !leaders(&cluster, 6).await?.values().any(|leader| *leader == 0) {
        ensure!(start.elapsed() < PATIENCE, "it leads nothing again");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let crowd = Crowd::start(cluster.nodes()[0].address(), IDLE);
    for key in 0..20 {
        put_until_acknowledged(&cluster.client(2), &points, key).await?;
    }
    cluster.restart(1)?;
    cluster.wait_healthy_node(1).await?;
    for key in 20..60 {
        put_until_acknowledged(&cluster.client(1 + key as usize % 2), &points, key).await?;
    }
    can_lose_one(&cluster.client(2)).await?;
    ensure!(crowd.opened() > DESCRIPTORS as usize, "only {} clients came", crowd.opened());
    ensure!(cluster.node(0).running(), "the node ended:\n{}", cluster.node(0).log());
    drop(crowd);
    cluster.wait_healthy().await?;
    settle(&cluster, &points).await?;
    cluster.finish()
}
