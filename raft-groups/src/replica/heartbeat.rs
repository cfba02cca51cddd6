//! Sends heartbeats at the interval of the settings.
//!
//! openraft has one number for two things: how often a leader sends heartbeats, and how long it waits for the answer
//! to one. If messages take longer than that number, every answer comes too late, and a leader that its followers
//! hear has no majority. So openraft gets the longest time that an answer may take, and this file triggers the
//! heartbeats in between.

use std::sync::Arc;

use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;

use super::Replica;
use crate::Machine;

/// Triggers a heartbeat in each interval while this replica leads, until it stops.
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
