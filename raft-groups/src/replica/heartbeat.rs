//! Heartbeats at the pace of the settings.
//!
//! openraft has one number for two things: how often a leader sends heartbeats, and how long it waits for the answer
//! to one. Where messages take longer than that, every answer comes too late, and a leader that is followed has no
//! majority. So openraft is told the longest time that an answer may take, and the heartbeats between are asked for
//! here.

use std::sync::Arc;

use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;

use super::Replica;
use crate::Machine;

/// Asks for a heartbeat in each interval, while this replica leads, until it stops.
pub(crate) async fn send_heartbeats<M: Machine>(replica: Arc<Replica<M>>) {
    let metrics = replica.raft.metrics();
    loop {
        tokio::time::sleep(replica.settings.heartbeat).await;
        if metrics.has_ended() {
            return;
        }
        let leads = metrics.borrow_watched().state == ServerState::Leader;
        if leads && replica.raft.trigger().heartbeat().await.is_err() {
            return;
        }
    }
}
