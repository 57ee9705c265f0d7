//! One setting under one load, and what it has done so far.

use std::fmt;
use std::num::NonZeroUsize;

use super::figures::Sample;
use super::plan::Group;
use crate::loading::Layout;

/// Everything that is measured with the same sessions.
pub(super) struct Task {
    pub(super) sessions: NonZeroUsize,
    pub(super) intra_threads: NonZeroUsize,
    pub(super) works: Vec<Work>,
}

/// A setting under one load.
pub(super) struct Work {
    pub(super) setting: Layout,
    pub(super) load: Load,
    /// One for each round.
    pub(super) samples: Vec<Sample>,
    /// The device has no memory for it.
    pub(super) too_large: bool,
}

/// How many of the sessions are busy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Load {
    /// All.
    Full,
    /// One, with the smallest batch.
    Alone,
    /// Both at once: one, which is all, with the smallest batch.
    FullAndAlone,
}

impl Task {
    /// A group's batches, and the smallest batch alone where that is none of them.
    pub(super) fn new(group: &Group, smallest: NonZeroUsize) -> Self {
        let Group { sessions, intra_threads, batches } = group;
        let work = |(max_batch, load)| {
            let setting = Layout { sessions: *sessions, intra_threads: *intra_threads, max_batch };
            Work { setting, load, samples: Vec::new(), too_large: false }
        };
        let mut loads: Vec<_> = batches.iter().map(|batch| (*batch, Load::Full)).collect();
        let both = loads.iter_mut().find(|(batch, _)| sessions.get() == 1 && *batch == smallest);
        match both {
            Some((_, load)) => *load = Load::FullAndAlone,
            None => loads.push((smallest, Load::Alone)),
        }
        let works = loads.into_iter().map(work).collect();
        Self { sessions: *sessions, intra_threads: *intra_threads, works }
    }
}

impl Work {
    pub(super) fn busy_sessions(&self) -> usize {
        if self.load.is_full() { self.setting.sessions.get() } else { 1 }
    }
}

impl Load {
    pub(super) fn is_full(self) -> bool {
        self != Self::Alone
    }

    pub(super) fn is_alone(self) -> bool {
        self != Self::Full
    }
}

impl fmt::Display for Work {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Layout { sessions, intra_threads, max_batch } = self.setting;
        write!(formatter, "{sessions}×{intra_threads}, batches of {max_batch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The batches of such a group with the sessions that are busy.
    fn loads(sessions: usize, batches: &[usize]) -> Vec<(usize, usize)> {
        let number = |value| NonZeroUsize::new(value).unwrap();
        let batches = batches.iter().copied().map(number).collect();
        let group = Group { sessions: number(sessions), intra_threads: number(1), batches };
        let works = Task::new(&group, number(1)).works;
        assert_eq!(works.iter().filter(|work| work.load.is_alone()).count(), 1);
        works.iter().map(|work| (work.setting.max_batch.get(), work.busy_sessions())).collect()
    }

    #[test]
    fn an_image_alone_is_measured_once_and_not_again_where_one_session_has_it_in_its_batches() {
        assert_eq!(loads(2, &[1, 8]), [(1, 2), (8, 2), (1, 1)]);
        assert_eq!(loads(1, &[1, 8]), [(1, 1), (8, 1)]);
        assert_eq!(loads(1, &[8]), [(8, 1), (1, 1)]);
    }
}
