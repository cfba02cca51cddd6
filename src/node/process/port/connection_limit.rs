//! The connections of a port: how many there may be, and who has to go when there are too many.
//!
//! Clients must never take the descriptors that peers and files need. A port that is full sends home whoever has been
//! silent longest; who is being served stays, and where all are, the newcomer goes. A crowd of newcomers is no burden: who
//! has to go is known without a look at the others.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The connections of one port; clones share them.
#[derive(Clone)]
pub(in crate::node::process) struct Crowd(Arc<Inner>);

struct Inner {
    most: usize,
    seats: Mutex<Seats>,
}

/// Who is here.
///
/// - Each seat that is taken is either served (`serving` is not 0) or silent (`silent` is its turn).
/// - `silent` holds those that are silent and no other, in the order in which they became so.
#[derive(Default)]
struct Seats {
    /// The next number of a seat, and the next turn of one that becomes silent.
    next: u64,
    taken: HashMap<u64, Standing>,
    silent: BTreeMap<u64, u64>,
}

struct Standing {
    seat: Arc<Seat>,
    /// Requests that are served; the next may be on its way while an answer still is.
    serving: usize,
    /// Its turn, while it is silent.
    silent: u64,
}

/// One connection.
pub(in crate::node::process) struct Seat {
    crowd: Crowd,
    number: u64,
    leave: Notify,
}

/// A place for a connection, until it is dropped.
pub(in crate::node::process) struct Ticket {
    pub(in crate::node::process) seat: Arc<Seat>,
}

/// A request that is being served, until it is dropped.
pub(in crate::node::process) struct Serving(Arc<Seat>);

impl Crowd {
    /// At most `most` connections.
    pub(in crate::node::process) fn of(most: usize) -> Self {
        Self(Arc::new(Inner { most: most.max(1), seats: Mutex::default() }))
    }

    /// Lets a connection in; `None` where all others are being served.
    pub(in crate::node::process) fn enter(&self) -> Option<Ticket> {
        let mut seats = self.0.seats.lock();
        if seats.taken.len() >= self.0.most {
            let (_, longest) = seats.silent.pop_first()?;
            let sent_home = seats.taken.remove(&longest).expect("who is silent is here");
            sent_home.seat.send_home();
        }
        let (number, turn) = (seats.turn(), seats.turn());
        let seat = Arc::new(Seat { crowd: self.clone(), number, leave: Notify::new() });
        seats.taken.insert(number, Standing { seat: Arc::clone(&seat), serving: 0, silent: turn });
        seats.silent.insert(turn, number);
        Some(Ticket { seat })
    }
}

impl Seats {
    fn turn(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A request has come. Of who was sent home nothing is known any more.
    fn serve(&mut self, number: u64) {
        let Some(standing) = self.taken.get_mut(&number) else { return };
        if standing.serving == 0 {
            self.silent.remove(&standing.silent);
        }
        standing.serving += 1;
    }

    /// A request has come to its end.
    fn answered(&mut self, number: u64) {
        let turn = self.turn();
        let Some(standing) = self.taken.get_mut(&number) else { return };
        standing.serving -= 1;
        if standing.serving == 0 {
            standing.silent = turn;
            self.silent.insert(turn, number);
        }
    }

    /// A connection has ended.
    fn leave(&mut self, number: u64) {
        if let Some(standing) = self.taken.remove(&number)
            && standing.serving == 0
        {
            self.silent.remove(&standing.silent);
        }
    }

    /// What holds between two changes. Tests ask: it takes a look at everyone.
    #[cfg(test)]
    fn check(&self) -> Result<(), String> {
        let silent = self.taken.iter().filter(|(_, standing)| standing.serving == 0);
        let silent: BTreeMap<u64, u64> = silent.map(|(number, standing)| (standing.silent, *number)).collect();
        if silent == self.silent {
            Ok(())
        } else {
            Err(format!("{silent:?} are silent, and {:?} said to be", self.silent))
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.seat.crowd.0.seats.lock().leave(self.seat.number);
    }
}

impl Seat {
    /// A request has come.
    pub(in crate::node::process) fn serve(self: &Arc<Self>) -> Serving {
        self.crowd.0.seats.lock().serve(self.number);
        Serving(Arc::clone(self))
    }

    /// Returns `true` if a request of it is being served. Who was sent home is not.
    pub(in crate::node::process) fn is_serving(&self) -> bool {
        self.crowd.0.seats.lock().taken.get(&self.number).is_some_and(|standing| standing.serving > 0)
    }

    /// Ends the connection.
    pub(in crate::node::process) fn send_home(&self) {
        self.leave.notify_one();
    }

    /// Waits until the connection has to end: another needs the place, or its client takes too long.
    pub(in crate::node::process) async fn must_leave(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.crowd.0.seats.lock().answered(self.0.number);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use proptest::prelude::*;

    use super::*;

    fn was_sent_home(seat: &Seat) -> bool {
        seat.must_leave().now_or_never().is_some()
    }

    #[test]
    fn who_is_silent_longest_goes_first_and_who_is_served_stays() {
        let crowd = Crowd::of(3);
        let tickets: Vec<_> = (0..3).map(|_| crowd.enter().unwrap()).collect();
        let served = tickets[0].seat.serve();
        let newcomer = crowd.enter().unwrap();
        assert!(was_sent_home(&tickets[1].seat), "it was silent for longer than the third");
        assert!(!was_sent_home(&tickets[0].seat) && !was_sent_home(&tickets[2].seat));
        let (_second, _third) = (tickets[2].seat.serve(), newcomer.seat.serve());
        assert!(crowd.enter().is_none(), "all are served");
        drop(served);
        assert!(crowd.enter().is_some());
        drop(tickets);
        assert_eq!(crowd.0.seats.lock().taken.len(), 1);
    }

    /// What happens to a crowd: someone enters, or something happens to one of those who are or were here.
    #[derive(Clone, Debug)]
    enum Turn {
        Enters,
        IsAsked(usize),
        IsAnswered(usize),
        Leaves(usize),
    }

    fn turns() -> impl Strategy<Value = Vec<Turn>> {
        let who = 0_usize..12;
        let turn = prop_oneof![
            Just(Turn::Enters),
            who.clone().prop_map(Turn::IsAsked),
            who.clone().prop_map(Turn::IsAnswered),
            who.prop_map(Turn::Leaves),
        ];
        prop::collection::vec(turn, 0..60)
    }

    /// A connection as a plain list of them would know it.
    struct Known {
        ticket: Ticket,
        requests: Vec<Serving>,
        silent_since: usize,
        is_here: bool,
    }

    proptest! {
        #[test]
        fn a_crowd_sends_home_whom_a_look_at_all_of_them_finds(turns in turns(), most in 1_usize..5) {
            let (crowd, mut known): (_, Vec<Known>) = (Crowd::of(most), Vec::new());
            for (now, turn) in turns.into_iter().enumerate() {
                match turn {
                    Turn::Enters => {
                        let here = || known.iter().enumerate().filter(|(_, known)| known.is_here);
                        let silent = here().filter(|(_, known)| known.requests.is_empty());
                        let longest = silent.min_by_key(|(_, known)| known.silent_since).map(|(place, _)| place);
                        let (is_full, entered) = (here().count() >= most, crowd.enter());
                        prop_assert_eq!(entered.is_some(), !is_full || longest.is_some());
                        if let Some(longest) = longest.filter(|_| is_full) {
                            prop_assert!(was_sent_home(&known[longest].ticket.seat));
                            known[longest].is_here = false;
                        }
                        prop_assert!(!known.iter().any(|known| was_sent_home(&known.ticket.seat)));
                        known.extend(entered.map(|ticket| {
                            Known { ticket, requests: Vec::new(), silent_since: now, is_here: true }
                        }));
                    }
                    Turn::IsAsked(who) => {
                        if let Some(known) = known.get_mut(who) {
                            known.requests.push(known.ticket.seat.serve());
                            prop_assert_eq!(known.ticket.seat.is_serving(), known.is_here);
                        }
                    }
                    Turn::IsAnswered(who) => {
                        if let Some(known) = known.get_mut(who) {
                            if known.requests.pop().is_some() {
                                known.silent_since = now;
                            }
                            prop_assert_eq!(known.ticket.seat.is_serving(), known.is_here && !known.requests.is_empty());
                        }
                    }
                    Turn::Leaves(who) if who < known.len() => drop(known.remove(who)),
                    Turn::Leaves(_) => {}
                }
                let held = crowd.0.seats.lock();
                prop_assert_eq!(held.taken.len(), known.iter().filter(|known| known.is_here).count());
                prop_assert_eq!(held.check(), Ok(()));
            }
        }
    }
}
