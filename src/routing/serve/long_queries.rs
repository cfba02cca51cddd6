//! Long queries: each on a thread of its own, of which only some run at a time and take turns.
//!
//! A query that takes long must not hold up those that do not, and not for ever the others of its kind either. So it leaves
//! the [pool](super::pool), and whoever asks its [`Meter`] for another thousand steps gives its turn away where its time is
//! over and others wait. A query ends at its deadline, and as soon as nobody waits for it any more.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::query_failure::QueryFailure;
use crate::engine::Meter;

/// Most long queries on one node, those that wait for a turn included. Each may hold some 48 bytes a point of its shard.
const MAX_LONG_QUERIES: usize = 32;

/// How long a turn is where others wait.
const TURN: Duration = Duration::from_millis(10);

/// Runs long queries; clones share the turns.
#[derive(Clone)]
pub struct LongQueries(Arc<QueryTurns>);

struct QueryTurns {
    /// How many have a turn at once.
    at_once: usize,
    state: Mutex<TurnState>,
    changed: Condvar,
}

/// Invariant: at most `at_once` have a turn, and at most [`MAX_LONG_QUERIES`] are there.
#[derive(Default)]
struct TurnState {
    there: usize,
    having: usize,
    /// Who waits, by a number that is drawn.
    waiting: VecDeque<u64>,
    drawn: u64,
}

impl LongQueries {
    /// Half of the cores are for long queries, and at least one.
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let at_once = (cores / 2).max(1);
        Self(Arc::new(QueryTurns { at_once, state: Mutex::default(), changed: Condvar::new() }))
    }

    /// Runs `query` until it ends, its deadline passes, or the returned future is dropped. `None` of the query is its own
    /// word for that.
    ///
    /// # Errors
    /// [`QueryFailure`], as of a query of the pool.
    pub async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        query: impl FnOnce(&Meter<'_>) -> Option<T> + Send + 'static,
    ) -> Result<T, QueryFailure> {
        // Take the place before there is a thread, and free it before the answer goes out.
        let place = QueryPlace::take(&self.0).ok_or(QueryFailure::LongFull)?;
        let (done, result) = oneshot::channel();
        let work = move || {
            // Nobody waits any more once the client has gone or its time is up.
            let gone = || done.is_closed() || Instant::now() >= deadline;
            let Some(turn) = QueryTurn::take(&place.0, deadline) else { return };
            let meter_says = || !gone() && turn.goes_on(deadline);
            // The steps have no limit of their own: the deadline and the turns of others bound them.
            let meter = Meter::new(u64::MAX, &meter_says);
            let found = std::panic::catch_unwind(AssertUnwindSafe(|| query(&meter)));
            drop(turn);
            drop(place);
            let _ =
                done.send(found.map_err(|_| QueryFailure::Panicked).and_then(|found| found.ok_or(QueryFailure::Late)));
        };
        std::thread::Builder::new().name("long-query".to_owned()).spawn(work).map_err(|_| QueryFailure::LongFull)?;
        // A thread that ends without an answer has met the deadline.
        match timeout_at(deadline, result).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) | Err(_) => Err(QueryFailure::Late),
        }
    }
}

/// One of the places there are.
struct QueryPlace(Arc<QueryTurns>);

impl QueryPlace {
    fn take(turns: &Arc<QueryTurns>) -> Option<Self> {
        let mut state = turns.state.lock();
        if state.there >= MAX_LONG_QUERIES {
            return None;
        }
        state.there += 1;
        Some(Self(turns.clone()))
    }
}

impl Drop for QueryPlace {
    fn drop(&mut self) {
        self.0.state.lock().there -= 1;
    }
}

/// A turn, given away and taken again by [`goes_on`](QueryTurn::goes_on).
struct QueryTurn<'a> {
    turns: &'a QueryTurns,
    since: Cell<Instant>,
    has: Cell<bool>,
}

impl<'a> QueryTurn<'a> {
    fn take(turns: &'a QueryTurns, deadline: Instant) -> Option<Self> {
        let turn = Self { turns, since: Cell::new(Instant::now()), has: Cell::new(false) };
        turn.wait(deadline).then_some(turn)
    }

    /// Gives the turn away if it is over and others wait, and then waits for the next; `false` where none comes in
    /// time.
    fn goes_on(&self, deadline: Instant) -> bool {
        if self.since.get().elapsed() < TURN {
            return true;
        }
        // Where nobody waits, a new turn begins at once.
        if self.turns.state.lock().waiting.is_empty() {
            self.since.set(Instant::now());
            return true;
        }
        self.give_up();
        self.wait(deadline)
    }

    fn wait(&self, deadline: Instant) -> bool {
        let mut state = self.turns.state.lock();
        // Turns are given in the order in which they were asked for.
        let number = state.drawn;
        state.drawn += 1;
        state.waiting.push_back(number);
        while state.having >= self.turns.at_once || state.waiting.front() != Some(&number) {
            let waited = self.turns.changed.wait_until(&mut state, deadline.into_std());
            // Whoever leaves may have been the first in line, so the others must look again.
            if waited.timed_out() {
                state.waiting.retain(|other| *other != number);
                self.turns.changed.notify_all();
                return false;
            }
        }
        state.waiting.pop_front();
        state.having += 1;
        drop(state);
        // Where there is room for another, the next in line does not know yet.
        self.turns.changed.notify_all();
        self.has.set(true);
        self.since.set(Instant::now());
        true
    }

    fn give_up(&self) {
        if self.has.replace(false) {
            self.turns.state.lock().having -= 1;
            self.turns.changed.notify_all();
        }
    }
}

impl Drop for QueryTurn<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    /// Works until its meter ends.
    fn endless(meter: &Meter<'_>, steps: &AtomicU64) -> Option<()> {
        while !meter.spend(1) {
            steps.fetch_add(1, Ordering::Relaxed);
        }
        None
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn endless_ones_take_turns_with_each_other_and_with_those_that_end() {
        let long = LongQueries::new();
        let steps: Arc<Vec<AtomicU64>> = Arc::new((0..8).map(|_| AtomicU64::new(0)).collect());
        let began: Vec<_> = (0..8)
            .map(|number| {
                let (long, steps) = (long.clone(), steps.clone());
                tokio::spawn(async move { long.run(soon(), move |meter| endless(meter, &steps[number])).await })
            })
            .collect();
        while steps.iter().any(|steps| steps.load(Ordering::Relaxed) == 0) {
            tokio::task::yield_now().await;
        }
        assert_eq!(long.run(soon(), |meter| (0..5000).all(|_| !meter.spend(1)).then_some(7)).await, Ok(7));
        began.into_iter().for_each(|one| one.abort());
        while long.0.state.lock().there > 0 {
            tokio::task::yield_now().await;
        }
        let state = long.0.state.lock();
        assert_eq!((state.having, state.waiting.len()), (0, 0), "whom nobody waits for is gone");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_ends_at_its_deadline_and_a_panic_is_its_own() {
        let long = LongQueries::new();
        let deadline = Instant::now() + Duration::from_millis(50);
        let steps = Arc::new(AtomicU64::new(0));
        assert_eq!(long.run(deadline, move |meter| endless(meter, &steps)).await, Err(QueryFailure::Late));
        assert_eq!(long.run(soon(), |_| -> Option<()> { panic!("inside") }).await, Err(QueryFailure::Panicked));
        assert_eq!(long.run(soon(), |_| Some(1)).await, Ok(1));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn there_is_a_limit_to_them() {
        let long = LongQueries::new();
        let places: Vec<_> = (0..MAX_LONG_QUERIES).map(|_| QueryPlace::take(&long.0).expect("there is room")).collect();
        assert_eq!(long.run(soon(), |_| Some(1)).await, Err(QueryFailure::LongFull));
        drop(places);
        assert_eq!(long.run(soon(), |_| Some(1)).await, Ok(1));
    }
}
