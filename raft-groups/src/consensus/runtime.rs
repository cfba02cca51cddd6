//! tokio as openraft's runtime, with randomness that a simulation can seed.
//!
//! openraft draws random numbers for election timeouts and tick phases only. In production they come from the
//! operating system. A simulation calls [`seed_this_thread`] first and then runs everything on that one thread, so
//! the same seed gives the same elections.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::time::Duration;

use openraft::async_runtime::AsyncRuntime;
use openraft::impls::TokioRuntime as Tokio;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::consensus::watch::Watch;

thread_local! {
    static SEED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Makes every later draw on this thread follow from `seed`. For simulations only.
pub fn seed_this_thread(seed: u64) {
    SEED.set(Some(seed));
}

/// Returns `true` if this thread's random numbers follow from a seed. Then nothing may read the machine's own
/// clocks: another run of the same seed would read other values.
pub fn is_seeded() -> bool {
    SEED.get().is_some()
}

/// Returns the next seed: from the thread's sequence if it is seeded, else from the operating system.
fn next_seed() -> u64 {
    match SEED.get() {
        // SplitMix64's increment (Steele, Lea & Flood 2014); SmallRng's own seeding does the mixing.
        Some(seed) => {
            SEED.set(Some(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)));
            seed
        }
        None => rand::random(),
    }
}

/// Returns a random number, which the seed decides in a simulation.
pub fn random_u64() -> u64 {
    SmallRng::seed_from_u64(next_seed()).random()
}

/// openraft's runtime. All of it is tokio's, but for randomness and [`Watch`].
#[derive(Debug)]
pub struct Runtime(Tokio);

impl AsyncRuntime for Runtime {
    type JoinError = <Tokio as AsyncRuntime>::JoinError;
    type JoinHandle<T: Send + 'static> = <Tokio as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <Tokio as AsyncRuntime>::Sleep;
    type Instant = <Tokio as AsyncRuntime>::Instant;
    type TimeoutError = <Tokio as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + Send> = <Tokio as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = SmallRng;
    type Mpsc = <Tokio as AsyncRuntime>::Mpsc;
    type Watch = Watch;
    type Oneshot = <Tokio as AsyncRuntime>::Oneshot;
    type Mutex<T: Send + 'static> = <Tokio as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        Tokio::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        Tokio::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        Tokio::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + Send>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        Tokio::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + Send>(deadline: Self::Instant, future: F) -> Self::Timeout<R, F> {
        Tokio::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        Tokio::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        SmallRng::seed_from_u64(next_seed())
    }

    fn new(threads: usize) -> Self {
        Self(Tokio::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }

    fn spawn_blocking<F, T>(f: F) -> impl Future<Output = Result<T, io::Error>> + Send
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Tokio::spawn_blocking(f)
    }
}
