//! How many connections a listener has at a time.

/// Connections of one listener at a time; the next wait in the system's queue.
const MAX_CONNECTIONS: u32 = 900;

/// Listeners among which the files that the process may open are divided, so that a crowd at one
/// leaves the others theirs.
const LISTENERS: u64 = 3;

/// Files that are no connections.
const OTHER_FILES: u64 = 128;

/// Where the process may open so few files that nothing is left to divide.
const FEWEST_CONNECTIONS: u32 = 8;

/// Connections of a listener at a time, where the process may open so many files.
pub(super) fn most_connections(open_files: u64) -> u32 {
    let share = open_files.saturating_sub(OTHER_FILES) / LISTENERS;
    u32::try_from(share)
        .map_or(MAX_CONNECTIONS, |share| share.clamp(FEWEST_CONNECTIONS, MAX_CONNECTIONS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_at_one_listener_leaves_the_others_files() {
        for (open_files, due) in [(u64::MAX, 900), (4096, 900), (1024, 298), (64, 8)] {
            assert_eq!(most_connections(open_files), due, "of {open_files} files");
        }
    }
}
