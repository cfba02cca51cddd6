//! When a leader takes writes.

use super::*;

#[test]
fn writes_wait_for_the_index_only_where_it_is_far_behind() {
    assert_eq!(room_for_more(MAX_WAITING_VECTORS - 1), Ok(()));
    let Err(CallError::Busy { limit }) = room_for_more(MAX_WAITING_VECTORS) else { panic!("it must wait") };
    assert!(limit.contains("--index-threads"), "{limit}");
}
