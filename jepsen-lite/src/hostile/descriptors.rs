//! How many connections a process of attackers may open: as many descriptors as the system lets it have.

/// Descriptors that this process keeps for other things than attackers.
const SPARE: u64 = 256;

/// Raises this process's limit of descriptors as far as it goes. Returns how many attackers that leaves room for.
pub(super) fn raise_descriptors() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls only read and write the value that they are given, which outlives them.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            let _as_it_was = libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
            let _known = libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        }
    }
    usize::try_from(limit.rlim_cur.saturating_sub(SPARE)).unwrap_or(usize::MAX).max(16)
}
