//! `GET /quiver/v1/events`: what this node's replicas do, as server-sent events. Node numbers go out as names.
//!
//! Each message has the event's number as its id, and `Last-Event-ID` goes on from there; where the ring has gone past
//! it, an event `gap` comes first and says how much is missing. A consumer that stalls holds up nobody: it has a place in
//! the ring and no buffer of its own beyond the connection's.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, stream};
use raft_groups::events::{Event, EventKind, Listener};
use raft_groups::{GroupId, GroupStatus, NodeId, ReadMode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::groups::{names, replicas};
use crate::gateway::http::error::ApiError;
use crate::gateway::http::extract::Params;
use crate::gateway::http::limits::LISTENERS;
use crate::gateway::state::GatewayState;
use crate::placement::ClusterMap;
use crate::routing::RouteError;

/// Which events are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::gateway) struct EventFilter {
    /// Groups, by number, with commas between; absent means all.
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
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let replicas = replicas(&state)?;
    let groups = wanted.groups()?;
    let after = headers.get("last-event-id").map(|id| id.to_str().ok().and_then(|id| id.parse::<u64>().ok()));
    if after == Some(None) {
        return Err(ApiError::invalid("Last-Event-ID", "is no number"));
    }
    let full = |_| RouteError::Overloaded { limit: format!("{LISTENERS} listeners to the events of one node") };
    let place = state.listeners.clone().try_acquire_owned().map_err(full)?;
    let listener = replicas.listen(after.flatten());
    let mut feed = Feed { state: state.clone(), listener, groups, first: Vec::new(), _place: place };
    // After the place in the ring is taken, so that nothing falls between the two.
    feed.first = feed.statuses(replicas.statuses());
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
        let gap =
            heard.missed.map(|missed| sse::Event::default().event("gap").data(json!({ "missed": missed }).to_string()));
        let events = heard.events.iter().filter_map(|event| self.message(event));
        gap.into_iter().chain(events).collect()
    }

    fn message(&self, event: &Event) -> Option<sse::Event> {
        let wanted = self.groups.as_ref().is_none_or(|groups| groups.contains(&event.group));
        wanted.then(|| {
            let json = shown(&self.state.node.name(), &names(&self.state), event);
            sse::Event::default().id(event.seq.to_string()).data(json.to_string())
        })
    }
}

/// An event as JSON.
fn shown(node: &str, map: &ClusterMap, event: &Event) -> Value {
    let (kind, members) = members(map, &event.what);
    let mut all = Map::new();
    all.insert("seq".into(), event.seq.into());
    // To the microsecond.
    all.insert("at".into(), ((event.at_ms * 1000.0).round() / 1000.0).into());
    all.insert("node".into(), node.into());
    all.insert("group".into(), event.group.0.into());
    all.insert("term".into(), event.term.into());
    all.insert("kind".into(), kind.into());
    if let Value::Object(members) = members {
        all.extend(members);
    }
    all.into()
}

/// The kind of an event and its own members.
fn members(map: &ClusterMap, what: &EventKind) -> (&'static str, Value) {
    // Nodes have numbers inside and names outside.
    let name = |node: &NodeId| map.name_of(*node);
    let names = |nodes: &BTreeSet<NodeId>| nodes.iter().map(name).collect::<Vec<_>>();
    match what {
        EventKind::Status(status) => ("status", self::status(map, status)),
        EventKind::VoteAsked { to, pre, last_log: (term, index) } => {
            ("vote_asked", json!({"to": name(to), "pre": pre, "last_log": {"term": term, "index": index}}))
        }
        EventKind::VoteAnswered { from, pre, reason } => {
            let granted = reason.is_none();
            let reason = reason.map(|reason| reason.word());
            ("vote_answered", json!({"from": name(from), "pre": pre, "granted": granted, "reason": reason}))
        }
        EventKind::VoteGranted { candidate, pre } => {
            ("vote_granted", json!({"candidate": name(candidate), "pre": pre}))
        }
        EventKind::VoteRefused { candidate, pre, reason } => {
            ("vote_refused", json!({"candidate": name(candidate), "pre": pre, "reason": reason.word()}))
        }
        EventKind::AppendSent { to, prev, count, commit } => {
            ("append_sent", json!({"to": name(to), "prev": prev, "count": count, "commit": commit}))
        }
        EventKind::AppendAcked { from, matched } => ("append_acked", json!({"from": name(from), "matched": matched})),
        EventKind::AppendRefused { from, reason } => ("append_refused", json!({"from": name(from), "reason": reason})),
        EventKind::MessageLost { to, what, reason } => {
            ("message_lost", json!({"to": name(to), "what": what, "reason": reason}))
        }
        EventKind::Appended { first, last, entry_term } => {
            ("appended", json!({"first": first, "last": last, "entry_term": entry_term}))
        }
        EventKind::Truncated { from } => ("truncated", json!({"from": from})),
        EventKind::Purged { upto } => ("purged", json!({"upto": upto})),
        EventKind::Committed { index } => ("committed", json!({"index": index})),
        EventKind::Applied { index } => ("applied", json!({"index": index})),
        EventKind::SnapshotSent { to, index } => ("snapshot_sent", json!({"to": name(to), "index": index})),
        EventKind::SnapshotInstalled { index } => ("snapshot_installed", json!({"index": index})),
        EventKind::Membership { voters, learners, joint, index } => (
            "membership",
            json!({"voters": names(voters), "learners": names(learners), "joint": joint, "index": index}),
        ),
        EventKind::Elected => ("elected", json!({})),
        EventKind::SteppedDown { leader } => ("stepped_down", json!({"leader": leader.as_ref().map(name)})),
        EventKind::LeaseGranted { ms } => ("lease_granted", json!({"ms": ms})),
        EventKind::LeaseExpired { ms } => ("lease_expired", json!({"ms": ms})),
        EventKind::Read { mode, outcome } => ("read", read(*mode, outcome)),
    }
}

fn status(map: &ClusterMap, status: &GroupStatus) -> Value {
    let names = |nodes: &BTreeSet<NodeId>| nodes.iter().map(|node| map.name_of(*node)).collect::<Vec<_>>();
    json!({
        "role": status.role, "leader": status.leader.map(|node| map.name_of(node)), "last_log": status.last_log,
        "committed": status.committed, "applied": status.applied, "snapshot": status.snapshot, "purged": status.purged,
        "voters": names(&status.voters), "learners": names(&status.learners), "joint": status.joint,
        "silent": names(&status.silent),
    })
}

fn read(mode: ReadMode, outcome: &Result<u64, String>) -> Value {
    match outcome {
        Ok(index) => json!({"mode": mode, "outcome": "ok", "reason": null, "index": index}),
        Err(reason) => json!({"mode": mode, "outcome": "refused", "reason": reason, "index": null}),
    }
}

#[cfg(test)]
mod tests {
    use raft_groups::events::VoteReason;

    use super::*;

    #[test]
    fn an_event_goes_out_with_names() {
        let map = crate::placement::tests::map_of(3, 8, 3);
        let what = EventKind::VoteRefused { candidate: 2, pre: true, reason: VoteReason::LeaderAlive };
        let event = Event { seq: 7, at_ms: 1.5, group: GroupId(1), term: 4, what };
        let json = shown("node1", &map, &event);
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
