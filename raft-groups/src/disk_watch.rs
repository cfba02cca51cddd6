//! Keeps a node whose disk hangs from leading, and from passing for alive.
//!
//! Heartbeats need no disk, so a leader whose syncs do not return would lead for ever and commit nothing that it can show.
//! Such a node hands its groups over, and answers no peer until its disk is back: for the others it is silent, which is
//! what it is worth. A disk that is slow is not one that hangs: see [`RaftSettings::longest_sync`](crate::RaftSettings).

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::Role;
use crate::host::Inner;
use crate::inspect::NudgeError;
use crate::mutants::{Mutant, is_planted};
use crate::storage::syncer::Syncer;

/// The slowest disk that is not taken for one that hangs, in bytes a second.
const SLOWEST_DISK: u64 = 4 << 20;

/// How long a node's disk has been at the writes that it carries out now, where that is longer than `longest` and what
/// their size takes.
pub(crate) fn hung_for(syncer: &Syncer, longest: Duration) -> Option<Duration> {
    let allowed = longest + Duration::from_millis(syncer.waiting_bytes() as u64 * 1_000 / SLOWEST_DISK);
    syncer.busy_for().filter(|age| *age > allowed && !is_planted(Mutant::HangsUnseen))
}

/// Has other nodes lead the groups that a node with a hanging disk leads, for as long as the node's groups are there.
pub(crate) async fn hand_over_when_hung(host: Weak<Inner>) {
    loop {
        let Some(inner) = host.upgrade() else { return };
        let pause = inner.settings.election_min;
        if let Some(age) = inner.hung_for() {
            hand_over(&inner, age).await;
        }
        drop(inner);
        tokio::time::sleep(pause).await;
    }
}

async fn hand_over(host: &Arc<Inner>, age: Duration) {
    let replicas: Vec<_> = host.groups.read().values().map(|open| open.inspect.clone()).collect();
    for replica in replicas {
        let status = replica.status();
        if status.role != Role::Leader {
            continue;
        }
        match replica.step_down().await {
            Ok(to) => {
                let seconds = age.as_secs();
                tracing::warn!(group = %status.group, to, seconds, "the disk does not sync: another node is to lead");
            }
            Err(NudgeError::NobodyElse) => {}
            Err(error) => tracing::debug!(group = %status.group, %error, "cannot hand over yet"),
        }
    }
}
