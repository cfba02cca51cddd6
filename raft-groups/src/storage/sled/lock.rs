//! sled's lock on its file, which it tries once and tells of by text alone.
//!
//! It is waited for here, before sled is asked: what still holds it is as a rule about to let go.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long an opening waits for whoever holds the lock to let go of it, and the pause between two looks.
const LOCK_WAIT: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Waits until nobody holds sled's lock on `file`, which need not exist.
///
/// The lock outlives the store that took it for a moment: sled's workers still end, a killed process still dies, and a
/// child that is just being started holds all descriptors of its parent until it runs its own program. sled itself
/// tries the lock once, and tells of it by text alone.
///
/// # Errors
/// `ResourceBusy` after [`LOCK_WAIT`]; others as the file system tells them.
pub fn wait_until_unlocked(file: &Path) -> io::Result<()> {
    let file = match File::open(file) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            // Given back in words: closing the descriptor leaves the lock with a child that has a copy of it.
            Ok(()) => return file.unlock(),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => {
                let busy = "another process keeps it open; stop that process and start again";
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, busy));
            }
        }
    }
}
