//! The ring that holds a node's latest events, and the listeners' places in it.
//!
//! Comes in: events, one after the other. Goes out: to each listener, the events after its place, and how many it
//! has missed. Memory is bounded whatever a listener does, and a listener holds nobody up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::event::{Event, EventKind};
use crate::GroupId;

/// Events that are kept. A listener that is further behind has missed some.
const CAPACITY: usize = 8192;
/// Events, at most, that a listener gets at once.
const BATCH: usize = 256;
/// How long recording goes on after the last listener has left. A listener that comes back within it misses nothing.
const LINGER: Duration = Duration::from_secs(30);

/// A node's events; clones share them.
#[derive(Clone)]
pub struct Events(Arc<EventsShared>);

struct EventsShared {
    /// `true` if events are recorded. It is loaded relaxed, because no data depends on it. An event that is lost as
    /// recording begins is missed by nobody.
    on: AtomicBool,
    ring: Mutex<EventRing>,
    grown: Notify,
}

/// Invariants, held by [`EventRing::check`]: there are at most `capacity` events, without gaps, and the last one has
/// the number before `next`.
struct EventRing {
    /// In order and without gaps.
    events: VecDeque<Arc<Event>>,
    /// Number of the next event.
    next: u64,
    capacity: usize,
    listeners: usize,
    left: Instant,
}

/// What a listener gets: how many events it missed, and the events that come next.
#[derive(Debug, PartialEq)]
pub struct Heard {
    /// How many events the ring no longer had; `None` if there is no gap. `Some(0)`: the place asked for is from an
    /// earlier life of the node, so the gap cannot be counted.
    pub missed: Option<u64>,
    /// The events, in order. Never empty, unless something was missed.
    pub events: Vec<Arc<Event>>,
}

/// A listener's place in the ring. While one is held, events are recorded.
pub struct Listener {
    events: Events,
    next: u64,
    /// `true` if this life of the node cannot have given the place that was asked for.
    foreign: bool,
}

impl EventRing {
    /// Returns the number of the first event that is still here; without any, that of the next one.
    fn first(&self) -> u64 {
        self.next - self.events.len() as u64
    }

    /// Says which invariant does not hold, if one does not.
    fn check(&self) -> Result<(), String> {
        if self.events.len() > self.capacity {
            return Err(format!("{} events are kept, of {} at most", self.events.len(), self.capacity));
        }
        match self.events.front() {
            Some(front) if front.seq != self.first() => Err(format!("{} is not {}", front.seq, self.first())),
            _ => Ok(()),
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl Events {
    /// Makes a ring of `capacity` events.
    fn with_capacity(capacity: usize) -> Self {
        let ring = EventRing { events: VecDeque::new(), next: 1, capacity, listeners: 0, left: Instant::now() };
        Self(Arc::new(EventsShared { on: AtomicBool::new(false), ring: Mutex::new(ring), grown: Notify::new() }))
    }

    /// Returns `true` if events are recorded.
    pub(crate) fn is_on(&self) -> bool {
        self.0.on.load(Ordering::Relaxed)
    }

    /// Records an event and wakes the listeners.
    pub(crate) fn tell(&self, group: GroupId, term: u64, what: EventKind) {
        let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1000.0);
        {
            // Recording is turned off here, by the first event after the pause: nobody needs a timer.
            let mut ring = self.0.ring.lock();
            if ring.listeners == 0 && ring.left.elapsed() > LINGER {
                self.0.on.store(false, Ordering::Relaxed);
                return;
            }
            let seq = ring.next;
            ring.next += 1;
            if ring.events.len() == ring.capacity {
                ring.events.pop_front();
            }
            ring.events.push_back(Arc::new(Event { seq, at_ms, group, term, what }));
            debug_assert_eq!(ring.check(), Ok(()));
        }
        self.0.grown.notify_waiters();
    }

    /// Listens to the events after number `after`; without one, to the events from now on.
    pub fn listen(&self, after: Option<u64>) -> Listener {
        let mut ring = self.0.ring.lock();
        ring.listeners += 1;
        if !self.is_on() {
            // What happened meanwhile was not recorded. One number is skipped, so a listener with an older place
            // sees a gap.
            if ring.next > 1 {
                ring.events.clear();
                ring.next += 1;
            }
            self.0.on.store(true, Ordering::Relaxed);
        }
        // A number that was never given comes from before a restart.
        let foreign = after.is_some_and(|after| after >= ring.next);
        let next = match after {
            Some(after) if !foreign => after + 1,
            Some(_) => ring.first(),
            None => ring.next,
        };
        drop(ring);
        Listener { events: self.clone(), next, foreign }
    }
}

impl Listener {
    /// Returns the number of the last event before this place.
    pub fn at(&self) -> u64 {
        self.next - 1
    }

    /// Waits for the next events. At most 256 come at once.
    pub async fn next(&mut self) -> Heard {
        let events = self.events.clone();
        loop {
            // Enabled before the ring is read: an event in between wakes this listener.
            let mut grown = std::pin::pin!(events.0.grown.notified());
            grown.as_mut().enable();
            if let Some(heard) = self.take_ready() {
                return heard;
            }
            grown.await;
        }
    }

    /// Returns the next events, if there are any yet or some were missed.
    fn take_ready(&mut self) -> Option<Heard> {
        let ring = self.events.0.ring.lock();
        let first = ring.first();
        let foreign = std::mem::take(&mut self.foreign).then_some(0);
        let missed = foreign.or((self.next < first).then(|| first - self.next));
        self.next = self.next.max(first);
        let from = (self.next - first) as usize;
        let events: Vec<_> = ring.events.range(from..).take(BATCH).cloned().collect();
        self.next += events.len() as u64;
        assert!(self.next <= ring.next, "a listener's place is beyond the events that there were");
        (missed.is_some() || !events.is_empty()).then_some(Heard { missed, events })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut ring = self.events.0.ring.lock();
        debug_assert!(ring.listeners > 0, "a listener leaves whom nobody has counted");
        ring.listeners -= 1;
        ring.left = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(events: &Events, index: u64) {
        if events.is_on() {
            events.tell(GroupId(1), 2, EventKind::Applied { index });
        }
    }

    fn indexes(heard: &Heard) -> Vec<u64> {
        let index = |event: &Arc<Event>| match event.what {
            EventKind::Applied { index } => index,
            _ => panic!("nothing else was told"),
        };
        heard.events.iter().map(index).collect()
    }

    #[tokio::test]
    async fn a_listener_hears_what_comes_and_may_come_back_to_its_place() {
        let events = Events::default();
        tell(&events, 1);
        let mut listener = events.listen(None);
        tell(&events, 2);
        tell(&events, 3);
        let heard = listener.next().await;
        // What was told before the listener came is not for it. From here on its place is known.
        assert_eq!((heard.missed, indexes(&heard)), (None, vec![2, 3]));
        let place = heard.events[0].seq;
        drop(listener);
        tell(&events, 4);
        let heard = events.listen(Some(place)).next().await;
        assert_eq!((heard.missed, indexes(&heard)), (None, vec![3, 4]));
    }

    #[tokio::test]
    async fn a_stalled_listener_learns_how_much_it_missed_and_holds_nothing_up() {
        let events = Events::with_capacity(4);
        let mut stalled = events.listen(None);
        for index in 1..=10 {
            tell(&events, index);
        }
        assert_eq!(events.0.ring.lock().events.len(), 4);
        let heard = stalled.next().await;
        assert_eq!((heard.missed, indexes(&heard)), (Some(6), vec![7, 8, 9, 10]));
        tell(&events, 11);
        let heard = stalled.next().await;
        assert_eq!((heard.missed, indexes(&heard)), (None, vec![11]));
    }

    #[tokio::test]
    async fn a_place_of_an_earlier_life_is_a_gap() {
        let events = Events::default();
        let _keeps_on = events.listen(None);
        tell(&events, 1);
        let heard = events.listen(Some(5000)).next().await;
        assert_eq!((heard.missed, indexes(&heard)), (Some(0), vec![1]));
    }

    #[tokio::test]
    async fn what_happened_while_nobody_listened_is_a_gap() {
        let events = Events::default();
        let mut first = events.listen(None);
        tell(&events, 1);
        let place = first.next().await.events[0].seq;
        drop(first);
        let Some(past) = Instant::now().checked_sub(LINGER * 2) else { return };
        events.0.ring.lock().left = past;
        tell(&events, 2);
        assert!(!events.is_on());
        tell(&events, 3);
        // Event 2 turned the recording off, and event 3 was never recorded.
        let mut back = events.listen(Some(place));
        tell(&events, 4);
        let heard = back.next().await;
        assert_eq!((heard.missed, indexes(&heard)), (Some(1), vec![4]));
    }

    /// Sets no bound on time: it prints what an event costs while nobody listens, and checks that it is never built.
    #[test]
    fn an_event_that_nobody_hears_is_never_built() {
        let recorder = super::super::Recorder::new(Events::default(), GroupId(1));
        let rounds = 10_000_000_u32;
        let started = Instant::now();
        for _ in 0..rounds {
            std::hint::black_box(&recorder).tell(1, || unreachable!("nobody listens"));
        }
        println!(
            "{:.2} ns for each event that nobody hears",
            started.elapsed().as_secs_f64() * 1e9 / f64::from(rounds)
        );
    }
}
