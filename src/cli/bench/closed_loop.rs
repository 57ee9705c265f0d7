//! Sessions that run one batch after another for a while.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use half::f16;

use super::figures::Sample;
use crate::inference::{BatchTensor, Elements, Engine, InferenceError, Wanted};

/// How wide the noise of a normalised picture is.
const DEVIATIONS: f32 = 2.0;

/// The batch, filled with noise: of zeros a device may make less work. Always the same noise.
pub(super) fn noise(mut batch: BatchTensor) -> BatchTensor {
    let mut random = fastrand::Rng::with_seed(0);
    let mut number = || (random.f32() * 2.0 - 1.0) * DEVIATIONS;
    match &mut batch.elements {
        Elements::Float32(values) => values.fill_with(number),
        Elements::Float16(values) => values.fill_with(|| f16::from_f32(number())),
        Elements::Uint8(values) => values.fill_with(|| random.u8(..)),
    }
    batch
}

/// Keeps every engine busy until the time is over, each with one batch at least.
///
/// # Errors
///
/// The first that an engine gives.
pub(super) fn run<E: Engine>(
    engines: &mut [E],
    batch: &BatchTensor,
    duration: Duration,
) -> Result<Sample, InferenceError> {
    let of_each: Vec<Result<Sample, InferenceError>> = thread::scope(|scope| {
        let start = |engine| {
            let work = move || repeat(engine, batch, duration);
            thread::Builder::new().spawn_scoped(scope, work)
        };
        let threads: Vec<io::Result<_>> = engines.iter_mut().map(start).collect();
        let ended = |thread: io::Result<thread::ScopedJoinHandle<'_, _>>| {
            let thread = thread.map_err(|cause| InferenceError::Failed(cause.to_string()))?;
            let panicked = |_| Err(InferenceError::Failed("the engine panicked".to_owned()));
            thread.join().unwrap_or_else(panicked)
        };
        threads.into_iter().map(ended).collect()
    });
    let mut all = Sample { images_per_second: 0.0, latencies: Vec::new() };
    for sample in of_each {
        let sample = sample?;
        all.images_per_second += sample.images_per_second;
        all.latencies.extend(sample.latencies);
    }
    Ok(all)
}

fn repeat(
    engine: &mut impl Engine,
    batch: &BatchTensor,
    duration: Duration,
) -> Result<Sample, InferenceError> {
    let mut latencies = Vec::new();
    let started = Instant::now();
    let mut now = started;
    loop {
        engine.run(batch, Wanted::Logits)?;
        let ended = Instant::now();
        latencies.push(ended - now);
        now = ended;
        if now - started >= duration {
            break;
        }
    }
    let images = latencies.len() * batch.images();
    #[expect(clippy::cast_precision_loss, reason = "nobody counts 2^52 images")]
    let images_per_second = images as f64 / (now - started).as_secs_f64();
    Ok(Sample { images_per_second, latencies })
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;
    use std::num::NonZeroU32;

    use super::*;
    use crate::inference::fake::{FakeControl, FakeEngine};
    use crate::model::manifest::{ElementType, Input, Layout};

    /// Of 2×2 pixels.
    fn batch(element_type: ElementType, images: usize) -> BatchTensor {
        let two = NonZeroU32::new(2).unwrap();
        let layout = Layout::Nhwc;
        let input = Input { name: None, layout, element_type, height: two, width: two };
        BatchTensor::zeros(&input, images)
    }

    #[test]
    fn every_engine_runs_batches_of_that_size_and_is_counted() {
        let control = FakeControl::default();
        let mut engines = [1, 2].map(|_| FakeEngine::new(3, control.clone()));
        let sample =
            run(&mut engines, &noise(batch(ElementType::Float32, 4)), Duration::ZERO).unwrap();
        assert_eq!(control.batches(), [4, 4]);
        assert_eq!(sample.latencies.len(), 2);
        assert!(sample.images_per_second > 0.0);
    }

    #[test]
    fn it_goes_on_until_the_time_is_over() {
        let control = FakeControl::default();
        let mut engines = [FakeEngine::new(3, control.clone())];
        let duration = Duration::from_millis(20);
        let sample = run(&mut engines, &noise(batch(ElementType::Uint8, 1)), duration).unwrap();
        assert_eq!(sample.latencies.len(), control.batches().len());
        assert!(sample.latencies.iter().sum::<Duration>() >= duration);
    }

    #[test]
    fn a_batch_that_does_not_fit_is_an_error() {
        let control = FakeControl::default();
        control.limit_room(2);
        let mut engines = [FakeEngine::new(3, control)];
        let batch = noise(batch(ElementType::Float32, 3));
        let error = run(&mut engines, &batch, Duration::ZERO).unwrap_err();
        assert!(matches!(error, InferenceError::OutOfMemory(_)), "{error}");
    }

    #[test]
    fn noise_has_the_graphs_type_and_is_not_all_the_same() {
        fn differing<T: PartialOrd>(values: &[T]) -> usize {
            values
                .windows(2)
                .filter(|two| two[0].partial_cmp(&two[1]) != Some(Ordering::Equal))
                .count()
        }
        let differing = |kind| match noise(batch(kind, 2)).elements {
            Elements::Float32(values) => differing(&values),
            Elements::Float16(values) => differing(&values),
            Elements::Uint8(values) => differing(&values),
        };
        for kind in [ElementType::Float32, ElementType::Float16, ElementType::Uint8] {
            assert!(differing(kind) > 20, "{kind:?}: {} of 23", differing(kind));
        }
    }
}
