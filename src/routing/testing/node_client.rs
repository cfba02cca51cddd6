//! The one fake of [`NodeClient`]: it calls the nodes of a cluster in memory, by the bytes that nodes exchange.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use raft_groups::NodeId;
use tokio::time::Instant;

use super::{FakeCluster, State};
use crate::routing::rpc::message::{
    Call, CallAnswer, CallError, NodeClient, RouteRequest, RouteResponse, RpcError, RpcResult,
};
use crate::routing::rpc::wire;

/// How long a request and its answer take.
const ROUND_TRIP: Duration = Duration::from_millis(1);

/// Calls the nodes of `cluster` from node `me`, or from a gateway.
pub(super) struct FakeNodeClient {
    pub cluster: FakeCluster,
    pub me: Option<NodeId>,
}

#[async_trait]
impl NodeClient for FakeNodeClient {
    async fn call(&self, cluster: [u8; 16], to: NodeId, calls: Vec<Call>, deadline: Instant) -> RpcResult {
        tokio::time::sleep(ROUND_TRIP).await;
        let request = RouteRequest { cluster, from: self.me, to, timeout_ms: 1, calls };
        let mut result = self.cluster.0.lock().receive(request);
        // Voters that lag may catch up before the deadline.
        while result.as_ref().is_ok_and(|answers| lags(answers)) && Instant::now() + ROUND_TRIP * 2 < deadline {
            tokio::time::sleep(ROUND_TRIP).await;
            let still = self.cluster.0.lock().lagging.clone();
            result.iter_mut().flatten().for_each(|answer| catch_up(answer, &still));
        }
        result
    }

    fn looks_alive(&self, node: NodeId) -> bool {
        !self.cluster.0.lock().down.contains(&node)
    }

    fn me(&self) -> Option<NodeId> {
        self.me
    }
}

impl State {
    /// Carries a request to its node and the answer back, both as bytes.
    fn receive(&mut self, request: RouteRequest) -> RpcResult {
        let bytes = wire::encode(request).map_err(|reason| RpcError::Unsendable { reason })?;
        let RouteRequest { cluster, to, calls, .. } = match wire::decode(&bytes) {
            Ok(request) => request,
            Err(reason) => {
                self.note(Err(format!("a request that the other side cannot read: {reason}")));
                return Err(RpcError::NotSent { reason });
            }
        };
        let answers = RouteResponse::Answers(self.serve(cluster, to, calls)?);
        match wire::encode_response(&answers).and_then(|bytes| wire::decode_response(&bytes)) {
            Ok(RouteResponse::Answers(answers)) => Ok(answers),
            Ok(RouteResponse::Misdirected { .. }) => Err(RpcError::Misdirected),
            Err(reason) => {
                self.note(Err(format!("an answer that the asking side cannot read: {reason}")));
                Err(RpcError::Lost { reason })
            }
        }
    }
}

fn lags(answers: &[Result<CallAnswer, CallError>]) -> bool {
    let lags = |answer: &_| matches!(answer, Ok(CallAnswer::Written { lagging, .. }) if !lagging.is_empty());
    answers.iter().any(lags)
}

fn catch_up(answer: &mut Result<CallAnswer, CallError>, still: &BTreeSet<NodeId>) {
    if let Ok(CallAnswer::Written { lagging, .. }) = answer {
        lagging.retain(|node| still.contains(node));
    }
}
