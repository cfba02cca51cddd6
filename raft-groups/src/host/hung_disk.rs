//! Makes a node whose disk hangs give up what it leads, and seem dead to the others.
//!
//! Heartbeats need no disk. So a leader whose syncs do not return would lead for ever and apply nothing. Such a node
//! hands its groups over, and answers no peer until its disk is back. A slow disk does not hang: see
//! [`RaftSettings::longest_sync`](crate::RaftSettings).

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::HostShared;
use crate::Role;
use crate::inspect::NudgeError;

/// Hands over what the node leads whenever its disk hangs. It ends when the last handle on the node's groups is
/// gone.
pub(crate) async fn hand_over_when_hung(host: Weak<HostShared>) {
    loop {
        let Some(shared) = host.upgrade() else { return };
        let pause = shared.settings.election_min;
        if let Some(age) = shared.hung_for() {
            hand_over_led(&shared, age).await;
        }
        // Held only while it is used, so this task does not keep the stores open.
        drop(shared);
        tokio::time::sleep(pause).await;
    }
}

/// Asks another node to lead each group that this one leads.
async fn hand_over_led(host: &Arc<HostShared>, age: Duration) {
    // Copied, so the table is not locked while the successors are asked.
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
