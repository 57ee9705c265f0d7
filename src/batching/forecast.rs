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
pub(super) const CAUTION: f64 = 3.0;

/// No experience makes a promise more than this much longer, or shorter, than its forecast.
const FACTOR: std::ops::RangeInclusive<f64> = 0.5..=4.0;

/// Images before what decoding takes is taken to be known: if all decoders stand still at the first ones,
/// that is no rule.
const ENOUGH: u32 = 8;

/// What takes more than this times what was predicted counts as having taken that: one stall does not
/// spoil what is known, a lasting change is learned within some steps.
pub(super) const SURPRISE: f64 = 3.0;

/// An exponentially weighted mean of durations, of the first few the least.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MeanDuration {
    seconds: f64,
    seen: u32,
}

impl MeanDuration {
    pub(super) fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.seen = self.seen.saturating_add(1);
        if self.seen == 1 {
            self.seconds = seconds;
        } else if self.seen <= ENOUGH {
            self.seconds = self.seconds.min(seconds);
        } else {
            self.seconds += (seconds.min(SURPRISE * self.seconds) - self.seconds) * LATEST;
        }
    }

    /// Zero while too little is known.
    pub(super) fn get(self) -> Duration {
        if self.seen < ENOUGH { Duration::ZERO } else { Duration::from_secs_f64(self.seconds) }
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
#[derive(Clone, Debug)]
pub(super) struct Outlook {
    /// Until each worker is through with the batch that it runs, in ascending order.
    pub(super) leads: Vec<Duration>,
    /// What one image takes in the decoder.
    pub(super) decode: Duration,
    /// Images that are decoded at a time.
    pub(super) decoders: usize,
    /// What a full batch takes; zero while unknown.
    pub(super) full_batch: Duration,
    /// What the last batch of the line takes.
    pub(super) last_batch: Duration,
    /// Images in a batch, at most.
    pub(super) limit: usize,
    /// Images in line.
    pub(super) images: usize,
}

impl Outlook {
    /// Until the image at a position, from 1 on, is through; zero while nothing is known.
    ///
    /// An image is not through before the rest of its batch; the batches go to the workers by turns.
    pub(super) fn finish(&self, position: usize) -> Duration {
        let batch = position.saturating_sub(1) / self.limit;
        let Some(lead) = self.leads.get(batch % self.leads.len().max(1)) else {
            return Duration::ZERO;
        };
        let through = ((batch + 1) * self.limit).min(self.images);
        let takes = if through == self.images { self.last_batch } else { self.full_batch };
        let turns = batch / self.leads.len();
        let runs = *lead + self.full_batch.mul_f64(into_f64(turns));
        let decoded = self.decode.mul_f64(into_f64(through) / into_f64(self.decoders));
        self.decode + runs.max(decoded) + takes
    }

    /// Until all images are through.
    pub(super) fn drain(&self) -> Duration {
        if self.images > 0 {
            return self.finish(self.images);
        }
        self.leads.last().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// Two workers, one of them free in 20 ms, with batches of up to 4 that take 40 ms.
    fn outlook(images: usize) -> Outlook {
        Outlook {
            leads: vec![Duration::ZERO, 20 * MILLISECOND],
            decode: 5 * MILLISECOND,
            decoders: 1000,
            full_batch: 40 * MILLISECOND,
            last_batch: 10 * MILLISECOND,
            limit: 4,
            images,
        }
    }

    #[test]
    fn an_image_is_through_with_its_batch_on_the_worker_whose_turn_it_is() {
        let outlook = outlook(13);
        let positions = [1, 4, 5, 8, 9, 12, 13];
        let finishes = positions.map(|position| outlook.finish(position).as_millis());
        assert_eq!(finishes, [45, 45, 65, 65, 85, 85, 75]);
    }

    #[test]
    fn decoding_that_is_slower_than_the_workers_decides() {
        let slow = Outlook { decoders: 1, ..outlook(8) };
        assert_eq!([1, 8].map(|position| slow.finish(position).as_millis()), [65, 55]);
    }

    #[test]
    fn a_backlog_is_drained_when_its_last_image_and_every_worker_is_through() {
        assert_eq!([0, 1, 13].map(|images| outlook(images).drain().as_millis()), [20, 15, 75]);
    }

    #[test]
    fn nothing_is_forecast_where_no_worker_works() {
        assert_eq!(Outlook { leads: Vec::new(), ..outlook(9) }.finish(5), Duration::ZERO);
    }

    #[test]
    fn decoders_that_stood_still_are_no_rule() {
        let mut decode = MeanDuration::default();
        decode.observe(Duration::from_secs(1));
        decode.observe(Duration::from_secs(1));
        assert_eq!(decode.get(), Duration::ZERO, "too little is known");
        (0..20).for_each(|_| decode.observe(MILLISECOND));
        assert_eq!(decode.get(), MILLISECOND);
        decode.observe(Duration::from_secs(1));
        assert!(decode.get() < 2 * MILLISECOND, "{:?}", decode.get());
        (0..200).for_each(|_| decode.observe(10 * MILLISECOND));
        assert!(decode.get() > 9 * MILLISECOND, "{:?}", decode.get());
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
