//! What nodes ask of each other: one request carries calls for several groups to one node.
//!
//! Plain data; [`wire`](super::wire) makes bytes of it. The peer that answers works on its own replicas only; it never passes a call on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use raft_groups::{GroupId, NodeId, ReadMode, ReadPoint};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::engine::{
    self, CountQuery, GetQuery, Lifetime, MadeBy, Record, Refusal, ScrollPage, ScrollQuery, SearchQuery,
};
use crate::placement::ClusterMap;
pub use crate::routing::rpc::error::RpcError;
use crate::routing::{LogPoint, NodeReport};

/// Path of the endpoint on the peer port.
pub const PATH: &str = "/route";

/// Most bytes of one request or answer; above the largest body a client may send, since encoding adds to it.
pub const MAX_RPC_BYTES: usize = 128 << 20;

/// Most calls in one request.
pub const MAX_CALLS: usize = 8192;

/// A peer works on a call no longer than this, however long its sender would wait.
pub const LONGEST_CALL: Duration = Duration::from_secs(600);

/// Calls for one node.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteRequest {
    /// The cluster the sender belongs to.
    pub cluster: [u8; 16],
    /// The sending node; `None` is a gateway without replicas.
    pub from: Option<NodeId>,
    /// The node that is meant: an address may lead to another one by now.
    pub to: NodeId,
    /// Milliseconds the sender waits.
    pub timeout_ms: u64,
    /// The calls; each has its own answer.
    pub calls: Vec<Call>,
}

/// The answer to a [`RouteRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RouteResponse {
    /// One answer per call, in order.
    Answers(Vec<Result<CallAnswer, CallError>>),
    /// Nothing was looked at: the answering process belongs to another cluster, or is another node.
    Misdirected {
        /// The cluster it belongs to.
        cluster: [u8; 16],
        /// The node it is.
        node: NodeId,
    },
}

/// One call. Its query is shared with others, or, in the bytes of a request, named by its place among the queries there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Call<Q = Arc<Query>> {
    /// Commits a command in a group; only its leader can.
    Write {
        /// The group.
        group: GroupId,
        /// The command for the group's machine.
        command: Bytes,
        /// Whether to wait until every voter has applied it.
        everywhere: bool,
        /// Of a command with a request id: when it may be applied. It is filled in when the call is first sent.
        lifetime: Option<Lifetime>,
    },
    /// Looks at a replica's state.
    Read {
        /// The group.
        group: GroupId,
        /// How fresh.
        mode: ReadMode,
        /// A place in the log that must have been applied.
        after: Option<LogPoint>,
        /// For how many milliseconds the replica may have heard nothing of its leader.
        max_staleness_ms: Option<u64>,
        /// What to look at; calls of one request to several shards share it.
        query: Q,
        /// Bytes of payloads and vectors that the answer may carry; `None` is any number. A page ends early; other records
        /// that find no room come bare, and so do all after them. In the bytes of a request it stands after all calls.
        #[serde(skip)]
        room: Option<u64>,
    },
    /// Asks the node for its report.
    Report,
}

/// What to look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Query {
    /// Nearest points of a shard, for each of several searches.
    Search(Vec<SearchQuery>),
    /// Points of a shard by id.
    Get(GetQuery),
    /// A page of a shard's points.
    Scroll(ScrollQuery),
    /// The number of a shard's points.
    Count(CountQuery),
    /// The cluster map, in the meta group.
    Map,
}

/// The map between nodes: as JSON, which has names, so that what a later release adds to it is skipped.
mod map_as_json {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::placement::ClusterMap;

    pub fn serialize<S: Serializer>(map: &Arc<ClusterMap>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&serde_json::to_string(&**map).map_err(serde::ser::Error::custom)?)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<ClusterMap>, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map(Arc::new).map_err(serde::de::Error::custom)
    }
}

/// What a [`Query`] found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum QueryAnswer {
    /// Nearest points, and how they were found, for each search in order.
    Hits(Vec<engine::Found>),
    /// Points.
    Records(Vec<Record>),
    /// A page.
    Page(ScrollPage),
    /// A number of points.
    Count(u64),
    /// The cluster map.
    Map(#[serde(with = "map_as_json")] Arc<ClusterMap>),
}

/// A call that was carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum CallAnswer {
    /// The command is committed and applied on the leader.
    Written {
        /// Log index of its entry.
        index: u64,
        /// Term of the leader that appended it.
        term: u64,
        /// The machine's reply.
        reply: Bytes,
        /// Voters that had not applied it in time; empty unless the call wanted it everywhere.
        lagging: BTreeSet<NodeId>,
        /// The group's time when this was answered.
        time_ms: u64,
    },
    /// The query was answered.
    Read {
        /// The state it looked at.
        point: ReadPoint,
        /// What it found.
        found: QueryAnswer,
    },
    /// The node's report.
    Report(Box<NodeReport>),
}

/// A call that was not carried out, by what its sender may do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallError {
    /// Certainly not appended, or not served: ask `leader`.
    NotLeader {
        /// The leader this replica follows, where it knows one.
        leader: Option<NodeId>,
    },
    /// The node has no replica of the group, or keeps it closed: ask another.
    NotHere {
        /// Why.
        reason: String,
    },
    /// Certainly not appended, or not served: too much waits. Retry after a pause.
    Busy {
        /// The limit that was met.
        limit: String,
    },
    /// The fate of the write is unknown.
    Indeterminate {
        /// What was lost.
        reason: String,
    },
    /// The replica has stopped.
    Stopped {
        /// Why, with the way out.
        reason: String,
    },
    /// No majority confirmed the read in time.
    NoQuorum {
        /// What was waited for.
        reason: String,
    },
    /// The replica has not reached the wanted index in time.
    Behind {
        /// What it has applied.
        applied: u64,
    },
    /// The replica has heard nothing of its leader for too long.
    Stale {
        /// For how many milliseconds; `None` if not since it started.
        staleness_ms: Option<u64>,
    },
    /// The query was not done in time.
    Late {
        /// What was waited for.
        reason: String,
    },
    /// The query failed inside the node, and would again.
    Broken {
        /// What is known of it.
        reason: String,
    },
    /// The machine refused the query.
    Refused(Refusal),
    /// The call makes no sense to this node, as between two versions of Quiver.
    Unfit {
        /// Why.
        reason: String,
    },
    /// Certainly not appended: the write's lifetime is over, or its sender did not know the group's time.
    Undated {
        /// The group's time.
        time_ms: u64,
    },
    /// The node cannot read the command in the call. Certainly not appended; a node of another version may read it.
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
    /// The log will never get to the place that the read is to come after.
    Lapsed {
        /// How it is known.
        reason: String,
    },
}

/// One answer per call, or why there are none.
pub type RpcResult = Result<Vec<Result<CallAnswer, CallError>>, RpcError>;

/// Carries calls to nodes: over the network, within this process, or in a test.
#[async_trait]
pub trait NodeClient: Send + Sync + 'static {
    /// Asks `to` to carry out `calls` and waits for it until `deadline`.
    async fn call(&self, cluster: [u8; 16], to: NodeId, calls: Vec<Call>, deadline: Instant) -> RpcResult;

    /// Whether calls to `node` have a fair chance at the moment; a hint for choosing among replicas.
    fn looks_alive(&self, node: NodeId) -> bool;

    /// The node this process is, whose replicas are the nearest; `None` in a gateway, and before the node has a number.
    fn me(&self) -> Option<NodeId>;
}

impl Call {
    /// The group it is for; `None` for the node itself.
    pub fn group(&self) -> Option<GroupId> {
        match self {
            Self::Write { group, .. } | Self::Read { group, .. } => Some(*group),
            Self::Report => None,
        }
    }

    /// How fresh a read wants to be.
    pub fn mode(&self) -> Option<ReadMode> {
        match self {
            Self::Read { mode, .. } => Some(*mode),
            Self::Write { .. } | Self::Report => None,
        }
    }

    /// The same call, of a replica that has applied `point` where it is a read. A write sees what was before it anyway.
    pub fn not_before(self, point: LogPoint) -> Self {
        match self {
            Self::Read { group, mode, after, max_staleness_ms, query, room } => {
                let after = Some(after.map_or(point, |after| after.max(point)));
                Self::Read { group, mode, after, max_staleness_ms, query, room }
            }
            other => other,
        }
    }

    /// Gives a write that has a name its lifetime, where it has none yet: every copy that is sent has the same.
    pub fn date(&mut self, lifetime_of: impl FnOnce(GroupId, MadeBy) -> Lifetime) {
        if let Self::Write { group, lifetime: Some(lifetime), .. } = self
            && lifetime.born_ms == 0
        {
            *lifetime = lifetime_of(*group, lifetime.made_by);
        }
    }

    /// Returns `true` if it is a write that every leader refuses, since its sender knew no time of the group.
    pub fn is_unborn(&self) -> bool {
        matches!(self, Self::Write { lifetime: Some(lifetime), .. } if lifetime.born_ms == 0)
    }

    /// Whether it has no name, since to carry it out twice is the same as once.
    pub fn may_repeat(&self) -> bool {
        !matches!(self, Self::Write { lifetime: Some(_), .. })
    }

    /// Takes the lifetime back. Only for a write that certainly has no copy under way.
    pub fn undate(&mut self) {
        if let Self::Write { lifetime: Some(lifetime), .. } = self {
            *lifetime = Lifetime::unborn(lifetime.made_by);
        }
    }

    /// Whether to wait for others is in its nature: for every voter, or for a follower that is behind.
    pub fn may_wait(&self) -> bool {
        match self {
            Self::Write { everywhere, .. } => *everywhere,
            Self::Read { mode, after, .. } => *mode == ReadMode::Follower && after.is_some(),
            Self::Report => false,
        }
    }

    /// Whether it may change something.
    pub fn is_write(&self) -> bool {
        matches!(self, Self::Write { .. })
    }

    /// About how many bytes it takes on the wire, without what is always small.
    pub fn weight(&self) -> usize {
        match self {
            Self::Write { command, .. } => command.len() + 64,
            Self::Read { .. } | Self::Report => 1024,
        }
    }
}

impl RouteRequest {
    /// How long the sender waits, or as long as this node is ready to work for it.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms).min(LONGEST_CALL)
    }
}
