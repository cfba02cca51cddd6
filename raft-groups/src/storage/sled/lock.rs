//! Waits for the lock on sled's file. sled tries the lock once, and reports a failure only as text.
//!
//! So this file waits for it before sled opens the file. Whoever still holds it usually releases it soon.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long an opening waits for the lock, and the pause between two tries.
const LOCK_WAIT: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Waits until nobody holds sled's lock on `file`, which need not exist.
///
/// The lock outlives its store for a moment: sled's workers take time to end, and so does a killed process. A child
/// process that is just being started holds all descriptors of its parent until it runs its own program.
///
/// # Errors
/// `ResourceBusy` after [`LOCK_WAIT`], or an error of the file system.
pub fn wait_until_unlocked(file: &Path) -> io::Result<()> {
    let file = match File::open(file) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            // Unlocked explicitly: if it were only closed, a child with a copy of the descriptor would keep the
            // lock.
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
