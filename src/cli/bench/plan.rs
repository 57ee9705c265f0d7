//! Which settings are measured: sessions, threads in each, and images in a batch.

use std::num::NonZeroUsize;

use crate::inference::provider::Provider;
use crate::loading::Layout;

/// Images in a batch on the CPU, where larger ones have long stopped to gain anything.
const ON_THE_CPU: &[usize] = &[1, 2, 4, 8, 16];

/// Images in a batch on a GPU, which needs many to be busy.
const ON_A_GPU: &[usize] = &[1, 2, 4, 8, 16, 32, 64, 128];

/// Sessions on a GPU: a second one copies while the first computes.
const SESSIONS_ON_A_GPU: &[usize] = &[1, 2];

/// What somebody has asked for; what is empty follows from the machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Wishes {
    pub(super) sessions: Vec<NonZeroUsize>,
    pub(super) intra_threads: Vec<NonZeroUsize>,
    pub(super) batch_sizes: Vec<NonZeroUsize>,
}

/// The machine and the graph.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    pub(super) cores: NonZeroUsize,
    pub(super) provider: Provider,
    /// Images that the graph takes at once, where it takes no other number.
    pub(super) fixed_batch: Option<NonZeroUsize>,
    /// What `serve` would do.
    pub(super) default: Layout,
}

/// Sessions that are loaded together, and the batches that they run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Group {
    pub(super) sessions: NonZeroUsize,
    pub(super) intra_threads: NonZeroUsize,
    /// In ascending order.
    pub(super) batches: Vec<NonZeroUsize>,
}

/// All settings, the default one among them, by sessions and threads in ascending order.
///
/// # Errors
///
/// When batches are asked for that the graph does not take.
pub(super) fn plan(wishes: &Wishes, found: &Circumstances) -> Result<Vec<Group>, String> {
    let batches = batches(&wishes.batch_sizes, found)?;
    let default = found.default;
    let mut pairs = pairs(wishes, found);
    pairs.push((default.sessions, default.intra_threads));
    pairs.sort_unstable();
    pairs.dedup();
    let group = |(sessions, intra_threads)| {
        let mut batches = batches.clone();
        if (sessions, intra_threads) == (default.sessions, default.intra_threads) {
            batches.push(default.max_batch);
        }
        Group { sessions, intra_threads, batches: ascending(batches) }
    };
    Ok(pairs.into_iter().map(group).collect())
}

fn batches(asked: &[NonZeroUsize], found: &Circumstances) -> Result<Vec<NonZeroUsize>, String> {
    let Some(only) = found.fixed_batch else {
        let usual = if found.provider == Provider::Cpu { ON_THE_CPU } else { ON_A_GPU };
        return Ok(if asked.is_empty() { numbers(usual) } else { asked.to_vec() });
    };
    match asked.iter().find(|size| **size != only) {
        Some(size) => {
            Err(format!("--batch-sizes: the graph takes batches of {only}, not `{size}`"))
        }
        None => Ok(vec![only]),
    }
}

/// Sessions and threads in each, together as many as there are cores where only one is asked for;
/// on a GPU one thread, for which there is nothing to do.
fn pairs(wishes: &Wishes, found: &Circumstances) -> Vec<(NonZeroUsize, NonZeroUsize)> {
    let cores = if found.provider == Provider::Cpu { found.cores.get() } else { 1 };
    let share = |parts: NonZeroUsize| NonZeroUsize::new(cores / parts).unwrap_or(NonZeroUsize::MIN);
    let (sessions, threads) = (&wishes.sessions, &wishes.intra_threads);
    match (sessions.is_empty(), threads.is_empty()) {
        (true, true) => usual_sessions(found).into_iter().map(|n| (n, share(n))).collect(),
        (false, true) => sessions.iter().map(|n| (*n, share(*n))).collect(),
        (true, false) => threads.iter().map(|n| (share(*n), *n)).collect(),
        (false, false) => {
            sessions.iter().flat_map(|n| threads.iter().map(|threads| (*n, *threads))).collect()
        }
    }
}

/// On the CPU from one session with all cores to one for each.
fn usual_sessions(found: &Circumstances) -> Vec<NonZeroUsize> {
    if found.provider != Provider::Cpu {
        return numbers(SESSIONS_ON_A_GPU);
    }
    let cores = found.cores.get();
    let powers = (0..usize::BITS).map(|power| 1 << power).take_while(|sessions| *sessions < cores);
    powers.chain([cores]).filter_map(NonZeroUsize::new).collect()
}

fn numbers(values: &[usize]) -> Vec<NonZeroUsize> {
    values.iter().copied().filter_map(NonZeroUsize::new).collect()
}

fn ascending(mut values: Vec<NonZeroUsize>) -> Vec<NonZeroUsize> {
    values.sort_unstable();
    values.dedup();
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: usize) -> NonZeroUsize {
        NonZeroUsize::new(value).unwrap()
    }

    fn cpu(cores: usize, default: [usize; 3]) -> Circumstances {
        let [sessions, intra_threads, max_batch] = default.map(one);
        let default = Layout { sessions, intra_threads, max_batch };
        Circumstances { cores: one(cores), provider: Provider::Cpu, fixed_batch: None, default }
    }

    /// Sessions, threads and batches of each group.
    fn planned(wishes: &Wishes, found: &Circumstances) -> Vec<(usize, usize, Vec<usize>)> {
        let plain = |group: Group| {
            let batches = group.batches.iter().map(|size| size.get()).collect();
            (group.sessions.get(), group.intra_threads.get(), batches)
        };
        plan(wishes, found).unwrap().into_iter().map(plain).collect()
    }

    #[test]
    fn the_cores_are_laid_out_in_every_way_from_one_session_to_one_a_core() {
        let sizes = vec![1, 2, 4, 8, 16];
        let two = planned(&Wishes::default(), &cpu(2, [1, 2, 8]));
        assert_eq!(two, [(1, 2, sizes.clone()), (2, 1, sizes.clone())]);
        let six: Vec<_> = planned(&Wishes::default(), &cpu(6, [2, 3, 12]));
        let pairs: Vec<_> =
            six.iter().map(|(sessions, threads, _)| (*sessions, *threads)).collect();
        assert_eq!(pairs, [(1, 6), (2, 3), (4, 1), (6, 1)]);
        assert_eq!(six[1].2, [1, 2, 4, 8, 12, 16], "the default batch is among them");
        assert_eq!(planned(&Wishes::default(), &cpu(1, [1, 1, 4])), [(1, 1, sizes)]);
    }

    #[test]
    fn what_is_asked_for_is_measured_and_the_default_beside_it() {
        let sessions = Wishes {
            sessions: vec![one(4)],
            batch_sizes: vec![one(3), one(1), one(3)],
            ..Wishes::default()
        };
        let default = (1, 2, vec![1, 3, 8]);
        let found = cpu(2, [1, 2, 8]);
        assert_eq!(planned(&sessions, &found), [default.clone(), (4, 1, vec![1, 3])]);
        let threads = Wishes {
            intra_threads: vec![one(1), one(4)],
            batch_sizes: vec![one(1)],
            ..Wishes::default()
        };
        let pairs = [(1, 2, vec![1, 8]), (1, 4, vec![1]), (2, 1, vec![1])];
        assert_eq!(planned(&threads, &found), pairs);
        let both = Wishes { sessions: vec![one(2), one(3)], ..threads };
        let crossed = planned(&both, &found);
        assert_eq!(crossed.len(), 1 + 2 * 2, "{crossed:?}");
    }

    #[test]
    fn a_gpu_is_asked_for_larger_batches_by_one_session_or_two() {
        let found = Circumstances { provider: Provider::Cuda, ..cpu(16, [1, 1, 32]) };
        let groups = planned(&Wishes::default(), &found);
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[1], (2, 1, vec![1, 2, 4, 8, 16, 32, 64, 128]));
    }

    #[test]
    fn a_graph_with_batches_of_one_size_runs_no_others() {
        let found = Circumstances { fixed_batch: Some(one(4)), ..cpu(2, [1, 2, 4]) };
        let groups = planned(&Wishes::default(), &found);
        assert!(groups.iter().all(|(_, _, batches)| *batches == [4]), "{groups:?}");
        let wishes = Wishes { batch_sizes: vec![one(4), one(8)], ..Wishes::default() };
        let mistake = plan(&wishes, &found).unwrap_err();
        assert!(mistake.contains("batches of 4, not `8`"), "{mistake}");
    }
}
