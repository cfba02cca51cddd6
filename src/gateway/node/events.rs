//! `GET /quiver/v1/events`: what this node's replicas do, as server-sent events. Node numbers go out as names.
//!
//! Each message has the event's number as its id, and `Last-Event-ID` goes on from there; where the ring has gone past
//! it, an event `gap` comes first and says how much is missing. A consumer that stalls holds up nobody: it has a place in
//! the ring and no buffer of its own beyond the connection's.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, stream};
use raft_groups::events::{Event, EventKind, Listener};
use raft_groups::{GroupId, GroupStatus, NodeId, ReadMode};
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;

use super::groups::{names, replicas};
use crate::api::events::{EventFacts, EventGap, GAP, LogPosition, NodeEvent};
use crate::gateway::http::error::ApiError;
use crate::gateway::http::extract::Params;
use crate::gateway::http::limits::LISTENERS;
use crate::gateway::openapi::api_route::{Described, RouteInputs};
use crate::gateway::state::GatewayState;
use crate::placement::ClusterMap;
use crate::routing::RouteError;

/// The header's name, as `http` spells it.
const LAST_EVENT_ID: &str = "last-event-id";

/// Which events are asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::gateway) struct EventFilter {
    /// Groups, by number, with commas between; absent means all.
    #[schemars(extend("pattern" = "^ *[0-9]{1,18} *(, *[0-9]{1,18} *)*$"))]
    groups: Option<String>,
}

impl EventFilter {
    fn groups(&self) -> Result<Option<BTreeSet<GroupId>>, ApiError> {
        let number = |text: &str| {
            let wrong = |_| ApiError::invalid("groups", format!("`{text}` is no group: give numbers, as in 0,1"));
            text.trim().parse().map(GroupId).map_err(wrong)
        };
        self.groups.as_ref().map(|list| list.split(',').map(number).collect()).transpose()
    }
}

/// The header `Last-Event-ID`: the number of the last event that the reader has.
pub(in crate::gateway) struct LastEventId(pub(in crate::gateway) Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(id) = parts.headers.get(LAST_EVENT_ID) else { return Ok(Self(None)) };
        let number = id.to_str().ok().and_then(|id| id.parse().ok());
        number.map(|number| Self(Some(number))).ok_or_else(|| ApiError::invalid("Last-Event-ID", "is no number"))
    }
}

impl Described for LastEventId {
    fn describe(inputs: &mut RouteInputs, schemas: &mut SchemaGenerator) {
        inputs.headers.push(("Last-Event-ID", schemas.subschema_for::<u64>()));
    }
}

/// One consumer on its way through the ring.
struct Feed {
    state: GatewayState,
    listener: Listener,
    groups: Option<BTreeSet<GroupId>>,
    /// How everything is at first.
    first: Vec<sse::Event>,
    _place: OwnedSemaphorePermit,
}

pub(in crate::gateway) async fn stream(
    State(state): State<GatewayState>,
    Params(wanted): Params<EventFilter>,
    LastEventId(after): LastEventId,
) -> Result<Response, ApiError> {
    let replicas = replicas(&state)?;
    let groups = wanted.groups()?;
    // A stream stays open for long, so the listeners of a node are counted. One too many is told to come later.
    let full = |_| RouteError::Overloaded { limit: format!("{LISTENERS} listeners to the events of one node") };
    let place = state.listeners.clone().try_acquire_owned().map_err(full)?;
    let listener = replicas.listen(after);
    let mut feed = Feed { state: state.clone(), listener, groups, first: Vec::new(), _place: place };
    // After the place in the ring is taken, so that nothing falls between the two.
    feed.first = feed.statuses(replicas.statuses());
    // One wait for the ring may give several messages.
    let batches = stream::unfold(feed, |mut feed| async move {
        let messages = feed.next().await;
        Some((stream::iter(messages.into_iter().map(Ok::<_, Infallible>)), feed))
    });
    // An open stream must not hold up the end of the process.
    let stop = state.node.clone();
    let messages = batches.flatten().take_until(Box::pin(async move { stop.stopping().await }));
    Ok(Sse::new(messages).keep_alive(KeepAlive::default()).into_response())
}

impl Feed {
    fn statuses(&self, statuses: Vec<GroupStatus>) -> Vec<sse::Event> {
        let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1000.0);
        let seq = self.listener.at();
        let event = |status: GroupStatus| {
            let (group, term) = (status.group, status.term);
            Event { seq, at_ms, group, term, what: EventKind::Status(Box::new(status)) }
        };
        statuses.into_iter().map(event).filter_map(|event| self.message(&event)).collect()
    }

    async fn next(&mut self) -> Vec<sse::Event> {
        if !self.first.is_empty() {
            return std::mem::take(&mut self.first);
        }
        let heard = self.listener.next().await;
        let gap = heard.missed.map(|missed| sse::Event::default().event(GAP).data(text(&EventGap { missed })));
        let events = heard.events.iter().filter_map(|event| self.message(event));
        gap.into_iter().chain(events).collect()
    }

    fn message(&self, event: &Event) -> Option<sse::Event> {
        let wanted = self.groups.as_ref().is_none_or(|groups| groups.contains(&event.group));
        wanted.then(|| {
            let event = shown(&self.state.node.name(), &names(&self.state), event);
            sse::Event::default().id(event.seq.to_string()).data(text(&event))
        })
    }
}

/// The data of a message.
fn text(data: &impl Serialize) -> String {
    serde_json::to_string(data).expect("an event has texts for keys, and no number that JSON lacks")
}

/// An event as it goes out: with the names of nodes.
fn shown(node: &str, map: &ClusterMap, event: &Event) -> NodeEvent {
    // To the microsecond.
    let at = (event.at_ms * 1000.0).round() / 1000.0;
    let (group, term, facts) = (event.group.0, event.term, facts(map, &event.what));
    NodeEvent { seq: event.seq, at, node: node.to_owned(), group, term, facts }
}

/// What happened, with the names of nodes.
fn facts(map: &ClusterMap, what: &EventKind) -> EventFacts {
    let name = |node: &NodeId| map.name_of(*node);
    let names = |nodes: &BTreeSet<NodeId>| nodes.iter().map(name).collect::<Vec<_>>();
    match *what {
        EventKind::Status(ref status) => self::status(map, status),
        EventKind::VoteAsked { ref to, pre, last_log: (term, index) } => {
            EventFacts::VoteAsked { to: name(to), pre, last_log: LogPosition { term, index } }
        }
        EventKind::VoteAnswered { ref from, pre, reason } => {
            let (granted, reason) = (reason.is_none(), reason.map(|reason| reason.word().to_owned()));
            EventFacts::VoteAnswered { from: name(from), pre, granted, reason }
        }
        EventKind::VoteGranted { ref candidate, pre } => EventFacts::VoteGranted { candidate: name(candidate), pre },
        EventKind::VoteRefused { ref candidate, pre, reason } => {
            EventFacts::VoteRefused { candidate: name(candidate), pre, reason: reason.word().to_owned() }
        }
        EventKind::AppendSent { ref to, prev, count, commit } => {
            EventFacts::AppendSent { to: name(to), prev, count, commit }
        }
        EventKind::AppendAcked { ref from, matched } => EventFacts::AppendAcked { from: name(from), matched },
        EventKind::AppendRefused { ref from, reason } => {
            EventFacts::AppendRefused { from: name(from), reason: reason.to_owned() }
        }
        EventKind::MessageLost { ref to, what, reason } => {
            EventFacts::MessageLost { to: name(to), what: what.to_owned(), reason: reason.to_owned() }
        }
        EventKind::Appended { first, last, entry_term } => EventFacts::Appended { first, last, entry_term },
        EventKind::Truncated { from } => EventFacts::Truncated { from },
        EventKind::Purged { upto } => EventFacts::Purged { upto },
        EventKind::Committed { index } => EventFacts::Committed { index },
        EventKind::Applied { index } => EventFacts::Applied { index },
        EventKind::SnapshotSent { ref to, index } => EventFacts::SnapshotSent { to: name(to), index },
        EventKind::SnapshotInstalled { index } => EventFacts::SnapshotInstalled { index },
        EventKind::Membership { ref voters, ref learners, joint, index } => {
            EventFacts::Membership { voters: names(voters), learners: names(learners), joint, index }
        }
        EventKind::Elected => EventFacts::Elected {},
        EventKind::SteppedDown { ref leader } => EventFacts::SteppedDown { leader: leader.as_ref().map(name) },
        EventKind::LeaseGranted { ms } => EventFacts::LeaseGranted { ms },
        EventKind::LeaseExpired { ms } => EventFacts::LeaseExpired { ms },
        EventKind::Read { mode, ref outcome } => read(mode, outcome),
    }
}

fn status(map: &ClusterMap, status: &GroupStatus) -> EventFacts {
    let names = |nodes: &BTreeSet<NodeId>| nodes.iter().map(|node| map.name_of(*node)).collect::<Vec<_>>();
    EventFacts::Status {
        role: status.role,
        leader: status.leader.map(|node| map.name_of(node)),
        last_log: status.last_log,
        committed: status.committed,
        applied: status.applied,
        snapshot: status.snapshot,
        purged: status.purged,
        voters: names(&status.voters),
        learners: names(&status.learners),
        joint: status.joint,
        silent: names(&status.silent),
    }
}

fn read(mode: ReadMode, outcome: &Result<u64, String>) -> EventFacts {
    let (word, index, reason) = match outcome {
        Ok(index) => ("ok", Some(*index), None),
        Err(reason) => ("refused", None, Some(reason.clone())),
    };
    EventFacts::Read { mode, outcome: word.to_owned(), reason, index }
}

#[cfg(test)]
mod tests {
    use raft_groups::events::VoteReason;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_goes_out_with_names() {
        let map = crate::placement::tests::map_of(3, 8, 3);
        let what = EventKind::VoteRefused { candidate: 2, pre: true, reason: VoteReason::LeaderAlive };
        let event = Event { seq: 7, at_ms: 1.5, group: GroupId(1), term: 4, what };
        let json = serde_json::to_value(shown("node1", &map, &event)).unwrap();
        let expected = json!({"seq": 7, "at": 1.5, "node": "node1", "group": 1, "term": 4, "kind": "vote_refused",
                              "candidate": map.name_of(2), "pre": true, "reason": "leader_alive"});
        assert_eq!(json, expected);
    }

    #[test]
    fn groups_are_numbers() {
        let wanted = |text: &str| EventFilter { groups: Some(text.to_owned()) }.groups();
        assert_eq!(wanted("0, 3").unwrap(), Some(BTreeSet::from([GroupId(0), GroupId(3)])));
        assert!(wanted("shard0").is_err());
        assert_eq!(EventFilter::default().groups().unwrap(), None);
    }
}
