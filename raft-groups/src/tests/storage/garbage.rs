//! What a machine leaves behind is erased, also after a restart.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use openraft::EntryPayload;
use parking_lot::Mutex;

use crate::consensus::types::{CommandBytes, LogEntry, LogId};
use crate::machine::{Changes, Garbage, Machine, Position, StateReader};
use crate::mutants::{Mutant, plant};
use crate::sim::disk::SimDisk;
use crate::storage::state::GroupState;
use crate::storage::state::applier::Applier;
use crate::storage::store::{KeyValueStore as _, end_of_prefix};
use crate::storage::{Disk, Stores, keys};
use crate::{BrokenInvariant, GroupId};

const GROUP: GroupId = GroupId(7);

/// A machine that writes a thousand pairs for each command, and gives out the pairs of earlier commands as garbage.
#[derive(Default)]
struct Hoarder(Mutex<Vec<(Vec<u8>, Vec<u8>)>>);

impl Machine for Hoarder {
    type Setup = ();

    fn open((): &(), state: &dyn StateReader) -> io::Result<Self> {
        let mut last = None;
        state.scan(&[], &mut |key, _| {
            last = Some(key[0]);
            ControlFlow::Continue(())
        })?;
        Ok(Self(Mutex::new(last.map(|last| (vec![0], vec![last])).into_iter().collect())))
    }

    fn apply(&self, at: Position, _: &[u8], changes: &mut Changes) -> Result<Bytes, BrokenInvariant> {
        let number = at.index as u8;
        (0..1000u16).for_each(|pair| changes.put([&[number][..], &pair.to_be_bytes()].concat(), vec![1; 100]));
        self.0.lock().push((vec![0], vec![number]));
        Ok(Bytes::new())
    }

    fn digest(&self) -> (u64, u64) {
        (0, 0)
    }

    fn take_garbage(&self) -> Garbage {
        Garbage { keys: std::mem::take(&mut *self.0.lock()), memory: vec![Box::new(vec![0u8; 10])] }
    }
}

fn stored(stores: &Stores) -> usize {
    let prefix = keys::all_generations(GROUP);
    let mut pairs = 0;
    let mut visit = |_: &[u8], _: &[u8]| {
        pairs += 1;
        ControlFlow::Continue(())
    };
    stores.state.scan(&prefix, &end_of_prefix(&prefix), &mut visit).expect("scans");
    pairs
}

async fn apply(applier: &mut Applier<Hoarder>, index: u64) {
    let log_id = LogId::new_term_index(1, index);
    let entry = LogEntry { log_id, payload: EntryPayload::Normal(CommandBytes(Bytes::new())) };
    openraft::storage::RaftStateMachine::apply(applier, futures::stream::iter([Ok((entry, None))]))
        .await
        .expect("applies");
}

fn open(stores: &Stores) -> Applier<Hoarder> {
    let state = GroupState::open(GROUP, stores.state.clone(), stores.state_syncer.clone()).expect("opens");
    Applier::open((), state, None).expect("opens").0
}

/// Returns `true` once only the pairs of the newest command are left; `false` if that takes more than 20 s.
async fn is_cleared_away(stores: &Stores) -> bool {
    for _ in 0..2_000 {
        if stored(stores) == 1000 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_machine_leaves_is_erased_also_after_a_restart_in_between() {
    let disk = Disk::simulated(&SimDisk::new(1), &SimDisk::new(2), 3, Duration::ZERO);
    let stores = disk.start().expect("starts");
    let mut applier = open(&stores);
    apply(&mut applier, 1).await;
    apply(&mut applier, 2).await;
    assert!(is_cleared_away(&stores).await, "{} pairs are left", stored(&stores));
    let planted = plant(Mutant::ForgetsToErase);
    let mut forgetful = open(&stores);
    apply(&mut forgetful, 3).await;
    drop(planted);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(stored(&stores), 2000, "the planted bug leaves them");
    // A machine that is opened anew gives out what the one before it left.
    apply(&mut open(&stores), 4).await;
    assert!(is_cleared_away(&stores).await, "{} pairs are left", stored(&stores));
}
