//! Work that takes long, and that nobody else should wait for. One thread of this process does it, one piece after the
//! other, and the scheduler prefers all other threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{OnceLock, mpsc};
use std::thread;

use raft_groups::mutants::{Mutant, is_planted};
use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// How far such a thread stands back on a busy machine, on Unix' scale from 0 to 19: it gets about a tenth of what a thread
/// of requests gets.
#[cfg(target_os = "linux")]
const NICENESS: libc::c_int = 10;

/// What `work` gives; `None` where it panics. Work is left out if nobody waits for it when its turn comes.
pub(in crate::gateway) async fn done<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    static QUEUE: OnceLock<Option<mpsc::Sender<Work>>> = OnceLock::new();
    let (give, given) = oneshot::channel();
    let may_be_for_nobody = is_planted(Mutant::WorksForNobody);
    let work: Work = Box::new(move || {
        // The client may have gone before the turn of its work comes.
        if give.is_closed() && !may_be_for_nobody {
            return;
        }
        // A panic ends this piece of work, and not the thread that serves all of them.
        if let Ok(result) = catch_unwind(AssertUnwindSafe(work)) {
            let _nobody_waits = give.send(result);
        }
    });
    match QUEUE.get_or_init(start) {
        Some(queue) => {
            let _is_queued = queue.send(work);
        }
        // A machine that gives no thread: then here.
        None => work(),
    }
    given.await.ok()
}

fn start() -> Option<mpsc::Sender<Work>> {
    let (queue, works) = mpsc::channel::<Work>();
    let run = move || {
        yield_to_requests();
        works.into_iter().for_each(|work| work());
    };
    thread::Builder::new().name("aside".to_owned()).spawn(run).ok().map(|_| queue)
}

/// Has the scheduler prefer the threads that somebody waits for. On Linux priorities are those of single threads;
/// elsewhere this one would change the whole process, so it stays as it is.
pub fn yield_to_requests() {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: both take numbers and touch no memory; 0 means the calling thread. The system cuts at its own 19.
        let failed = unsafe {
            let others = libc::getpriority(libc::PRIO_PROCESS, 0);
            libc::setpriority(libc::PRIO_PROCESS, 0, others.saturating_add(NICENESS))
        } != 0;
        if failed {
            tracing::debug!("a thread that works aside keeps the priority of the others");
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use raft_groups::mutants::plant;

    use super::*;

    #[tokio::test]
    async fn what_panics_gives_nothing_and_what_comes_after_it_is_done() {
        assert_eq!(done(|| panic!("on purpose")).await, None::<()>);
        assert_eq!(done(|| 7).await, Some(7));
    }

    /// Returns `true` if work is done whose client has gone before its turn came.
    async fn is_done_for_nobody() -> bool {
        let (begun, begins) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        let mut first = Box::pin(done(move || {
            begun.send(()).expect("somebody waits");
            ends.recv().expect("it is told to end");
        }));
        assert!((&mut first).now_or_never().is_none());
        begins.recv().expect("it is begun");
        let (did, done_after_all) = mpsc::channel();
        let mut gone = Box::pin(done(move || did.send(())));
        assert!((&mut gone).now_or_never().is_none());
        drop(gone);
        end.send(()).expect("it waits");
        first.await.expect("it does not panic");
        assert_eq!(done(|| 7).await, Some(7), "all that came before has had its turn");
        done_after_all.try_recv().is_ok()
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_done() {
        assert!(!is_done_for_nobody().await);
        let _planted = plant(Mutant::WorksForNobody);
        assert!(is_done_for_nobody().await, "the bug is not planted");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_others_are_preferred() {
        // SAFETY: takes two numbers and touches no memory; 0 means the calling thread.
        let niceness = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        let here = niceness();
        let there = done(niceness).await.expect("it does not panic");
        assert!(there > here || there == 19, "{there} aside, {here} here");
    }
}
