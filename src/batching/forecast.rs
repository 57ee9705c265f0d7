//! When an image will be through: from what batches and decoding cost, and how wrong that was.

use std::time::Duration;

use super::backlog::into_f64;

/// The weight of the latest image in what decoding takes.
const LATEST: f64 = 0.05;

/// How far forecasts are off is remembered for so many lines of images. Those that wait in one line
/// run in the same batches and are off by much the same: a memory of one line would take their
/// common error for the rule, and see nothing of how much it varies.
const LINES: f64 = 4.0;

/// No line counts as shorter: images of one batch are off by the same too.
const SHORTEST_LINE: usize = 25;

/// Until something is known, a forecast is taken to be off by this share.
const FIRST_DEVIATION: f64 = 0.1;

/// Mean deviations that a promise allows for: of normally distributed errors one in a hundred is
/// larger.
const CAUTION: f64 = 3.0;

/// No experience makes a promise more than this much longer, or shorter, than its forecast.
const FACTOR: std::ops::RangeInclusive<f64> = 0.5..=4.0;

/// An exponentially weighted mean of durations.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MeanDuration(Option<f64>);

impl MeanDuration {
    pub(super) fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let mean = self.0.get_or_insert(seconds);
        *mean += (seconds - *mean) * LATEST;
    }

    /// Zero while nothing is known.
    pub(super) fn get(self) -> Duration {
        Duration::from_secs_f64(self.0.unwrap_or_default())
    }
}

/// How forecasts compared with what happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calibration {
    mean: f64,
    deviation: f64,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { mean: 1.0, deviation: FIRST_DEVIATION }
    }
}

impl Calibration {
    /// Learns from one image: what was forecast for it, being one of so many in line, and what it took.
    pub(super) fn observe(&mut self, (forecast, line): (Duration, usize), took: Duration) {
        if forecast.is_zero() {
            return;
        }
        let (lowest, highest) = (*FACTOR.start(), *FACTOR.end());
        let ratio = (took.as_secs_f64() / forecast.as_secs_f64()).clamp(lowest, highest);
        let latest = 1.0 / (LINES * into_f64(line.max(SHORTEST_LINE)));
        self.mean += (ratio - self.mean) * latest;
        self.deviation += ((ratio - self.mean).abs() - self.deviation) * latest;
    }

    /// What a forecast is to be multiplied by for a promise that is kept.
    pub(super) fn factor(self) -> f64 {
        (self.mean + CAUTION * self.deviation).clamp(*FACTOR.start(), *FACTOR.end())
    }
}

/// The line of images and the workers before it, at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outlook {
    /// Until the batches that run are through, shared among the workers.
    pub(super) lead: Duration,
    /// What one image takes in the decoder.
    pub(super) decode: Duration,
    /// What a batch of the images in line takes: up to the limit.
    pub(super) batch: Duration,
    /// Images in a batch, at most.
    pub(super) limit: usize,
    /// Images per second; 0 while unknown.
    pub(super) capacity: f64,
}

impl Outlook {
    /// Until the image at a position, from 1 on, is through; zero while nothing is known.
    pub(super) fn finish(&self, position: usize, images: usize) -> Duration {
        if self.capacity <= 0.0 {
            return Duration::ZERO;
        }
        // An image is not through before the rest of its batch.
        let through = position.next_multiple_of(self.limit).min(images.max(position));
        let line = Duration::from_secs_f64(into_f64(through) / self.capacity);
        self.lead + self.decode + line.max(self.batch)
    }

    /// Until `images` images are through.
    pub(super) fn drain(&self, images: usize) -> Duration {
        if images == 0 { self.lead } else { self.finish(images, images) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// Batches of up to 4 take 40 ms.
    const OUTLOOK: Outlook = Outlook {
        lead: Duration::from_millis(20),
        decode: Duration::from_millis(5),
        batch: Duration::from_millis(40),
        limit: 4,
        capacity: 100.0,
    };

    #[test]
    fn an_image_is_through_with_its_batch() {
        let positions = [1, 4, 5, 8, 9].map(|position| OUTLOOK.finish(position, 9).as_millis());
        assert_eq!(positions, [65, 65, 105, 105, 115]);
    }

    #[test]
    fn nothing_is_forecast_from_nothing() {
        assert_eq!(Outlook { capacity: 0.0, ..OUTLOOK }.finish(100, 100), Duration::ZERO);
    }

    #[test]
    fn promises_grow_longer_where_forecasts_fell_short() {
        let mut calibration = Calibration::default();
        assert!((1.0..1.5).contains(&calibration.factor()));
        for _ in 0..1000 {
            calibration.observe((10 * MILLISECOND, 1), 20 * MILLISECOND);
        }
        assert!((2.0..2.1).contains(&calibration.factor()), "{}", calibration.factor());
        for _ in 0..1000 {
            calibration.observe((10 * MILLISECOND, 1), 10 * MILLISECOND);
        }
        assert!((1.0..1.1).contains(&calibration.factor()), "{}", calibration.factor());
    }

    #[test]
    fn an_uneven_past_makes_a_promise_cautious() {
        let mut calibration = Calibration::default();
        for took in [5, 15].repeat(200) {
            calibration.observe((10 * MILLISECOND, 1), took * MILLISECOND);
        }
        assert!(calibration.factor() > 1.8, "{}", calibration.factor());
    }

    #[test]
    fn the_common_error_of_a_line_is_no_rule() {
        let mut calibration = Calibration::default();
        for took in [8, 12].repeat(20) {
            for _ in 0..500 {
                calibration.observe((10 * MILLISECOND, 500), took * MILLISECOND);
            }
        }
        let factor = calibration.factor();
        assert!((1.4..1.7).contains(&factor), "{factor}: a fifth more or less, three times");
    }

    #[test]
    fn one_freak_does_not_close_the_door() {
        let mut calibration = Calibration::default();
        calibration.observe((MILLISECOND, 1), Duration::from_secs(100));
        assert!(calibration.factor() < 1.8, "{}", calibration.factor());
    }
}
