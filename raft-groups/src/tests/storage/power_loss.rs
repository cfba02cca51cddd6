//! The stores under real power loss, on a loop-mounted ext4 whose power is cut again and again. One child process
//! appends to logs and votes: what it acknowledged must be there afterwards. Another writes to a store that it never
//! syncs, as state is written: that store may be old afterwards, but it must open. Both must catch a disk that skips
//! its syncs.
//!
//! These tests need root, and say so when they skip. The simulated disk is tested everywhere.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jepsen_lite::disk::{LoopDisk, NoDisk};
use openraft::storage::{RaftLogReader, RaftLogStorage, RaftLogStorageExt};
use openraft::vote::RaftLeaderId;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::consensus::types::{CommandBytes as LogCommand, LogEntry, LogId, Vote};
use crate::storage::Disk;
use crate::storage::log::GroupLog;
use crate::storage::sled::SledStore;
use crate::storage::store::{KeyValueStore as _, WriteBatch};
use crate::{GroupId, OpenError};

const GROUPS: u64 = 4;
const DIR: &str = "QUIVER_POWER_LOSS_DIR";
const CRASHES: u64 = 22;
/// Appends that each life acknowledges before its power is cut, however slow the machine is.
const LEAST_ACKNOWLEDGED: usize = 8;

/// What the child said was durable: by group, the last index and the term of the last vote.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Promises {
    index: BTreeMap<u64, u64>,
    term: BTreeMap<u64, u64>,
}

fn open(dir: &Path) -> BTreeMap<u64, GroupLog> {
    let stores = Disk::open(dir).expect("the store opens").start().expect("starts");
    let open = |id| GroupLog::open(GroupId(id), stores.log_of(GroupId(id))).expect("an intact log");
    (0..GROUPS).map(|id| (id, open(id))).collect()
}

/// The first child: appends to all groups at once, prints what is durable, and never ends by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_writes_until_its_power_is_cut() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let writers = open(Path::new(&dir)).into_iter().map(|(id, log)| tokio::spawn(write_on(id, log)));
    futures::future::join_all(writers).await;
}

async fn write_on(id: u64, mut log: GroupLog) {
    let mut rng = SmallRng::seed_from_u64(id);
    let mut next = log.get_log_state().await.expect("state").last_log_id.map_or(0, |last| last.index + 1);
    let mut term = log.read_vote().await.expect("reads").map_or(0, |vote: Vote| vote.leader_id.term);
    loop {
        // Mostly few and small entries. Sometimes large ones, or many at once, as a follower gets that lags.
        let (count, bytes) = match rng.random_range(0..100) {
            0..1 => (1, 3_000_000),
            1..5 => (rng.random_range(1..8), 200_000),
            5..8 => (200, 20_000),
            _ => (rng.random_range(1..8), rng.random_range(1..4000)),
        };
        // Returns when the entries are durable.
        if log.blocking_append((next..next + count).map(|index| entry(index, bytes))).await.is_err() {
            return;
        }
        next += count;
        say(&format!("index {id} {}", next - 1));
        // A purge frees segments, which sled reuses.
        if next > 300 && rng.random_bool(0.1) && log.purge(entry(next - 250, 0).log_id).await.is_err() {
            return;
        }
        if rng.random_bool(0.1) {
            term += 1;
            if log.save_vote(&Vote::new(term, 1)).await.is_err() {
                return;
            }
            say(&format!("term {id} {term}"));
        }
    }
}

/// Prints a line in one write, so a line is there whole or not at all.
fn say(line: &str) {
    let _ = std::io::stdout().write_all(format!("{line}\n").as_bytes());
}

fn entry(index: u64, bytes: usize) -> LogEntry {
    let leader = openraft::impls::leader_id_std::LeaderId::new(1, 1);
    let command = LogCommand(vec![index as u8; bytes].into());
    LogEntry { log_id: LogId::new(leader.to_committed(), index), payload: openraft::EntryPayload::Normal(command) }
}

/// The second child: overwrites pairs all over the store, and never syncs.
#[test]
fn child_writes_and_never_syncs() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let store = SledStore::open(Path::new(&dir), 16 << 20).expect("opens");
    let mut rng = SmallRng::seed_from_u64(std::process::id().into());
    say("index 0 0");
    loop {
        let mut batch = WriteBatch::default();
        // A command of thousands of points is one batch.
        let edits = if rng.random_bool(0.01) { 2000 } else { rng.random_range(1..8) };
        for _ in 0..edits {
            let key: u64 = rng.random_range(0..2000);
            batch.put(key.to_be_bytes().to_vec(), vec![1; rng.random_range(1..3000)]);
        }
        if store.write(&batch).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn start_child(part: &str, dir: &Path, mutant: Option<&str>) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this test program"));
    command.args(["--exact", &format!("tests::storage::power_loss::{part}"), "--nocapture"]);
    command.env(DIR, dir).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(mutant) = mutant {
        command.env("QUIVER_MUTANT", mutant);
    }
    command.spawn().expect("starts")
}

/// Runs the child until `life` has passed and `least` appends are acknowledged, and cuts its power. Returns what it
/// acknowledged before that.
fn one_life(part: &str, disk: &mut LoopDisk, mutant: Option<&str>, life: Duration, least: usize) -> Promises {
    let mut child = start_child(part, disk.path(), mutant);
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let (said, promised) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut promises = Promises::default();
        for line in output.lines().map_while(Result::ok) {
            let words: Vec<_> = line.split(' ').collect();
            if let [kind @ ("index" | "term"), id, value] = words[..] {
                let map = if kind == "index" { &mut promises.index } else { &mut promises.term };
                map.insert(id.parse().expect("a group"), value.parse().expect("a number"));
                let _ = said.send(kind == "index");
            }
        }
        promises
    });
    // The child has opened its store once it acknowledges anything.
    if promised.recv().is_err() {
        // Its errors matter only if it failed before its power was cut.
        let mut said = String::new();
        let _ = child.stderr.take().expect("piped").read_to_string(&mut said);
        panic!("the child ended before it acknowledged anything: {said}");
    }
    std::thread::sleep(life);
    // If the child ends early, its output ends, and so does this wait.
    let acknowledged = promised.iter().filter(|is_index| *is_index);
    acknowledged.take(least).for_each(drop);
    disk.cut_power().expect("cuts the power");
    child.kill().expect("kills");
    child.wait().expect("waits");
    disk.restore_power().expect("restores the power");
    reader.join().expect("reads")
}

/// Returns what was acknowledged and is not there.
async fn lost(disk: &LoopDisk, promises: &Promises) -> Vec<String> {
    let dir = disk.path().to_owned();
    // A store that does not open has lost everything.
    let opened = tokio::task::spawn_blocking(move || open(&dir)).await;
    let Ok(mut logs) = opened else { return vec!["the store does not open".to_owned()] };
    let mut lost = Vec::new();
    for (id, log) in &mut logs {
        let last = log.get_log_state().await.expect("state").last_log_id.map(|last| last.index);
        let term = log.read_vote().await.expect("reads").map(|vote| vote.leader_id.term);
        let (promised_last, promised_term) = (promises.index.get(id).copied(), promises.term.get(id).copied());
        if last < promised_last {
            lost.push(format!("group {id}: entry {promised_last:?} was acknowledged, the last is {last:?}"));
        }
        if term < promised_term {
            lost.push(format!("group {id}: vote {promised_term:?} was acknowledged, it is {term:?}"));
        }
    }
    lost
}

/// Returns a disk whose power can be cut, and a random generator; `None`, with a message, if there is no such disk
/// here.
fn disk_and_rng() -> Option<(LoopDisk, SmallRng)> {
    let disk = match LoopDisk::create(1024) {
        Ok(disk) => disk,
        Err(NoDisk::Skip(why)) => {
            println!("SKIPPED, and nothing else here shows it: real power loss ({why})");
            return None;
        }
        Err(NoDisk::Failed(error)) => panic!("no disk: {error}"),
    };
    let seed = std::env::var("QUIVER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("seed {seed} (QUIVER_SEED)");
    Some((disk, SmallRng::seed_from_u64(seed)))
}

/// Crashes a store that is never synced. Returns at which crash it was damaged, if it was; `None` without a disk.
fn crash_unsynced(mutant: Option<&str>, crashes: u64) -> Option<Option<u64>> {
    let (mut disk, mut rng) = disk_and_rng()?;
    for crash in 1..=crashes {
        // Long enough for sled to reuse segments.
        let life = Duration::from_millis(rng.random_range(300..1500));
        one_life("child_writes_and_never_syncs", &mut disk, mutant, life, 0);
        match SledStore::open(disk.path(), 16 << 20) {
            Ok(_) => {}
            Err(OpenError::Damaged { found, .. }) => {
                println!("crash {crash}: {found}");
                return Some(Some(crash));
            }
            Err(other) => panic!("crash {crash}: {other}"),
        }
    }
    println!("{crashes} crashes, and it opens");
    Some(None)
}

/// Crashes the logs until something is lost, at most `crashes` times. Returns how many entries were acknowledged,
/// and what was lost; `None` without a disk.
fn crash_over_and_over(mutant: Option<&str>, crashes: u64) -> Option<(u64, Vec<String>)> {
    let (mut disk, mut rng) = disk_and_rng()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let mut acknowledged = 0;
    for crash in 1..=crashes {
        let (part, life) = ("child_writes_until_its_power_is_cut", Duration::from_millis(rng.random_range(20..300)));
        let promises = one_life(part, &mut disk, mutant, life, LEAST_ACKNOWLEDGED);
        acknowledged = promises.index.values().sum();
        let lost = runtime.block_on(lost(&disk, &promises));
        if !lost.is_empty() {
            println!("crash {crash}: {lost:?}");
            return Some((acknowledged, lost));
        }
    }
    println!("{crashes} crashes, {acknowledged} entries acknowledged in the end, none lost");
    Some((acknowledged, Vec::new()))
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_goes() {
    if let Some((acknowledged, lost)) = crash_over_and_over(None, CRASHES) {
        assert!(lost.is_empty(), "{lost:#?}");
        assert!(acknowledged > 100, "a run that acknowledges nothing proves nothing");
    }
}

#[test]
fn a_store_that_skips_its_syncs_is_caught() {
    if let Some((_, lost)) = crash_over_and_over(Some("skip-sync"), CRASHES) {
        assert!(!lost.is_empty(), "{CRASHES} power losses did not show that nothing was ever synced");
    }
}

#[test]
fn a_store_that_was_not_synced_is_not_damaged_when_the_power_goes() {
    if let Some(damaged) = crash_unsynced(None, 20) {
        assert_eq!(damaged, None);
    }
}

#[test]
fn a_store_that_syncs_in_name_only_is_caught() {
    if let Some(damaged) = crash_unsynced(Some("skip-sync"), 60) {
        assert!(damaged.is_some(), "60 power losses did no damage to a store that was never synced");
    }
}
