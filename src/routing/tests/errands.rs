//! Single turns of an errand: whom it goes to, and what an outcome makes of it.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use raft_groups::mutants::{Mutant, plant};
use raft_groups::{NodeId, ReadMode};

use crate::engine::{CollectionId, CountQuery, Lifetime, MadeBy, PointId, Refusal, Reply};
use crate::placement::tests::map_of;
use crate::placement::{ClusterMap, ShardId};
use crate::routing::errand::{Errand, Outlook, Turn};
use crate::routing::rpc::{Call, CallAnswer, CallError, Query, RpcError};
use crate::routing::{Committed, RouteError};

fn write() -> Errand {
    write_of(Lifetime { made_by: MadeBy::Client, born_ms: 9, lasts_ms: 1 })
}

fn write_of(lifetime: Lifetime) -> Errand {
    let lifetime = Some(lifetime);
    let call = Call::Write { group: ShardId(0).group(), command: Bytes::new(), everywhere: false, lifetime };
    Errand::new(Some(ShardId(0)), call)
}

fn read(mode: ReadMode) -> Errand {
    let query = Query::Count(CountQuery { collection: CollectionId(1), filter: None });
    let call = Call::Read {
        group: ShardId(0).group(),
        mode,
        after: None,
        max_staleness_ms: None,
        query: std::sync::Arc::new(query),
        room: None,
    };
    Errand::new(Some(ShardId(0)), call)
}

fn map() -> ClusterMap {
    map_of(3, 1, 3)
}

fn choose(errand: &Errand, me: Option<NodeId>, leader: Option<NodeId>, dead: NodeId) -> Option<NodeId> {
    errand.choose(&Outlook { map: &map(), me, leader, alive: &|node| node != dead, spread: 0 })
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
    let mut errand = write();
    assert_eq!(errand.answered(1, not_leader(Some(3)), &map()), Turn::Again);
    assert_eq!(choose(&errand, Some(1), Some(1), 0), Some(3));
    assert_eq!(errand.unanswered(3, &lost(), &map()), Turn::Again);
    assert_eq!(choose(&errand, Some(1), None, 0), Some(2));
    assert_eq!(errand.answered(2, not_leader(Some(3)), &map()), Turn::Later);
    assert_eq!((errand.rounds, choose(&errand, Some(1), None, 0)), (1, Some(3)));
}

#[test]
fn busy_is_not_asked_elsewhere() {
    let mut errand = write();
    let busy = CallError::Busy { limit: "1024 queries".to_owned() };
    assert_eq!(errand.answered(1, Err(busy), &map()), Turn::Later);
    assert_eq!(choose(&errand, None, Some(1), 0), Some(1));
    assert!(matches!(errand.give_up(&map()), RouteError::Overloaded { .. }));
}

#[test]
fn a_node_without_memory_for_a_write_has_certainly_not_done_it() {
    let mut errand = write();
    assert_eq!(errand.unanswered(1, &RpcError::Crowded, &map()), Turn::Later);
    assert_eq!(choose(&errand, None, Some(1), 0), Some(1), "it is asked again");
    let error = errand.give_up(&map());
    assert!(matches!(&error, RouteError::Overloaded { limit } if limit.contains("looked at nothing")), "{error:?}");
    assert_eq!(error.committed(), Committed::No);
}

#[test]
fn a_missing_quorum_is_not_forgotten_over_nodes_that_do_not_lead() {
    let mut errand = read(ReadMode::Linearizable);
    errand.answered(1, Err(CallError::NoQuorum { reason: "no majority answered".to_owned() }), &map());
    errand.unanswered(2, &lost(), &map());
    errand.answered(3, not_leader(None), &map());
    assert!(matches!(errand.give_up(&map()), RouteError::NoQuorum { .. }));
}

#[test]
fn what_cannot_be_sent_is_not_tried_again() {
    let unsendable = RpcError::Unsendable { reason: "too large".to_owned() };
    let turn = write().unanswered(1, &unsendable, &map());
    assert!(matches!(turn, Turn::Failed(RouteError::Internal { committed: Committed::No, .. })), "{turn:?}");
    let mut errand = write();
    errand.unanswered(2, &lost(), &map());
    let turn = errand.unanswered(1, &unsendable, &map());
    assert!(matches!(turn, Turn::Failed(RouteError::Internal { committed: Committed::Unknown, .. })), "{turn:?}");
}

#[test]
fn once_in_doubt_never_certainly_not() {
    let unsent = RpcError::NotSent { reason: "refused".to_owned() };
    let mut errand = write();
    errand.unanswered(1, &lost(), &map());
    errand.answered(2, not_leader(None), &map());
    errand.unanswered(3, &unsent, &map());
    assert_eq!(errand.give_up(&map()).committed(), Committed::Unknown);
    let mut errand = write();
    errand.unanswered(1, &unsent, &map());
    errand.answered(2, not_leader(None), &map());
    assert_eq!(errand.give_up(&map()).committed(), Committed::No);
    let mut errand = read(ReadMode::Lease);
    errand.unanswered(1, &lost(), &map());
    assert_eq!(errand.give_up(&map()).committed(), Committed::No, "a read changes nothing");
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
        assert_eq!(turn, Turn::Done(written(refusal)), "{refusal:?} without a doubt");
        let mut errand = write();
        errand.unanswered(1, &lost(), &map());
        match (errand.answered(2, Ok(written(refusal)), &map()), refusal.is_final()) {
            (Turn::Failed(error), false) => assert_eq!(error.committed(), Committed::Unknown, "{refusal:?}"),
            (turn, is_final) => assert_eq!((turn, is_final), (Turn::Done(written(refusal)), true)),
        }
    }
}

#[test]
fn a_write_gets_another_lifetime_only_while_no_copy_of_it_can_be_under_way() {
    let undated = || Err(CallError::Undated { time_ms: 70 });
    let lifetime = Lifetime { made_by: MadeBy::Client, born_ms: 9, lasts_ms: 1 };
    let mut errand = write_of(Lifetime::unborn(MadeBy::Client));
    errand.call.date(|_, _| lifetime);
    errand.call.date(|_, _| panic!("every copy has the same"));
    assert_eq!(errand.answered(2, undated(), &map()), Turn::Again);
    assert_eq!(choose(&errand, Some(1), Some(1), 0), Some(2), "who told the time is asked again");
    errand.call.date(|_, made_by| Lifetime { made_by, ..lifetime });
    errand.unanswered(2, &lost(), &map());
    let Turn::Failed(error) = errand.answered(3, undated(), &map()) else { panic!("there may be another copy") };
    assert_eq!(error.committed(), Committed::Unknown);
}

#[test]
fn a_write_that_every_leader_refuses_leaves_no_doubt_where_its_answer_is_lost() {
    let mut errand = write_of(Lifetime::unborn(MadeBy::Client));
    errand.unanswered(2, &lost(), &map());
    assert_eq!(errand.answered(3, Err(CallError::Undated { time_ms: 70 }), &map()), Turn::Again);
    assert_eq!(errand.give_up(&map()).committed(), Committed::No);
}

#[test]
fn committed_but_lagging_is_not_written_again() {
    let mut errand = write();
    let answer =
        CallAnswer::Written { index: 4, term: 1, reply: Bytes::new(), lagging: BTreeSet::from([3]), time_ms: 1 };
    assert_eq!(errand.answered(1, Ok(answer.clone()), &map()), Turn::Done(answer));
}

#[test]
fn patience_grows_for_the_slow_but_not_for_the_silent() {
    let (mut errand, six) = (read(ReadMode::Lease), Duration::from_secs(6));
    let late = || Err(CallError::Late { reason: "the query was not done in time".to_owned() });
    assert_eq!(errand.patience(1, six).as_secs(), 2);
    assert_eq!(errand.answered(1, late(), &map()), Turn::Again);
    errand.unanswered(2, &lost(), &map());
    assert_eq!(errand.answered(3, not_leader(Some(1)), &map()), Turn::Later);
    assert_eq!([1, 2].map(|node| errand.patience(node, six).as_secs()), [3, 2]);
    let call = Call::Write { group: ShardId(0).group(), command: Bytes::new(), everywhere: true, lifetime: None };
    assert_eq!(Errand::new(Some(ShardId(0)), call).patience(1, six), six);
}

#[test]
fn a_query_that_is_too_slow_ends_as_late_and_a_broken_one_at_once() {
    let mut errand = read(ReadMode::Follower);
    for node in 1..=3 {
        errand.answered(node, Err(CallError::Late { reason: "slow".to_owned() }), &map());
    }
    assert!(matches!(errand.give_up(&map()), RouteError::Deadline { committed: Committed::No, .. }));
    let broken = Err(CallError::Broken { reason: "it failed inside".to_owned() });
    let turn = read(ReadMode::Follower).answered(1, broken, &map());
    assert!(matches!(turn, Turn::Failed(RouteError::Internal { .. })), "{turn:?}");
}

#[test]
fn who_answered_at_last_is_not_missing() {
    let mut errand = read(ReadMode::Lease);
    errand.unanswered(1, &lost(), &map());
    errand.unanswered(2, &lost(), &map());
    errand.answered(1, not_leader(None), &map());
    let RouteError::NoLeader { missing, .. } = errand.give_up(&map()) else { panic!("no leader was found") };
    assert_eq!(missing.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["node2"]);
}

#[test]
fn a_call_that_a_node_cannot_read_is_tried_elsewhere_once_and_is_no_silence() {
    let unreadable = || RpcError::Unreadable { reason: "no such call".to_owned() };
    let mut errand = read(ReadMode::Linearizable);
    assert_eq!(errand.unanswered(1, &unreadable(), &map()), Turn::Again);
    assert_ne!(choose(&errand, None, Some(1), 0), Some(1), "another may be of another version");
    assert_eq!(errand.unanswered(2, &lost(), &map()), Turn::Again);
    let Turn::Failed(RouteError::Unreadable { node, reason, committed }) = errand.unanswered(3, &unreadable(), &map())
    else {
        panic!("it fails for good, without another round");
    };
    assert_eq!((node.as_str(), reason.as_str(), committed), ("node3", "no such call", Committed::No));
}

/// What comes of a write that the leader cannot read, and the others do not take.
fn unread_write() -> Turn {
    let mut errand = write();
    let unreadable = Err(CallError::Unreadable { reason: "format 9".to_owned() });
    assert_eq!(errand.answered(1, unreadable, &map()), Turn::Again);
    assert_eq!(errand.answered(2, not_leader(Some(1)), &map()), Turn::Again);
    errand.answered(3, not_leader(Some(1)), &map())
}

#[test]
fn a_command_that_the_leader_cannot_read_fails_for_good() {
    let failed = unread_write();
    assert!(matches!(failed, Turn::Failed(RouteError::Unreadable { committed: Committed::No, .. })), "{failed:?}");
    let _planted = plant(Mutant::UnreadableIsSilence);
    let other = unread_write();
    assert!(!matches!(other, Turn::Failed(RouteError::Unreadable { .. })), "the bug is not planted: {other:?}");
}

#[test]
fn an_answer_that_cannot_be_read_leaves_a_write_in_doubt() {
    let mut errand = write();
    let unintelligible = RpcError::Unintelligible { reason: "variant 77".to_owned() };
    assert_eq!(errand.unanswered(1, &unintelligible, &map()), Turn::Again);
    assert!(matches!(errand.give_up(&map()), RouteError::Unknown { .. }));
}
