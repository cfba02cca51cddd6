//! What the kernel says of processes: processor time and resident memory. For servers it is read from `/proc`, for this
//! process from its own clock.

use anyhow::{Context, ensure};
use std::time::Duration;

/// How the names of the servers' indexing threads begin.
const INDEXERS: &str = "index-";

/// Milliseconds of processor time that these processes have used so far: all threads, in user and kernel mode.
///
/// It is exact to one tick of the kernel's clock, which is usually 10 ms.
pub(crate) fn processor_ms(pids: &[u32]) -> anyhow::Result<f64> {
    let mut ticks = 0;
    for pid in pids {
        ticks += ticks_of(&read(*pid, "stat")?).with_context(|| format!("/proc/{pid}/stat is not as expected"))?;
    }
    Ok(milliseconds(ticks))
}

/// The part of it that their indexing threads have used.
pub(crate) fn indexers_ms(pids: &[u32]) -> anyhow::Result<f64> {
    let mut ticks = 0;
    for pid in pids {
        let dir = format!("/proc/{pid}/task");
        for task in std::fs::read_dir(&dir).with_context(|| format!("cannot read {dir}"))? {
            // A thread may end between the listing and the look. The indexing threads stay.
            let stat = std::fs::read_to_string(task?.path().join("stat")).unwrap_or_default();
            let name = stat.split_once('(').map_or("", |(_, rest)| rest);
            ticks += if name.starts_with(INDEXERS) { ticks_of(&stat).unwrap_or(0) } else { 0 };
        }
    }
    Ok(milliseconds(ticks))
}

fn milliseconds(ticks: u64) -> f64 {
    // SAFETY: it asks for a constant of the running kernel and touches no memory.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    ticks as f64 * 1e3 / per_second.max(1) as f64
}

/// Processor time that this process has used so far, all threads. It is exact to less than a microsecond.
pub(crate) fn own_processor_time() -> anyhow::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec to a place that holds one, and keeps no pointer to it.
    let refused = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    ensure!(refused == 0, "the kernel has no clock for this process: {}", std::io::Error::last_os_error());
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// Bytes of resident memory of a process: now, and the most so far.
pub(crate) fn resident_bytes(pid: u32) -> anyhow::Result<(u64, u64)> {
    let status = read(pid, "status")?;
    let bytes = |name| kib_of(&status, name).map(|kib| kib * 1024);
    bytes("VmRSS:").zip(bytes("VmHWM:")).with_context(|| format!("/proc/{pid}/status is not as expected"))
}

fn read(pid: u32, file: &str) -> anyhow::Result<String> {
    let path = format!("/proc/{pid}/{file}");
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}: the bench measures on Linux only"))
}

/// The sum of utime and stime, the 14th and 15th field. The second field, the name, may hold spaces and brackets, so
/// the fields are counted after it.
fn ticks_of(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

fn kib_of(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 250 30 0 0 20 0 9 0 1 2 3";
        assert_eq!(ticks_of(stat), Some(280));
        assert_eq!(ticks_of("42 (short) S 1"), None);
        assert_eq!(kib_of("Name:\tx\nVmHWM:\t  900 kB\nVmRSS:\t  800 kB\n", "VmRSS:"), Some(800));
    }
}
