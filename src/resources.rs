//! What the process may use: the cores and the memory of its container, not of the host.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Cores, by CPU affinity and by the cgroup's quota (v1 and v2); at least one.
#[must_use]
pub fn cores() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Bytes of memory: the lowest limit of the process's cgroup (v1 or v2) and of those around it, or
/// what the machine has.
#[must_use]
pub fn memory_limit() -> u64 {
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| total_memory(&text));
    let memberships = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let limits = cgroup_limits(Path::new("/sys/fs/cgroup"), &memberships);
    limits.into_iter().chain(machine).min().unwrap_or(u64::MAX)
}

/// Whether the processor has instructions that multiply vectors of bytes and sum up in 32 bits, as networks
/// in 8 bits do.
#[must_use]
pub fn multiplies_bytes() -> bool {
    #[cfg(target_arch = "x86_64")]
    let found = is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni");
    #[cfg(target_arch = "aarch64")]
    let found = std::arch::is_aarch64_feature_detected!("dotprod");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let found = false;
    found
}

/// Files that the process may open at a time: as many as it may allow itself.
#[must_use]
pub fn open_files() -> u64 {
    let limits = getrlimit(Resource::Nofile);
    // The lower limit is there for programs that cannot count above it.
    let raised = Rlimit { current: limits.maximum, ..limits };
    let now = if setrlimit(Resource::Nofile, raised).is_ok() { raised } else { limits };
    now.current.unwrap_or(u64::MAX)
}

/// Bytes of memory that the process holds at the moment; `None` where the system does not say.
#[must_use]
pub fn resident_memory() -> Option<u64> {
    kibibytes(&read(Path::new("/proc/self/status"))?, "VmRSS:")
}

/// The memory limits of a process in these cgroups. A line of `memberships` is
/// `4:memory:/path` in version 1 and `0::/path` in version 2.
fn cgroup_limits(root: &Path, memberships: &str) -> Vec<u64> {
    let mut limits = Vec::new();
    for line in memberships.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next().unwrap_or(""), fields.next().unwrap_or("/"));
        let (folder, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            "memory" => (root.join("memory"), "memory.limit_in_bytes"),
            _ => continue,
        };
        // A container may see the host's path here but only its own cgroup, as the root.
        for group in Path::new(path).ancestors() {
            let group = group.strip_prefix("/").unwrap_or(group);
            let text = read(&folder.join(group).join(file)).unwrap_or_default();
            // `max` is no number and no limit.
            limits.extend(text.trim().parse::<u64>());
        }
    }
    limits
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn total_memory(meminfo: &str) -> Option<u64> {
    kibibytes(meminfo, "MemTotal:")
}

/// `MemTotal:       24689764 kB`, in bytes.
fn kibibytes(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(field))?;
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
    fn the_process_may_open_as_many_files_as_it_can_allow_itself() {
        let limit = open_files();
        assert!(limit > 100);
        assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), limit);
        assert_eq!(open_files(), limit, "asking again changes nothing");
    }

    #[test]
    fn this_machine_has_some_of_each() {
        assert!(memory_limit() > 1 << 20);
        assert!(cores().get() >= 1);
        assert!(resident_memory().is_none_or(|bytes| bytes > 1 << 20));
    }

    /// A tree of cgroup files.
    fn cgroups(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_lowest_limit_around_the_process_counts_in_version_2() {
        let root = cgroups(&[
            ("kubepods/memory.max", "2000\n"),
            ("kubepods/pod/memory.max", "1000\n"),
            ("kubepods/pod/container/memory.max", "max\n"),
        ]);
        let limits = cgroup_limits(root.path(), "0::/kubepods/pod/container\n");
        assert_eq!(limits, [1000, 2000]);
    }

    #[test]
    fn a_container_that_sees_the_hosts_path_finds_its_own_limit_in_version_1() {
        let root = cgroups(&[("memory/memory.limit_in_bytes", "3000\n")]);
        let limits = cgroup_limits(root.path(), "9:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n");
        assert_eq!(limits, [3000]);
    }

    #[test]
    fn without_limits_there_are_none() {
        let root = cgroups(&[]);
        assert!(cgroup_limits(root.path(), "0::/\nnonsense\n").is_empty());
    }
}
