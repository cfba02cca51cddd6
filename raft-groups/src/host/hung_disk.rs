//! Keeps a node whose disk hangs from leading, and from passing for alive.
//!
//! Heartbeats need no disk, so a leader whose syncs do not return would lead for ever and commit nothing that it can
//! show. Such a node hands its groups over, and answers no peer until its disk is back: for the others it is silent,
//! which is what it is worth. A disk that is slow is not one that hangs: see
//! [`RaftSettings::longest_sync`](crate::RaftSettings).

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::HostShared;
use crate::Role;
use crate::inspect::NudgeError;

/// Has other nodes lead the groups that a node with a hanging disk leads, for as long as the node's groups are there.
pub(crate) async fn hand_over_when_hung(host: Weak<HostShared>) {
    loop {
        let Some(shared) = host.upgrade() else { return };
        let pause = shared.settings.election_min;
        if let Some(age) = shared.hung_for() {
            hand_over_led(&shared, age).await;
        }
        drop(shared);
        tokio::time::sleep(pause).await;
    }
}

/// Asks another node to lead each group that this one leads.
async fn hand_over_led(host: &Arc<HostShared>, age: Duration) {
    let replicas: Vec<_> = host.groups.read().values().cloned().collect();
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
