//! The connections of a port: how many there may be, and who has to go when there are too many.
//!
//! Clients must never take the descriptors that peers and files need. A port that is full sends home whoever has been
//! silent longest; who is being served stays, and where all are, the newcomer goes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The connections of one port; clones share them.
#[derive(Clone)]
pub(super) struct Crowd(Arc<Inner>);

struct Inner {
    most: usize,
    seats: Mutex<Seats>,
}

#[derive(Default)]
struct Seats {
    next: u64,
    taken: HashMap<u64, Arc<Seat>>,
}

/// What is known of one connection.
pub(super) struct Seat {
    /// Requests that are served; the next may be on its way while an answer still is.
    serving: AtomicUsize,
    /// Since when it has been silent.
    silent_since: Mutex<Instant>,
    leave: Notify,
}

/// A place for a connection, until it is dropped.
pub(super) struct Ticket {
    crowd: Crowd,
    number: u64,
    pub(super) seat: Arc<Seat>,
}

/// A request that is being served, until it is dropped.
pub(super) struct Serving(Arc<Seat>);

impl Crowd {
    /// At most `most` connections.
    pub(super) fn of(most: usize) -> Self {
        Self(Arc::new(Inner { most: most.max(1), seats: Mutex::default() }))
    }

    /// Lets a connection in; `None` where all others are being served.
    pub(super) fn enter(&self) -> Option<Ticket> {
        let mut seats = self.0.seats.lock();
        if seats.taken.len() >= self.0.most {
            let silent = seats.taken.iter().filter(|(_, seat)| !seat.is_serving());
            let longest = silent.min_by_key(|(_, seat)| *seat.silent_since.lock()).map(|(number, _)| *number)?;
            if let Some(seat) = seats.taken.remove(&longest) {
                seat.send_home();
            }
        }
        let (number, silent_since) = (seats.next, Mutex::new(Instant::now()));
        let seat = Arc::new(Seat { serving: AtomicUsize::new(0), silent_since, leave: Notify::new() });
        seats.next += 1;
        seats.taken.insert(number, Arc::clone(&seat));
        Some(Ticket { crowd: self.clone(), number, seat })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.crowd.0.seats.lock().taken.remove(&self.number);
    }
}

impl Seat {
    /// A request has come.
    pub(super) fn serve(self: &Arc<Self>) -> Serving {
        self.serving.fetch_add(1, Ordering::SeqCst);
        Serving(Arc::clone(self))
    }

    pub(super) fn is_serving(&self) -> bool {
        self.serving.load(Ordering::SeqCst) > 0
    }

    /// Ends the connection.
    pub(super) fn send_home(&self) {
        self.leave.notify_one();
    }

    /// Waits until the connection has to end: another needs the place, or its client takes too long.
    pub(super) async fn must_leave(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        *self.0.silent_since.lock() = Instant::now();
        self.0.serving.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_longest_goes_first_and_who_is_served_stays() {
        let crowd = Crowd::of(3);
        let mut tickets = Vec::new();
        for _ in 0..3 {
            tickets.push(crowd.enter().unwrap());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let served = tickets[0].seat.serve();
        let newcomer = crowd.enter().unwrap();
        assert!(tickets[1].seat.must_leave().now_or_never().is_some(), "it was silent for longer than the third");
        assert!(
            tickets[0].seat.must_leave().now_or_never().is_none()
                && tickets[2].seat.must_leave().now_or_never().is_none()
        );
        let (_second, _third) = (tickets[2].seat.serve(), newcomer.seat.serve());
        assert!(crowd.enter().is_none(), "all are served");
        drop(served);
        assert!(crowd.enter().is_some());
        drop(tickets);
        assert_eq!(crowd.0.seats.lock().taken.len(), 1);
    }
}
