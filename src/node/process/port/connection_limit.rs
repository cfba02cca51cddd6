//! The connections of a port: how many there may be, and which one is closed when there are too many.
//!
//! Clients must never take the descriptors that peers and files need. A full port closes the connection that has been
//! silent longest. A connection that is being served stays. If all are being served, the newcomer is refused. The
//! longest silent one is found without a look at all others, so many newcomers cost little. Must not know what a
//! connection carries. How many there may be follows from the system's limit (`process/os_limits.rs`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The limit of one port, and the connections that are open. Clones share them.
#[derive(Clone)]
pub(in crate::node::process) struct ConnectionLimit(Arc<LimitState>);

struct LimitState {
    most: usize,
    open: Mutex<OpenConnections>,
}

/// The connections that are open.
///
/// - Each slot that is taken is either served (`serving` is not 0) or silent (`silent` is its turn).
/// - The map `silent` holds the silent slots and no other, in the order in which they became silent.
#[derive(Default)]
struct OpenConnections {
    /// The last number that was given, to a slot or to the turn of a silent one.
    next: u64,
    /// By the number of the slot.
    taken: HashMap<u64, OpenConnection>,
    /// The numbers of silent slots, by turn: the first is silent longest.
    silent: BTreeMap<u64, u64>,
}

struct OpenConnection {
    slot: Arc<ConnectionSlot>,
    /// Requests that are being served. There may be two: the next one may come while an answer is on its way.
    serving: usize,
    /// Its turn in the map of silent slots, while it is silent.
    silent: u64,
}

/// One connection.
pub(super) struct ConnectionSlot {
    limit: ConnectionLimit,
    number: u64,
    /// Tells the connection to end.
    leave: Notify,
}

/// The slot of a connection, until it is dropped.
pub(super) struct SlotGuard {
    pub(super) slot: Arc<ConnectionSlot>,
}

/// A request that is being served, until it is dropped.
pub(super) struct RequestGuard(Arc<ConnectionSlot>);

impl ConnectionLimit {
    /// At most `most` connections.
    pub(in crate::node::process) fn new(most: usize) -> Self {
        Self(Arc::new(LimitState { most: most.max(1), open: Mutex::default() }))
    }

    /// Admits a connection. If the port is full, it closes the connection that has been silent longest. Returns `None`
    /// if all others are being served.
    pub(super) fn admit(&self) -> Option<SlotGuard> {
        let mut open = self.0.open.lock();
        if open.taken.len() >= self.0.most {
            let (_, number) = open.silent.pop_first()?;
            let longest = open.taken.remove(&number).expect("a silent connection holds a slot");
            longest.slot.close();
        }
        // A newcomer is silent until its first request has come.
        let (number, turn) = (open.next_number(), open.next_number());
        let slot = Arc::new(ConnectionSlot { limit: self.clone(), number, leave: Notify::new() });
        open.taken.insert(number, OpenConnection { slot: Arc::clone(&slot), serving: 0, silent: turn });
        open.silent.insert(turn, number);
        Some(SlotGuard { slot })
    }
}

impl OpenConnections {
    fn next_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A request has come. A connection that was closed has no slot any more, and nothing is done.
    fn begin_request(&mut self, number: u64) {
        let Some(open) = self.taken.get_mut(&number) else { return };
        if open.serving == 0 {
            self.silent.remove(&open.silent);
        }
        open.serving += 1;
    }

    /// A request has ended, and its answer has been sent.
    fn end_request(&mut self, number: u64) {
        let turn = self.next_number();
        let Some(open) = self.taken.get_mut(&number) else { return };
        open.serving -= 1;
        if open.serving == 0 {
            open.silent = turn;
            self.silent.insert(turn, number);
        }
    }

    /// A connection has ended.
    fn remove(&mut self, number: u64) {
        if let Some(open) = self.taken.remove(&number)
            && open.serving == 0
        {
            self.silent.remove(&open.silent);
        }
    }

    /// Checks the invariants. Only tests call it, because it looks at every connection.
    #[cfg(test)]
    fn check(&self) -> Result<(), String> {
        let silent = self.taken.iter().filter(|(_, open)| open.serving == 0);
        let silent: BTreeMap<u64, u64> = silent.map(|(number, open)| (open.silent, *number)).collect();
        if silent == self.silent {
            Ok(())
        } else {
            Err(format!("{silent:?} are silent, and {:?} said to be", self.silent))
        }
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        self.slot.limit.0.open.lock().remove(self.slot.number);
    }
}

impl ConnectionSlot {
    /// Notes that a request has come. It is being served until the guard is dropped.
    pub(super) fn begin_request(self: &Arc<Self>) -> RequestGuard {
        self.limit.0.open.lock().begin_request(self.number);
        RequestGuard(Arc::clone(self))
    }

    /// Returns `true` if a request of this connection is being served. A closed connection serves none.
    pub(super) fn is_serving(&self) -> bool {
        self.limit.0.open.lock().taken.get(&self.number).is_some_and(|open| open.serving > 0)
    }

    /// Ends the connection.
    pub(super) fn close(&self) {
        self.leave.notify_one();
    }

    /// Waits until the connection has to end: another needs the slot, or its client takes too long.
    pub(super) async fn wait_for_close(&self) {
        self.leave.notified().await;
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.limit.0.open.lock().end_request(self.0.number);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use proptest::prelude::*;

    use super::*;

    fn was_closed(slot: &ConnectionSlot) -> bool {
        slot.wait_for_close().now_or_never().is_some()
    }

    #[test]
    fn who_is_silent_longest_goes_first_and_who_is_served_stays() {
        let limit = ConnectionLimit::new(3);
        let guards: Vec<_> = (0..3).map(|_| limit.admit().unwrap()).collect();
        let served = guards[0].slot.begin_request();
        let newcomer = limit.admit().unwrap();
        assert!(was_closed(&guards[1].slot), "it was silent for longer than the third");
        assert!(!was_closed(&guards[0].slot) && !was_closed(&guards[2].slot));
        let (_second, _third) = (guards[2].slot.begin_request(), newcomer.slot.begin_request());
        assert!(limit.admit().is_none(), "all are served");
        drop(served);
        assert!(limit.admit().is_some());
        drop(guards);
        assert_eq!(limit.0.open.lock().taken.len(), 1);
    }

    /// What happens to a port: a connection enters, or something happens to one that is or was here.
    #[derive(Clone, Debug)]
    enum ConnectionEvent {
        Enters,
        IsAsked(usize),
        IsAnswered(usize),
        Leaves(usize),
    }

    fn turns() -> impl Strategy<Value = Vec<ConnectionEvent>> {
        let who = 0_usize..12;
        let turn = prop_oneof![
            Just(ConnectionEvent::Enters),
            who.clone().prop_map(ConnectionEvent::IsAsked),
            who.clone().prop_map(ConnectionEvent::IsAnswered),
            who.prop_map(ConnectionEvent::Leaves),
        ];
        prop::collection::vec(turn, 0..60)
    }

    /// A connection as a plain list knows it.
    struct KnownConnection {
        guard: SlotGuard,
        requests: Vec<RequestGuard>,
        silent_since: usize,
        is_here: bool,
    }

    proptest! {
        #[test]
        fn a_full_port_closes_the_connection_that_a_look_at_all_of_them_finds(turns in turns(), most in 1_usize..5) {
            let (limit, mut known): (_, Vec<KnownConnection>) = (ConnectionLimit::new(most), Vec::new());
            for (now, turn) in turns.into_iter().enumerate() {
                match turn {
                    ConnectionEvent::Enters => {
                        let here = || known.iter().enumerate().filter(|(_, known)| known.is_here);
                        let silent = here().filter(|(_, known)| known.requests.is_empty());
                        let longest = silent.min_by_key(|(_, known)| known.silent_since).map(|(place, _)| place);
                        let (is_full, entered) = (here().count() >= most, limit.admit());
                        prop_assert_eq!(entered.is_some(), !is_full || longest.is_some());
                        if let Some(longest) = longest.filter(|_| is_full) {
                            prop_assert!(was_closed(&known[longest].guard.slot));
                            known[longest].is_here = false;
                        }
                        prop_assert!(!known.iter().any(|known| was_closed(&known.guard.slot)));
                        known.extend(entered.map(|guard| {
                            KnownConnection { guard, requests: Vec::new(), silent_since: now, is_here: true }
                        }));
                    }
                    ConnectionEvent::IsAsked(who) => {
                        if let Some(known) = known.get_mut(who) {
                            known.requests.push(known.guard.slot.begin_request());
                            prop_assert_eq!(known.guard.slot.is_serving(), known.is_here);
                        }
                    }
                    ConnectionEvent::IsAnswered(who) => {
                        if let Some(known) = known.get_mut(who) {
                            if known.requests.pop().is_some() {
                                known.silent_since = now;
                            }
                            prop_assert_eq!(known.guard.slot.is_serving(), known.is_here && !known.requests.is_empty());
                        }
                    }
                    ConnectionEvent::Leaves(who) if who < known.len() => drop(known.remove(who)),
                    ConnectionEvent::Leaves(_) => {}
                }
                let held = limit.0.open.lock();
                prop_assert_eq!(held.taken.len(), known.iter().filter(|known| known.is_here).count());
                prop_assert_eq!(held.check(), Ok(()));
            }
        }
    }
}
