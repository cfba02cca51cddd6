//! Single turns of a call: whom it goes to, and what an outcome makes of it.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use raft_groups::mutants::{Mutant, plant};
use raft_groups::{NodeId, ReadMode};

use crate::engine::{CollectionId, CountQuery, Lifetime, MadeBy, PointId, Refusal, Reply};
use crate::placement::tests::map_of;
use crate::placement::{ClusterMap, ShardId};
use crate::routing::dispatch::pending_call::{Next, PendingCall, ReplicaView};
use crate::routing::rpc::message::{Call, CallAnswer, CallError, Query, RpcError};
use crate::routing::{Committed, RouteError};

fn write() -> PendingCall {
    write_of(Lifetime { made_by: MadeBy::Client, born_ms: 9, lasts_ms: 1 })
}

fn write_of(lifetime: Lifetime) -> PendingCall {
    let lifetime = Some(lifetime);
    let call = Call::Write { group: ShardId(0).group(), command: Bytes::new(), everywhere: false, lifetime };
    PendingCall::new(Some(ShardId(0)), call)
}

fn read(mode: ReadMode) -> PendingCall {
    let query = Query::Count(CountQuery { collection: CollectionId(1), filter: None });
    let call = Call::Read {
        group: ShardId(0).group(),
        mode,
        after: None,
        max_staleness_ms: None,
        query: std::sync::Arc::new(query),
        room: None,
    };
    PendingCall::new(Some(ShardId(0)), call)
}

fn map() -> ClusterMap {
    map_of(3, 1, 3)
}

fn choose(pending: &PendingCall, me: Option<NodeId>, leader: Option<NodeId>, dead: NodeId) -> Option<NodeId> {
    pending.choose(&ReplicaView { map: &map(), me, leader, alive: &|node| node != dead, spread: 0 })
}

fn not_leader(leader: Option<NodeId>) -> Result<CallAnswer, CallError> {
    Err(CallError::NotLeader { leader })
}

fn lost() -> RpcError {
    RpcError::Lost { reason: "reset".to_owned() }
}

#[test]
fn writes_go_to_the_known_leader_then_home_then_to_the_living() {
    assert_eq!(choose(&write(), Some(2), Some(3), 0), Some(3));
    assert_eq!(choose(&write(), Some(2), None, 0), Some(2));
    assert_eq!(choose(&write(), None, None, 1), Some(2));
    assert_eq!(choose(&write(), None, Some(9), 0), Some(1), "a leader without a replica is no leader");
}

#[test]
fn reads_stay_home_unless_they_need_the_leader() {
    assert_eq!(choose(&read(ReadMode::Follower), Some(2), Some(3), 0), Some(2));
    assert_eq!(choose(&read(ReadMode::Linearizable), Some(2), Some(3), 0), Some(2));
    assert_eq!(choose(&read(ReadMode::Linearizable), None, Some(3), 0), Some(3));
    assert_eq!(choose(&read(ReadMode::Lease), Some(2), Some(3), 0), Some(3));
}

#[test]
fn a_hint_is_followed_at_once_and_a_round_in_vain_pauses() {
    let mut pending = write();
    assert_eq!(pending.answered(1, not_leader(Some(3)), &map()), Next::Again);
    assert_eq!(choose(&pending, Some(1), Some(1), 0), Some(3));
    assert_eq!(pending.unanswered(3, &lost(), &map()), Next::Again);
    assert_eq!(choose(&pending, Some(1), None, 0), Some(2));
    assert_eq!(pending.answered(2, not_leader(Some(3)), &map()), Next::Later);
    assert_eq!((pending.rounds, choose(&pending, Some(1), None, 0)), (1, Some(3)));
}

#[test]
fn busy_is_not_asked_elsewhere() {
    let mut pending = write();
    let busy = CallError::Busy { limit: "1024 queries".to_owned() };
    assert_eq!(pending.answered(1, Err(busy), &map()), Next::Later);
    assert_eq!(choose(&pending, None, Some(1), 0), Some(1));
    assert!(matches!(pending.give_up(&map()), RouteError::Overloaded { .. }));
}

#[test]
fn a_node_without_memory_for_a_write_has_certainly_not_done_it() {
    let mut pending = write();
    assert_eq!(pending.unanswered(1, &RpcError::Crowded, &map()), Next::Later);
    assert_eq!(choose(&pending, None, Some(1), 0), Some(1), "it is asked again");
    let error = pending.give_up(&map());
    assert!(matches!(&error, RouteError::Overloaded { limit } if limit.contains("looked at nothing")), "{error:?}");
    assert_eq!(error.committed(), Committed::No);
}

#[test]
fn a_missing_quorum_is_not_forgotten_over_nodes_that_do_not_lead() {
    let mut pending = read(ReadMode::Linearizable);
    pending.answered(1, Err(CallError::NoQuorum { reason: "no majority answered".to_owned() }), &map());
    pending.unanswered(2, &lost(), &map());
    pending.answered(3, not_leader(None), &map());
    assert!(matches!(pending.give_up(&map()), RouteError::NoQuorum { .. }));
}

#[test]
fn what_cannot_be_sent_is_not_tried_again() {
    let unsendable = RpcError::Unsendable { reason: "too large".to_owned() };
    let turn = write().unanswered(1, &unsendable, &map());
    assert!(matches!(turn, Next::Failed(RouteError::Internal { committed: Committed::No, .. })), "{turn:?}");
    let mut pending = write();
    pending.unanswered(2, &lost(), &map());
    let turn = pending.unanswered(1, &unsendable, &map());
    assert!(matches!(turn, Next::Failed(RouteError::Internal { committed: Committed::Unknown, .. })), "{turn:?}");
}

#[test]
fn once_in_doubt_never_certainly_not() {
    let unsent = RpcError::NotSent { reason: "refused".to_owned() };
    let mut pending = write();
    pending.unanswered(1, &lost(), &map());
    pending.answered(2, not_leader(None), &map());
    pending.unanswered(3, &unsent, &map());
    assert_eq!(pending.give_up(&map()).committed(), Committed::Unknown);
    let mut pending = write();
    pending.unanswered(1, &unsent, &map());
    pending.answered(2, not_leader(None), &map());
    assert_eq!(pending.give_up(&map()).committed(), Committed::No);
    let mut pending = read(ReadMode::Lease);
    pending.unanswered(1, &lost(), &map());
    assert_eq!(pending.give_up(&map()).committed(), Committed::No, "a read changes nothing");
}

#[test]
fn once_in_doubt_a_refusal_that_may_be_another_tomorrow_says_nothing() {
    let collection = CollectionId(1);
    let written = |refusal: &Refusal| {
        let reply = Reply::Refused(refusal.clone()).encode();
        CallAnswer::Written { index: 4, term: 1, reply, lagging: BTreeSet::new(), time_ms: 1 }
    };
    let open = [
        Refusal::CollectionNotFound { collection },
        Refusal::CollectionDropped { collection },
        Refusal::RequestExpired,
        Refusal::TooManyRequestIds { limit: 1 },
    ];
    let mismatch = Refusal::VersionMismatch { position: 0, id: PointId::Num(1), expected: 2, current: 3 };
    for refusal in open.iter().chain([&mismatch, &Refusal::RequestReused]) {
        let turn = write().answered(1, Ok(written(refusal)), &map());
        assert_eq!(turn, Next::Done(written(refusal)), "{refusal:?} without a doubt");
        let mut pending = write();
        pending.unanswered(1, &lost(), &map());
        match (pending.answered(2, Ok(written(refusal)), &map()), refusal.is_final()) {
            (Next::Failed(error), false) => assert_eq!(error.committed(), Committed::Unknown, "{refusal:?}"),
            (turn, is_final) => assert_eq!((turn, is_final), (Next::Done(written(refusal)), true)),
        }
    }
}

#[test]
fn a_write_gets_another_lifetime_only_while_no_copy_of_it_can_be_under_way() {
    let undated = || Err(CallError::Undated { time_ms: 70 });
    let lifetime = Lifetime { made_by: MadeBy::Client, born_ms: 9, lasts_ms: 1 };
    let mut pending = write_of(Lifetime::unborn(MadeBy::Client));
    pending.call.date(|_, _| lifetime);
    pending.call.date(|_, _| panic!("every copy has the same"));
    assert_eq!(pending.answered(2, undated(), &map()), Next::Again);
    assert_eq!(choose(&pending, Some(1), Some(1), 0), Some(2), "who told the time is asked again");
    pending.call.date(|_, made_by| Lifetime { made_by, ..lifetime });
    pending.unanswered(2, &lost(), &map());
    let Next::Failed(error) = pending.answered(3, undated(), &map()) else { panic!("there may be another copy") };
    assert_eq!(error.committed(), Committed::Unknown);
}

#[test]
fn a_write_that_every_leader_refuses_leaves_no_doubt_where_its_answer_is_lost() {
    let mut pending = write_of(Lifetime::unborn(MadeBy::Client));
    pending.unanswered(2, &lost(), &map());
    assert_eq!(pending.answered(3, Err(CallError::Undated { time_ms: 70 }), &map()), Next::Again);
    assert_eq!(pending.give_up(&map()).committed(), Committed::No);
}

#[test]
fn committed_but_lagging_is_not_written_again() {
    let mut pending = write();
    let answer =
        CallAnswer::Written { index: 4, term: 1, reply: Bytes::new(), lagging: BTreeSet::from([3]), time_ms: 1 };
    assert_eq!(pending.answered(1, Ok(answer.clone()), &map()), Next::Done(answer));
}

#[test]
fn patience_grows_for_the_slow_but_not_for_the_silent() {
    let (mut pending, six) = (read(ReadMode::Lease), Duration::from_secs(6));
    let late = || Err(CallError::Late { reason: "the query was not done in time".to_owned() });
    assert_eq!(pending.patience(1, six).as_secs(), 2);
    assert_eq!(pending.answered(1, late(), &map()), Next::Again);
    pending.unanswered(2, &lost(), &map());
    assert_eq!(pending.answered(3, not_leader(Some(1)), &map()), Next::Later);
    assert_eq!([1, 2].map(|node| pending.patience(node, six).as_secs()), [3, 2]);
    let call = Call::Write { group: ShardId(0).group(), command: Bytes::new(), everywhere: true, lifetime: None };
    assert_eq!(PendingCall::new(Some(ShardId(0)), call).patience(1, six), six);
}

#[test]
fn a_query_that_is_too_slow_ends_as_late_and_a_broken_one_at_once() {
    let mut pending = read(ReadMode::Follower);
    for node in 1..=3 {
        pending.answered(node, Err(CallError::Late { reason: "slow".to_owned() }), &map());
    }
    assert!(matches!(pending.give_up(&map()), RouteError::Deadline { committed: Committed::No, .. }));
    let broken = Err(CallError::Broken { reason: "it failed inside".to_owned() });
    let turn = read(ReadMode::Follower).answered(1, broken, &map());
    assert!(matches!(turn, Next::Failed(RouteError::Internal { .. })), "{turn:?}");
}

#[test]
fn who_answered_at_last_is_not_missing() {
    let mut pending = read(ReadMode::Lease);
    pending.unanswered(1, &lost(), &map());
    pending.unanswered(2, &lost(), &map());
    pending.answered(1, not_leader(None), &map());
    let RouteError::NoLeader { missing, .. } = pending.give_up(&map()) else { panic!("no leader was found") };
    assert_eq!(missing.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["node2"]);
}

#[test]
fn a_call_that_a_node_cannot_read_is_tried_elsewhere_once_and_is_no_silence() {
    let unreadable = || RpcError::Unreadable { reason: "no such call".to_owned() };
    let mut pending = read(ReadMode::Linearizable);
    assert_eq!(pending.unanswered(1, &unreadable(), &map()), Next::Again);
    assert_ne!(choose(&pending, None, Some(1), 0), Some(1), "another may be of another version");
    assert_eq!(pending.unanswered(2, &lost(), &map()), Next::Again);
    let Next::Failed(RouteError::Unreadable { node, reason, committed }) = pending.unanswered(3, &unreadable(), &map())
    else {
        panic!("it fails for good, without another round");
    };
    assert_eq!((node.as_str(), reason.as_str(), committed), ("node3", "no such call", Committed::No));
}

/// What comes of a write that the leader cannot read, and the others do not take.
fn unread_write() -> Next {
    let mut pending = write();
    let unreadable = Err(CallError::Unreadable { reason: "format 9".to_owned() });
    assert_eq!(pending.answered(1, unreadable, &map()), Next::Again);
    assert_eq!(pending.answered(2, not_leader(Some(1)), &map()), Next::Again);
    pending.answered(3, not_leader(Some(1)), &map())
}

#[test]
fn a_command_that_the_leader_cannot_read_fails_for_good() {
    let failed = unread_write();
    assert!(matches!(failed, Next::Failed(RouteError::Unreadable { committed: Committed::No, .. })), "{failed:?}");
    let _planted = plant(Mutant::UnreadableIsSilence);
    let other = unread_write();
    assert!(!matches!(other, Next::Failed(RouteError::Unreadable { .. })), "the bug is not planted: {other:?}");
}

#[test]
fn an_answer_that_cannot_be_read_leaves_a_write_in_doubt() {
    let mut pending = write();
    let unintelligible = RpcError::Unintelligible { reason: "variant 77".to_owned() };
    assert_eq!(pending.unanswered(1, &unintelligible, &map()), Next::Again);
    assert!(matches!(pending.give_up(&map()), RouteError::Unknown { .. }));
}
