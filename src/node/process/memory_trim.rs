//! Gives memory that the process no longer uses back to the system.
//!
//! Comes in: what the allocator and the kernel say of this process. Goes out: freed pages. Must not know who used them.
//!
//! The GNU allocator keeps what was freed for as long as the process runs, for instance the memory of many large
//! requests at once. From the first large buffer that is freed it learns to keep such buffers, and it gives no holes
//! back by itself.

use std::time::Duration;

/// Buffers of at least so many bytes get pages of their own, which the system takes back when they are freed.
const OWN_PAGES_FROM: usize = 4 << 20;
/// The allocator gives back what is free at the end of its memory if that is more than so many bytes. With a smaller
/// number, the system would clear pages anew for each request's buffers.
const END_KEPT: usize = OWN_PAGES_FROM;
/// Pause between two looks at how much is kept.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Bytes that the allocator may keep, beside an eighth of what is in use.
const KEPT: usize = 24 << 20;

/// Tells the allocator to keep no large buffers. Has an effect only with the GNU allocator.
pub(super) fn configure_allocator() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: mallopt only sets numbers inside the allocator, which guards them itself.
        let set = |number, bytes: usize| unsafe { libc::mallopt(number, bytes as libc::c_int) } == 1;
        // Setting either number stops the allocator from learning, so both must be set.
        if !(set(libc::M_MMAP_THRESHOLD, OWN_PAGES_FROM) && set(libc::M_TRIM_THRESHOLD, END_KEPT)) {
            tracing::debug!("large buffers are kept by the allocator");
        }
    }
}

/// Gives memory back every [`LOOK_EVERY`], for ever.
pub(super) async fn trim_regularly() {
    #[cfg(target_env = "gnu")]
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        // It takes some milliseconds a gigabyte, so it runs where no request waits for it.
        let _done = tokio::task::spawn_blocking(trim).await;
    }
}

/// Gives back what the allocator keeps, if that is more than it may keep.
#[cfg(target_env = "gnu")]
fn trim() {
    let Some(resident) = read_resident_bytes() else { return };
    // SAFETY: both only read or change the allocator's own lists, under its own locks.
    unsafe {
        let info = libc::mallinfo2();
        let used = info.uordblks + info.hblkhd;
        if resident > used + used / 8 + KEPT {
            libc::malloc_trim(0);
        }
    }
}

/// Bytes of this process that are in memory and come from no file.
#[cfg(target_env = "gnu")]
fn read_resident_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix(" kB")?.parse::<usize>().ok().map(|kib| kib << 10)
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    fn give_back() {
        configure_allocator();
        tokio::spawn(trim_regularly());
    }

    fn mapped() -> usize {
        // SAFETY: it only reads the allocator's own numbers, under its own locks.
        unsafe { libc::mallinfo2().hblkhd }
    }

    /// The allocator learns from the first large buffer that is freed, unless it is told not to.
    #[tokio::test]
    async fn a_large_buffer_has_pages_of_its_own_whatever_was_freed_before() {
        give_back();
        drop(std::hint::black_box(vec![1_u8; 24 << 20]));
        // Other tests of this process free buffers meanwhile.
        let has_its_own = (0..20).any(|_| {
            let before = mapped();
            let _buffer = std::hint::black_box(vec![1_u8; 24 << 20]);
            mapped() >= before + (16 << 20)
        });
        assert!(has_its_own);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_free_goes_back_by_itself() {
        let pieces: Vec<Vec<u8>> = (0..8_000).map(|_| vec![1; 64 << 10]).collect();
        let full = read_resident_bytes().expect("this machine tells");
        let kept: Vec<Vec<u8>> = pieces.into_iter().step_by(64).collect();
        give_back();
        tokio::time::sleep(LOOK_EVERY * 3).await;
        let after = read_resident_bytes().expect("this machine tells");
        // Other tests of this process take memory meanwhile, but not as much as the rest of it.
        assert!(after + (128 << 20) < full, "{full} {after}");
        assert_eq!(kept.len(), 125);
    }
}
