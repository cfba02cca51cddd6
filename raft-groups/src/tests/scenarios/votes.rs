//! Nodes that forgot how they voted, and new leaders: what a replica takes from a leader, and what it concludes.

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};

use super::*;
use crate::consensus::types::{LogId, Vote};
use crate::network::wire::{PeerRefusal, PeerReply, PeerRequest};

/// A follower hears from a second leader of its leader's term. Returns its answer, and whether it continues in a new
/// term.
async fn second_leader(seed: u64) -> (PeerReply, bool) {
    let cluster = start(seed, 3, settings()).await;
    let leader = write_somewhere(&cluster, &[], 1).await;
    let [follower, second] = others(&cluster, leader)[..] else { panic!("three nodes") };
    let (group, term) = (cluster.group(follower).expect("runs"), cluster.group(leader).expect("runs").status().term);
    group.wait_applied(cluster.group(leader).expect("runs").status().applied, later()).await.expect("follows");
    // The other follower claims to lead in the same term, as if a voter had voted twice.
    let vote = Vote::new_committed(term, second);
    let rpc = AppendEntriesRequest { vote, prev_log_id: None, leader_commit: None, entries: Vec::new() };
    let reply = group.replica().answer_peer(PeerRequest::Append(rpc), Duration::ZERO).await;
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
        assert!(matches!(reply, PeerReply::Refused(PeerRefusal::OtherLeader { .. })), "{reply:?}");
        assert!(goes_on, "the follower has stopped, or goes on in the term in which two lead");
    }
    let _planted = plant(Mutant::FollowsTwoLeaders);
    let is_refused = |reply: &PeerReply| matches!(reply, PeerReply::Refused(PeerRefusal::OtherLeader { .. }));
    let is_unseen = |seed| matches!(simulate(second_leader(seed)), (reply, false) if !is_refused(&reply));
    assert!((0..10).all(is_unseen), "the planted bug is not to be seen");
}

/// A follower that has heard nothing for a while gets a message of a new leader, which has committed nothing in its
/// own term. Returns how old the follower believes its state to be.
async fn contact_with_a_new_leader(seed: u64) -> Option<Duration> {
    let cluster = start(seed, 3, settings()).await;
    let leader = write_somewhere(&cluster, &[], 1).await;
    let [follower, new] = others(&cluster, leader)[..] else { panic!("three nodes") };
    let (group, leads) = (cluster.group(follower).expect("runs"), cluster.group(leader).expect("runs"));
    group.wait_applied(leads.status().applied, later()).await.expect("follows");
    cluster.net.isolate(follower, others(&cluster, follower));
    sleep(QUIET).await;
    let (term, applied) = (group.status().term, group.status().applied);
    // The commit index is true, but of the term before (Raft, § 5.4.2).
    let (vote, committed) = (Vote::new_committed(term + 1, new), LogId::new_term_index(term, applied));
    let rpc = AppendEntriesRequest { vote, prev_log_id: None, leader_commit: Some(committed), entries: Vec::new() };
    let reply = group.replica().answer_peer(PeerRequest::Append(rpc), Duration::ZERO).await;
    assert!(matches!(reply, PeerReply::Append(AppendEntriesResponse::Success)), "{reply:?}");
    group.status().leader_contact
}

/// Longer than a message takes, and shorter than a follower waits before it campaigns.
const QUIET: Duration = Duration::from_millis(150);

#[test]
fn a_leader_that_has_committed_nothing_yet_makes_no_state_fresh() {
    let is_fresh = |seed| simulate(contact_with_a_new_leader(seed)).is_some_and(|age| age < QUIET / 2);
    assert!(!(0..10).any(is_fresh), "what it has heard of is of an earlier term");
    let _planted = plant(Mutant::EarlierTermIsFresh);
    assert!((0..10).all(is_fresh), "the planted bug is not to be seen");
}
