//! How much memory this process may use: what its cgroup allows, or what the machine has.

use std::fs;

/// Where the kernel tells the limit of a cgroup, version 2.
const CGROUP: &str = "/sys/fs/cgroup/memory.max";
/// Where it tells what the machine has.
const MACHINE: &str = "/proc/meminfo";
/// What is taken for granted where neither can be read.
const UNKNOWN: usize = 4 << 30;

/// In bytes.
pub(super) fn of_this_process() -> usize {
    let machine = fs::read_to_string(MACHINE).ok().and_then(|text| total(&text)).unwrap_or(UNKNOWN);
    let allowed = fs::read_to_string(CGROUP).ok().and_then(|text| text.trim().parse().ok());
    allowed.map_or(machine, |allowed: usize| allowed.min(machine))
}

/// `MemTotal` of `/proc/meminfo`, which is in KiB.
fn total(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok()?.checked_mul(1 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_in_bytes() {
        assert_eq!(total("MemTotal:       16265320 kB\nMemFree: 1 kB\n"), Some(16_265_320 << 10));
        assert_eq!(total("nothing of it"), None);
        assert!(of_this_process() > 64 << 20);
    }
}
