//! Nodes that forgot how they voted: what two leaders of one term may do to a replica.

use std::sync::Arc;

use openraft::raft::AppendEntriesRequest;

use super::*;
use crate::network::server::Answer as _;
use crate::network::wire::{Refusal, Reply, Request};
use crate::types::Vote;

/// A follower hears from a second leader of its leader's term; what it answers, and whether it goes on in a new term.
async fn second_leader(seed: u64) -> (Reply, bool) {
    let cluster = start(seed, 3, settings()).await;
    let leader = write_somewhere(&cluster, &[], 1).await;
    let [follower, second] = others(&cluster, leader)[..] else { panic!("three nodes") };
    let (group, term) = (cluster.group(follower).expect("runs"), cluster.group(leader).expect("runs").status().term);
    group.wait_applied(cluster.group(leader).expect("runs").status().applied, later()).await.expect("follows");
    let vote = Vote::new_committed(term, second);
    let rpc = AppendEntriesRequest { vote, prev_log_id: None, leader_commit: None, entries: Vec::new() };
    let reply = Arc::clone(group.replica()).answer(Request::Append(rpc), Duration::ZERO).await;
    sleep(Duration::from_secs(1)).await;
    if group.status().stopped.is_some() {
        return (reply, false);
    }
    write_somewhere(&cluster, &[], 2).await;
    assert_eq!(cluster.violation(), None);
    (reply, group.status().term > term)
}

#[test]
fn nothing_is_taken_from_a_second_leader_of_one_term_and_a_new_term_begins() {
    for seed in 0..10 {
        let (reply, goes_on) = simulate(second_leader(seed));
        assert!(matches!(reply, Reply::Refused(Refusal::OtherLeader { .. })), "{reply:?}");
        assert!(goes_on, "the follower has stopped, or goes on in the term in which two lead");
    }
    let _planted = plant(Mutant::FollowsTwoLeaders);
    let is_refused = |reply: &Reply| matches!(reply, Reply::Refused(Refusal::OtherLeader { .. }));
    let is_unseen = |seed| matches!(simulate(second_leader(seed)), (reply, false) if !is_refused(&reply));
    assert!((0..10).all(is_unseen), "the planted bug is not to be seen");
}
