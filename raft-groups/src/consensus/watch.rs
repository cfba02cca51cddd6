//! A channel of one value, whose waiters wake in the order in which they came.
//!
//! tokio's own channel wakes them in a random order, and only unstable builds can seed that. With it, one seed would
//! give two different simulations. The semantics are those of `tokio::sync::watch`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use openraft::async_runtime::watch::{self, RecvError, SendError};
use parking_lot::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};
use tokio::sync::Notify;

/// The channel, as openraft's runtime names it.
pub struct Watch;

struct ChannelShared<T> {
    /// The value and its version. Readers lock it recursively: a task that holds one guard and takes a second must
    /// not wait for a writer, which waits for the first guard.
    value: RwLock<(T, u64)>,
    changed: Notify,
    senders: AtomicUsize,
    receivers: AtomicUsize,
}

/// The sending half: sets the value.
pub struct Sender<T>(Arc<ChannelShared<T>>);

/// The receiving half: sees the value, and waits for changes that it has not seen.
pub struct Receiver<T> {
    shared: Arc<ChannelShared<T>>,
    seen: u64,
}

/// Makes a channel that holds `value`; its receiver counts that value as seen.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let (senders, receivers) = (AtomicUsize::new(1), AtomicUsize::new(1));
    let shared = Arc::new(ChannelShared { value: RwLock::new((value, 0)), changed: Notify::new(), senders, receivers });
    (Sender(shared.clone()), Receiver { shared, seen: 0 })
}

impl<T> Sender<T> {
    /// Sets the value and wakes the waiters. It works without receivers too.
    pub fn send_replace(&self, value: T) {
        self.modify(|current| {
            *current = value;
            true
        });
    }

    fn modify(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let mut value = self.0.value.write();
        let modified = modify(&mut value.0);
        if modified {
            value.1 += 1;
        }
        // Waiters wake without the lock, so none of them runs into it at once.
        drop(value);
        if modified {
            self.0.changed.notify_waiters();
        }
        modified
    }

    fn borrow(&self) -> MappedRwLockReadGuard<'_, T> {
        RwLockReadGuard::map(self.0.value.read_recursive(), |value| &value.0)
    }
}

impl<T> Receiver<T> {
    /// Returns the value. Keep the guard for a moment only: it blocks senders.
    pub fn borrow(&self) -> MappedRwLockReadGuard<'_, T> {
        RwLockReadGuard::map(self.shared.value.read_recursive(), |value| &value.0)
    }

    /// Returns `true` if all senders are gone, so the value cannot change any more.
    pub fn has_ended(&self) -> bool {
        self.shared.senders.load(Ordering::Acquire) == 0
    }

    /// Waits for a change that this receiver has not seen, and counts it as seen.
    ///
    /// # Errors
    /// [`RecvError`] if all senders are gone and the last change was seen.
    pub async fn changed(&mut self) -> Result<(), RecvError> {
        loop {
            // Enabled before the version is read: a change in between wakes this waiter.
            let shared = self.shared.clone();
            let mut changed = std::pin::pin!(shared.changed.notified());
            changed.as_mut().enable();
            // First the senders, then the version: a sender sets the value before it goes.
            let closed = shared.senders.load(Ordering::Acquire) == 0;
            let version = shared.value.read().1;
            debug_assert!(version >= self.seen, "a change was seen before it was made");
            if version != self.seen {
                self.seen = version;
                return Ok(());
            }
            if closed {
                return Err(RecvError(()));
            }
            changed.await;
        }
    }

    /// Waits until the value satisfies `wanted`.
    ///
    /// # Errors
    /// [`RecvError`] if all senders are gone and the value does not satisfy `wanted`.
    pub async fn wait_for(&mut self, wanted: impl Fn(&T) -> bool) -> Result<(), RecvError> {
        while !wanted(&self.borrow()) {
            self.changed().await?;
        }
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.fetch_add(1, Ordering::Relaxed);
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let senders = self.0.senders.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(senders > 0, "a sender goes that nobody has counted");
        if senders == 1 {
            self.0.changed.notify_waiters();
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.receivers.fetch_add(1, Ordering::Relaxed);
        Self { shared: self.shared.clone(), seen: self.seen }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receivers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl watch::Watch for Watch {
    type Sender<T: Send + Sync> = Sender<T>;
    type Receiver<T: Send + Sync> = Receiver<T>;
    type Ref<'a, T: Send + 'a> = MappedRwLockReadGuard<'a, T>;

    fn channel<T: Send + Sync>(init: T) -> (Sender<T>, Receiver<T>) {
        channel(init)
    }
}

impl<T: Send + Sync> watch::WatchSender<Watch, T> for Sender<T> {
    fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.0.receivers.load(Ordering::Relaxed) == 0 {
            return Err(SendError(value));
        }
        self.send_replace(value);
        Ok(())
    }

    fn send_if_modified<F: FnOnce(&mut T) -> bool>(&self, modify: F) -> bool {
        self.modify(modify)
    }

    fn borrow_watched(&self) -> MappedRwLockReadGuard<'_, T> {
        self.borrow()
    }

    fn subscribe(&self) -> Receiver<T> {
        self.0.receivers.fetch_add(1, Ordering::Relaxed);
        Receiver { shared: self.0.clone(), seen: self.0.value.read().1 }
    }
}

impl<T: Send + Sync> watch::WatchReceiver<Watch, T> for Receiver<T> {
    async fn changed(&mut self) -> Result<(), RecvError> {
        Receiver::changed(self).await
    }

    fn borrow_watched(&self) -> MappedRwLockReadGuard<'_, T> {
        self.borrow()
    }

    fn borrow_and_update(&mut self) -> MappedRwLockReadGuard<'_, T> {
        let value = self.shared.value.read_recursive();
        self.seen = value.1;
        RwLockReadGuard::map(value, |value| &value.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_value_is_seen_although_its_sender_has_gone() {
        let (sender, mut receiver) = channel(0);
        sender.send_replace(1);
        drop(sender);
        receiver.changed().await.expect("a change not seen");
        assert_eq!(*receiver.borrow(), 1);
        assert!(receiver.changed().await.is_err());
    }

    #[tokio::test]
    async fn waiters_are_woken_by_changes_and_by_the_end() {
        let (sender, receiver) = channel(0);
        let wait = |wanted| {
            let mut receiver = receiver.clone();
            tokio::spawn(async move { receiver.wait_for(|value| *value >= wanted).await.is_ok() })
        };
        let (one, two) = (wait(1), wait(2));
        tokio::task::yield_now().await;
        sender.send_replace(1);
        assert!(one.await.expect("joins"));
        drop(sender);
        assert!(!two.await.expect("joins"));
    }
}
