//! After a replica is closed, no task that still works for it changes anything in the replica that replaces it.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use parking_lot::{Condvar, Mutex};

use super::*;
use crate::consensus::types::{LogEntry, LogId, SnapshotMeta, Vote};
use crate::machine::{Changes, Machine, Position, StateReader};
use crate::network::faults::Faults;
use crate::sim::SimPlan;
use crate::sim::disk::SimDisk;
use crate::sim::network::{LinkConditions, SimNet};
use crate::storage::log::GroupLog;
use crate::storage::state::GroupState;
use crate::storage::store::KeyValueStore as _;
use crate::tests::kit::Cluster;
use crate::{BrokenInvariant, Disk, Host, Identity, Life, NodeId};

/// Returns all that a node's disks hold, synced or not.
fn held(cluster: &Cluster, id: NodeId) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs = Vec::new();
    for disk in [&cluster.node(id).log, &cluster.node(id).state] {
        let mut keep = |key: &[u8], value: &[u8]| {
            pairs.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        };
        disk.open().scan(&[], &[0xff; 32], &mut keep).expect("reads");
    }
    pairs
}

fn log_id(index: u64) -> LogId {
    LogId::new_term_index(1, index)
}

/// The ways in which a task may write for a replica.
#[derive(Debug, Clone, Copy)]
enum Work {
    Vote,
    Append,
    Truncate,
    Purge,
    NoteDamage,
    Commit,
    Stage,
    Install,
    EraseKeys,
}

impl Work {
    const ALL: [Self; 9] = [
        Self::Vote,
        Self::Append,
        Self::Truncate,
        Self::Purge,
        Self::NoteDamage,
        Self::Commit,
        Self::Stage,
        Self::Install,
        Self::EraseKeys,
    ];

    /// Does the write. It does not matter whether it is refused.
    async fn carry_out(self, log: &mut GroupLog, state: &GroupState) {
        let _ = match self {
            Self::Vote => log.save_vote(&Vote::new(9, 1)).await,
            Self::Append => log.blocking_append(entries(4..6)).await.map_err(io::Error::other),
            Self::Truncate => log.truncate_after(Some(log_id(2))).await,
            Self::Purge => log.purge(log_id(2)).await,
            Self::NoteDamage => Err(log.note_damage("found".to_owned()).await),
            Self::Commit => state.commit(&change(2), log_id(2), None).await,
            Self::Stage => state.stage_page(state.begin_staging(), vec![(vec![7], Bytes::from_static(b"v"))]).await,
            Self::Install => {
                let meta = SnapshotMeta { last_log_id: Some(log_id(3)), ..SnapshotMeta::default() };
                state.install(state.begin_staging(), &meta).await
            }
            Self::EraseKeys => state.erase_keys(vec![(vec![0], vec![0xff])]).await,
        };
    }
}

fn entries(indexes: std::ops::Range<u64>) -> Vec<LogEntry> {
    indexes.map(|index| LogEntry { log_id: log_id(index), payload: EntryPayload::Blank }).collect()
}

fn change(value: u8) -> Changes {
    let mut changes = Changes::default();
    changes.put(vec![1], vec![value]);
    changes
}

/// Writes to the log and the state of a node's replica. Returns handles on both.
async fn filled(cluster: &Cluster, id: NodeId) -> (GroupLog, GroupState) {
    let group = cluster.group(id).expect("runs");
    let (mut log, state) = (group.replica().log.clone(), group.replica().state.clone());
    log.blocking_append(entries(0..4)).await.expect("appends");
    state.commit(&change(1), log_id(1), None).await.expect("commits");
    state.sync().await.expect("syncs");
    (log, state)
}

#[test]
fn nothing_that_still_works_for_a_closed_replica_reaches_the_one_in_its_place() {
    for work in Work::ALL {
        for is_closed in [true, false] {
            let changes = simulate(async {
                let plan = SimPlan { spares: 1, ..SimPlan::new(1, 1, settings()) };
                let mut cluster = Cluster::start(plan).await.expect("starts");
                let (mut log, state) = filled(&cluster, 2).await;
                if is_closed {
                    cluster.replace_replica(2).await.expect("it is no member");
                    filled(&cluster, 2).await;
                }
                // The handles belong to the closed replica, or to the open one as a counter-check.
                let before = held(&cluster, 2);
                work.carry_out(&mut log, &state).await;
                sleep(Duration::from_secs(1)).await;
                held(&cluster, 2) != before
            });
            assert_eq!(changes, !is_closed, "{work:?} where the replica is closed: {is_closed}");
        }
    }
}

/// A gate at which commands wait.
#[derive(Default)]
struct Hold {
    begun: Mutex<bool>,
    let_go: Mutex<bool>,
    changed: Condvar,
}

/// A machine whose commands wait at the gate.
struct Held(Arc<Hold>);

impl Machine for Held {
    type Setup = Arc<Hold>;

    fn open(setup: &Arc<Hold>, _: &dyn StateReader) -> io::Result<Self> {
        Ok(Self(setup.clone()))
    }

    fn apply(&self, _: Position, _: &[u8], changes: &mut Changes) -> Result<Bytes, BrokenInvariant> {
        *self.0.begun.lock() = true;
        let mut let_go = self.0.let_go.lock();
        while !*let_go {
            self.0.changed.wait(&mut let_go);
        }
        changes.put(vec![1], vec![1]);
        Ok(Bytes::new())
    }

    fn digest(&self) -> (u64, u64) {
        (0, 0)
    }
}

/// Opens the host of a node that has no peers.
async fn alone() -> Host {
    let life = Life { number: 1, start: [1; 16] };
    let identity = Identity { cluster: [1; 16], node: 1, incarnation: [1; 16], life };
    let disk = Disk::simulated(&SimDisk::new(1), &SimDisk::new(2), 3, Duration::ZERO);
    let net = SimNet::new(1, LinkConditions { delay: Duration::ZERO, loss: 0.0, repeats: 0.0 });
    let opened = Host::open(identity, settings(), disk, net.transport(1), Faults::default(), true).await;
    opened.expect("empty disks open")
}

/// Waits until the condition holds, which it must within 20 s.
async fn until(is_so: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if is_so() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("what must come does not");
}

/// A replica is closed and erased while its machine carries out a command. Closing does not wait for the command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_outlives_its_replica_leaves_nothing_behind() {
    let (host, hold, id) = (alone().await, Arc::new(Hold::default()), GroupId(1));
    let group = host.open_group::<Held>(id, hold.clone()).await.expect("opens");
    group.initialize([1].into()).await.expect("is new");
    until(|| group.status().role == Role::Leader).await;
    assert!(group.write(Bytes::from_static(b"x"), soon()).await.is_err(), "it is held");
    until(|| *hold.begun.lock()).await;
    // The replica is replaced by a new one while the command waits, and then the command ends.
    let machine = Arc::downgrade(&group.machine());
    drop(group);
    host.close_group(id).await;
    host.erase_group(id).await.expect("is closed");
    drop(host.open_newcomer::<Held>(id, hold.clone()).await.expect("opens anew"));
    *hold.let_go.lock() = true;
    hold.changed.notify_all();
    // Once the closed replica's machine is gone, nobody works on it any more.
    until(|| machine.strong_count() == 0).await;
    host.close_group(id).await;
    host.open_newcomer::<Held>(id, hold).await.expect("nothing of the first is left");
    host.stop().await;
}
