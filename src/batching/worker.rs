//! One thread that owns one engine and runs batches until the queue closes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::backlog::into_f64;
use super::job::{Job, JobError, Row};
use super::journey::Journey;
use super::{Collector, Executor, journey};
use crate::inference::{EngineFactory, InferenceError, Outputs, Wanted};
use crate::preprocess::Pixels;
use crate::telemetry::metrics::Metrics;

/// Before an engine that failed for good is built anew; twice as long after each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// With this many engines lost, an image is taken to be what they were lost to.
const ENGINES_LOST: u32 = 2;

/// A worker before its thread starts.
pub struct Worker {
    collector: Collector,
    executor: Executor,
    engines: Arc<dyn EngineFactory>,
    metrics: Arc<Metrics>,
    /// Whether it is counted as one whose engine works.
    works: bool,
}

/// The engine does not run any more; these images have had no answer.
struct EngineLost {
    unanswered: Vec<Job>,
}

/// What came of running some images.
enum Ran {
    /// All were answered.
    Answered,
    /// The engine works, but not on all of these together.
    Failed([Vec<Job>; 2]),
    /// The engine works no more.
    Lost(EngineLost),
}

impl Worker {
    /// A worker with an engine, and with where the next one comes from if that fails for good.
    #[must_use]
    pub fn new(
        collector: Collector,
        executor: Executor,
        engines: Arc<dyn EngineFactory>,
        metrics: Arc<Metrics>,
    ) -> Self {
        metrics.workers.inc();
        Self { collector, executor, engines, metrics, works: true }
    }

    /// Runs every batch size that will be used, and teaches the cost model what each takes.
    ///
    /// # Errors
    ///
    /// When the engine fails, or answers with another number of classes than there are labels.
    pub fn warm_up(&mut self) -> Result<(), InferenceError> {
        let Self { collector, executor, .. } = self;
        let observe = |size, took| collector.observe(size, took);
        if let Some(largest) = executor.warm_up(collector.sizes(), collector.limit(), observe)? {
            collector.cap_limit(largest);
        }
        Ok(())
    }

    /// Runs one picture that nobody sent, in a batch of each size that is prepared, or in the
    /// smallest where none is; its `[classes]` logits in each.
    ///
    /// # Errors
    ///
    /// When the engine fails.
    pub fn run_known(&mut self, pixels: &Pixels) -> Result<Vec<Vec<f32>>, InferenceError> {
        let sizes = self.collector.sizes();
        let of_each = if sizes.are_prepared() {
            sizes.to_warm_up_to(self.collector.limit())
        } else {
            vec![sizes.slots(1)]
        };
        of_each.into_iter().map(|slots| self.executor.run_one(slots, pixels)).collect()
    }

    /// Runs batches until the queue is closed and empty. An engine that fails for good is built
    /// anew, and its images wait for that or for another worker.
    pub fn run(mut self) {
        while let Some(jobs) = self.collector.next_batch() {
            if let Err(EngineLost { unanswered }) = self.run_batch(jobs) {
                self.set_working(false);
                self.collector.give_back(unanswered);
                if !self.rebuild() {
                    return;
                }
                self.set_working(true);
            }
        }
    }

    fn set_working(&mut self, works: bool) {
        self.works = works;
        self.collector.set_working(works);
    }

    /// Runs one batch and answers every job in it; a batch that fails is run again in halves,
    /// until the guilty image stands alone.
    fn run_batch(&mut self, jobs: Vec<Job>) -> Result<(), EngineLost> {
        let mut groups = without_suspects(jobs);
        while let Some(group) = groups.pop() {
            match self.run_group(group) {
                Ran::Answered => (),
                Ran::Failed(halves) => groups.extend(halves),
                Ran::Lost(EngineLost { mut unanswered }) => {
                    unanswered.extend(groups.into_iter().flatten());
                    return Err(EngineLost { unanswered });
                }
            }
        }
        Ok(())
    }

    fn run_group(&mut self, mut jobs: Vec<Job>) -> Ran {
        let started = Instant::now();
        for job in &jobs {
            job.begin(started);
        }
        let slots = self.collector.sizes().slots(jobs.len());
        let batch = journey::enter_batch(&mut jobs, slots);
        let _entered = batch.enter();
        let outputs = match self.executor.run(slots, &jobs) {
            Ok(outputs) => outputs,
            Err(cause) => {
                journey::fail_batch(&batch);
                return self.judge(jobs, &cause);
            }
        };
        let took = started.elapsed();
        self.metrics.padded_images.inc_by((slots - jobs.len()) as u64);
        self.metrics.batch_images.observe(into_f64(jobs.len()));
        self.collector.observe_batch(&jobs, took);
        answer_all(jobs, &outputs);
        Ran::Answered
    }

    /// Finds out whether the images are to blame or the engine: zeros tell.
    fn judge(&mut self, mut jobs: Vec<Job>, cause: &InferenceError) -> Ran {
        if let Err(cause) = self.executor.probe(self.collector.sizes().slots(1)) {
            tracing::error!(%cause, "the engine does not run any more");
            return Ran::Lost(EngineLost::with(jobs));
        }
        let images = jobs.len();
        if images == 1 {
            fail(jobs, cause);
            return Ran::Answered;
        }
        tracing::warn!(%cause, images, "a batch failed and is run in halves");
        if matches!(cause, InferenceError::OutOfMemory(_)) {
            self.collector.lower_limit(images / 2);
        }
        let second = jobs.split_off(images / 2);
        Ran::Failed([second, jobs])
    }

    /// Builds and warms up a new engine, however often that takes; `false` when the queue is
    /// closed and empty before.
    fn rebuild(&mut self) -> bool {
        self.executor.give_up_engine();
        let mut pause = FIRST_PAUSE;
        while self.collector.pause(pause) {
            self.metrics.engine_rebuilds.inc();
            let built = self.engines.create().and_then(|engine| {
                self.executor.set_engine(engine);
                self.warm_up()
            });
            match built {
                Ok(()) => {
                    tracing::info!("the engine was built anew");
                    return true;
                }
                Err(cause) => tracing::error!(%cause, ?pause, "the engine could not be built anew"),
            }
            self.executor.give_up_engine();
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        false
    }
}

impl Drop for Worker {
    /// Also one that never ran, because its engine was not what it should be.
    fn drop(&mut self) {
        if self.works {
            self.metrics.workers.dec();
        }
    }
}

impl EngineLost {
    /// An engine was lost with these in their batch: alone, the second time, means guilty.
    fn with(mut jobs: Vec<Job>) -> Self {
        let alone = jobs.len() == 1;
        for job in &mut jobs {
            job.engines_lost += 1;
        }
        let guilty = jobs.extract_if(.., |job| alone && job.engines_lost >= ENGINES_LOST).collect();
        fail(guilty, &InferenceError::Failed("the engine was lost to this image".to_owned()));
        Self { unanswered: jobs }
    }
}

/// Those with whom an engine was lost run alone, so that no other is lost with their neighbours;
/// the others, last in the list and so first to run, together.
fn without_suspects(jobs: Vec<Job>) -> Vec<Vec<Job>> {
    let (suspects, others): (Vec<_>, Vec<_>) =
        jobs.into_iter().partition(|job| job.engines_lost > 0);
    let mut groups: Vec<_> = suspects.into_iter().map(|job| vec![job]).collect();
    if !others.is_empty() {
        groups.push(others);
    }
    groups
}

fn fail(jobs: Vec<Job>, cause: &InferenceError) {
    for job in jobs {
        // At the level of the request it is told by the one who answers that.
        tracing::debug!(%cause, "an image failed");
        job.journey.iter().for_each(Journey::fail);
        job.answer(Err(JobError::Failed(cause.to_string())));
    }
}

fn answer_all(jobs: Vec<Job>, outputs: &Outputs) {
    for (index, (job, logits)) in jobs.into_iter().zip(outputs.logits.rows()).enumerate() {
        let features = outputs.features.as_ref().filter(|_| job.image.wanted == Wanted::Features);
        let features = features.map(|features| features.of_image(index));
        job.answer(Ok(Row { logits: logits.to_vec(), features }));
    }
}
