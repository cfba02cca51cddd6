//! When a leader takes writes, and what it puts into a log.

use super::*;

#[test]
fn a_place_that_no_log_will_reach_is_refused_and_not_waited_for() {
    let point = |term, index| ReadPoint { role: Role::Follower, term, index, leader_contact: None };
    let after = |recovered, index| LogPoint { recovered, index };
    let lapsed = |found: Result<bool, CallError>| matches!(found, Err(CallError::Lapsed { .. }));
    let recovered = 1 << 40 | 7;
    assert_eq!(is_there(&point(5, 9), after(0, 9), true), Ok(true));
    assert_eq!(is_there(&point(5, 9), after(0, 10), false), Ok(false), "a follower may be behind");
    assert!(lapsed(is_there(&point(5, 9), after(0, 10), true)), "a leader is not");
    assert!(lapsed(is_there(&point(recovered, 9), after(0, 3), false)), "it may have been lost");
    assert_eq!(is_there(&point(recovered, 9), after(1, 9), false), Ok(true));
    assert_eq!(is_there(&point(5, 99), after(1, 9), false), Ok(false), "it does not know of the recovery yet");
}

#[test]
fn writes_wait_for_the_index_only_where_it_is_far_behind() {
    assert_eq!(room_for_more(MAX_WAITING_VECTORS - 1), Ok(()));
    let Err(CallError::Busy { limit }) = room_for_more(MAX_WAITING_VECTORS) else { panic!("it must wait") };
    assert!(limit.contains("--index-threads"), "{limit}");
}
