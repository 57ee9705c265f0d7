//! Rounds over all settings, so that whatever disturbs the machine hits all of them alike.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;

use super::closed_loop;
use super::figures::Figures;
use super::plan::Group;
use super::work::{Task, Work};
use crate::cli::{Failure, progress};
use crate::config::InferenceConfig;
use crate::inference::onnx::{OnnxEngine, OnnxRuntime};
use crate::inference::{Engine, InferenceError};
use crate::loading::{self, Layout, StartError};
use crate::model::Model;

/// What is measured, and how long.
pub(super) struct Measurement<'a> {
    pub(super) runtime: &'a OnnxRuntime,
    pub(super) model: &'a Arc<Model>,
    /// With the provider that works.
    pub(super) config: InferenceConfig,
    /// Of each setting, in each round.
    pub(super) duration: Duration,
    pub(super) rounds: u32,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// With every session busy.
    pub(super) busy: Vec<Figures>,
    /// An image that is alone in the process: the smallest batch, and no other session is busy.
    pub(super) alone: Vec<Figures>,
    /// Settings for which the device has no memory.
    pub(super) too_large: Vec<Layout>,
}

impl Measurement<'_> {
    /// Measures every setting once a round. A round begins at another setting than the one before,
    /// and makes its sessions anew, because their place in memory is a part of the noise.
    ///
    /// # Errors
    ///
    /// When sessions cannot be made, or a batch fails for another reason than its size.
    pub(super) fn run(
        &self,
        groups: &[Group],
        smallest: NonZeroUsize,
    ) -> Result<Measured, Failure> {
        let mut tasks: Vec<Task> = groups.iter().map(|group| Task::new(group, smallest)).collect();
        let each: usize = tasks.iter().map(|task| task.works.len()).sum();
        let bar = progress::measurements(each * self.rounds as usize);
        for round in 0..self.rounds as usize {
            for index in from(round, tasks.len()) {
                self.round(&mut tasks[index], round, &bar)?;
            }
        }
        bar.finish_and_clear();
        Ok(collect(tasks))
    }

    fn round(&self, task: &mut Task, round: usize, bar: &ProgressBar) -> Result<(), Failure> {
        let (sessions, threads) = (task.sessions, task.intra_threads);
        bar.set_message(format!("{sessions}×{threads}, loading"));
        let (sessions, intra_threads) = (Some(sessions), Some(threads));
        let config = InferenceConfig { sessions, intra_threads, ..self.config.clone() };
        let loaded = loading::bare(self.runtime, self.model, &config);
        let mut engines = loaded.map_err(Failure::config)?.engines;
        for index in from(round, task.works.len()) {
            let work = &mut task.works[index];
            bar.set_message(work.to_string());
            self.measure(&mut engines[..work.busy_sessions()], work)?;
            bar.inc(1);
        }
        Ok(())
    }

    fn measure(&self, engines: &mut [OnnxEngine], work: &mut Work) -> Result<(), Failure> {
        if work.too_large {
            return Ok(());
        }
        let images = work.setting.max_batch.get();
        let batch = closed_loop::noise(engines[0].batch(&self.model.manifest.input, images));
        // The first run of a shape pays for its set-up.
        let warm = closed_loop::run(engines, &batch, Duration::ZERO);
        match warm.and_then(|_| closed_loop::run(engines, &batch, self.duration)) {
            Ok(sample) => work.samples.push(sample),
            Err(InferenceError::OutOfMemory(_)) => work.too_large = true,
            Err(cause) => {
                let model = self.model.manifest.name.as_str().to_owned();
                return Err(Failure::config(StartError::WarmUp { model, cause }));
            }
        }
        Ok(())
    }
}

/// All of so many indices, from one of them on.
fn from(first: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |index| (first + index) % count)
}

fn collect(tasks: Vec<Task>) -> Measured {
    let mut measured = Measured::default();
    for work in tasks.into_iter().flat_map(|task| task.works) {
        if work.too_large {
            measured.too_large.push(work.setting);
            continue;
        }
        let figures = Figures::new(work.setting, &work.samples);
        measured.busy.extend(figures.clone().filter(|_| work.load.is_full()));
        measured.alone.extend(figures.filter(|_| work.load.is_alone()));
    }
    measured
}

#[cfg(test)]
mod tests {
    use super::super::figures::Sample;
    use super::super::figures::tests::setting;
    use super::*;

    #[test]
    fn each_round_begins_at_another_setting_and_leaves_none_out() {
        let order = |round| from(round, 3).collect::<Vec<_>>();
        assert_eq!([order(0), order(1), order(4)], [[0, 1, 2], [1, 2, 0], [1, 2, 0]]);
    }

    #[test]
    fn what_does_not_fit_in_one_round_has_no_figures_from_the_others() {
        let (one, two) = (NonZeroUsize::MIN, NonZeroUsize::MIN.saturating_add(1));
        let group = Group { sessions: two, intra_threads: one, batches: vec![one, two] };
        let mut task = Task::new(&group, one);
        for work in &mut task.works {
            let latencies = vec![Duration::from_millis(1)];
            work.samples.push(Sample { images_per_second: 1.0, latencies });
        }
        task.works[1].too_large = true;
        let measured = collect(vec![task]);
        assert_eq!(measured.too_large, [setting([2, 1, 2])]);
        let settings = |figures: &[Figures]| -> Vec<Layout> {
            figures.iter().map(|figures| figures.setting).collect()
        };
        assert_eq!(settings(&measured.busy), [setting([2, 1, 1])]);
        assert_eq!(settings(&measured.alone), [setting([2, 1, 1])]);
    }
}
