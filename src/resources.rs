//! What the process may use: the cores and the memory of its container, not of the host.

use std::fs;
use std::num::NonZeroUsize;
use std::thread;

/// Cores, by CPU affinity and by the cgroup's quota (v1 and v2); at least one.
#[must_use]
pub fn cores() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Bytes of memory: the cgroup's limit (v2, then v1), or the machine's.
#[must_use]
pub fn memory_limit() -> u64 {
    let machine = read("/proc/meminfo").and_then(|text| total_memory(&text)).unwrap_or(u64::MAX);
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let container = limits.iter().find_map(|path| read(path)?.trim().parse::<u64>().ok());
    container.map_or(machine, |limit| limit.min(machine))
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// `MemTotal:       24689764 kB`
fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_memory_is_read_in_bytes() {
        let text = "MemTotal:       24689764 kB\nMemFree:        1 kB\n";
        assert_eq!(total_memory(text), Some(24_689_764 * 1024));
        assert_eq!(total_memory("MemFree: 1 kB"), None);
    }

    #[test]
    fn this_machine_has_some_of_each() {
        assert!(memory_limit() > 1 << 20);
        assert!(cores().get() >= 1);
    }
}
