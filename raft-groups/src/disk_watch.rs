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

/// How long the oldest write of a node has waited for its sync, where that is longer than it may be.
pub(crate) fn hung_for(syncer: &Syncer, longest: Duration) -> Option<Duration> {
    syncer.oldest().map(|since| since.elapsed()).filter(|age| *age > longest && !is_planted(Mutant::HangsUnseen))
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
