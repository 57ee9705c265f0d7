//! What a batch costs: `t(n) = a + b·n`, learned from the batches that ran.

use std::collections::BTreeMap;
use std::time::Duration;

use super::backlog::into_f64;
use super::forecast::{CAUTION, SURPRISE};

/// The weight of all earlier batches shrinks by this with each new one: the last 50 or so count.
const MEMORY: f64 = 0.98;

/// The weight of the latest batch of one size: more than on the line, which every size teaches.
const PER_SIZE: f64 = 0.2;

/// The weight of the latest batch in how far predictions are off.
const LATEST_ERROR: f64 = 0.05;

/// Below this share of a batch's time the fixed cost is not worth waiting for.
const FIXED_SHARE: f64 = 0.2;

/// The line through all batches, and where batches are padded to a few sizes, what each of those
/// has cost: a device's time is not quite a line, and the sizes are few enough to know.
#[derive(Clone, Debug, Default)]
pub struct CostModel {
    regression: Regression,
    /// Seconds by slots; empty where batches are not padded.
    by_slots: Option<BTreeMap<usize, f64>>,
    /// By what share of its prediction a batch takes more or less, on average.
    deviation: f64,
}

/// Exponentially weighted least squares of seconds over slots.
#[derive(Clone, Debug, Default)]
struct Regression {
    weight: f64,
    slots: f64,
    seconds: f64,
    slots_squared: f64,
    slots_times_seconds: f64,
}

impl CostModel {
    /// A model for batches that are padded to a few sizes.
    #[must_use]
    pub fn of_few_sizes() -> Self {
        Self { by_slots: Some(BTreeMap::new()), ..Self::default() }
    }

    /// Learns from a batch of `slots` images, padding included.
    pub fn observe(&mut self, slots: usize, took: Duration) {
        let mut seconds = took.as_secs_f64();
        let predicted = self.predict(slots).as_secs_f64();
        if predicted > 0.0 {
            seconds = seconds.min(SURPRISE * predicted);
            let error = (seconds / predicted - 1.0).abs();
            self.deviation += (error - self.deviation) * LATEST_ERROR;
        }
        self.regression.observe(into_f64(slots), seconds);
        if let Some(by_slots) = &mut self.by_slots {
            let known = by_slots.entry(slots).or_insert(seconds);
            *known += (seconds - *known) * PER_SIZE;
        }
    }

    /// Until a batch of `slots` images is through; zero while nothing is known.
    #[must_use]
    pub fn predict(&self, slots: usize) -> Duration {
        let known = self.by_slots.as_ref().and_then(|by_slots| by_slots.get(&slots));
        Duration::from_secs_f64(
            known.copied().unwrap_or_else(|| self.regression.at(into_f64(slots))),
        )
    }

    /// What a batch of `slots` images hardly ever takes longer than, by how uneven batches have been.
    #[must_use]
    pub fn at_most(&self, slots: usize) -> Duration {
        self.predict(slots).mul_f64(1.0 + CAUTION * self.deviation)
    }

    /// Images per second of one worker with batches of `slots`; 0 while unknown.
    #[must_use]
    pub fn throughput(&self, slots: usize) -> f64 {
        let seconds = self.predict(slots).as_secs_f64();
        if seconds > 0.0 { into_f64(slots) / seconds } else { 0.0 }
    }

    /// Whether a larger batch is noticeably cheaper per image than a single one.
    #[must_use]
    pub fn batching_pays(&self) -> bool {
        let (fixed, per_image) = self.regression.coefficients();
        fixed > FIXED_SHARE * (fixed + per_image)
    }
}

impl Regression {
    fn observe(&mut self, slots: f64, seconds: f64) {
        for sum in [
            &mut self.weight,
            &mut self.slots,
            &mut self.seconds,
            &mut self.slots_squared,
            &mut self.slots_times_seconds,
        ] {
            *sum *= MEMORY;
        }
        self.weight += 1.0;
        self.slots += slots;
        self.seconds += seconds;
        self.slots_squared += slots * slots;
        self.slots_times_seconds += slots * seconds;
    }

    fn at(&self, slots: f64) -> f64 {
        let (fixed, per_image) = self.coefficients();
        fixed + per_image * slots
    }

    /// `a` and `b`, in seconds, neither negative.
    fn coefficients(&self) -> (f64, f64) {
        if self.weight == 0.0 {
            return (0.0, 0.0);
        }
        let spread = self.weight * self.slots_squared - self.slots * self.slots;
        let proportional = (0.0, self.slots_times_seconds / self.slots_squared);
        // Batches of one size only cannot tell the fixed cost from the rest.
        if spread < 1e-6 * self.weight * self.slots_squared {
            return proportional;
        }
        let slope = (self.weight * self.slots_times_seconds - self.slots * self.seconds) / spread;
        let fixed = (self.seconds - slope * self.slots) / self.weight;
        match (fixed < 0.0, slope < 0.0) {
            (true, _) => proportional,
            (_, true) => (self.seconds / self.weight, 0.0),
            _ => (fixed, slope),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(pairs: &[(usize, u64)]) -> CostModel {
        let mut model = CostModel::default();
        for (images, milliseconds) in pairs {
            model.observe(*images, Duration::from_millis(*milliseconds));
        }
        model
    }

    fn milliseconds(model: &CostModel, images: usize) -> f64 {
        model.predict(images).as_secs_f64() * 1000.0
    }

    #[test]
    fn nothing_is_predicted_from_nothing() {
        assert_eq!(CostModel::default().predict(8), Duration::ZERO);
        assert!(CostModel::default().throughput(8).abs() < f64::EPSILON);
    }

    #[test]
    fn a_line_is_learned_from_two_sizes() {
        let model = learned(&[(1, 12), (4, 18), (1, 12), (4, 18)]);
        assert!((milliseconds(&model, 8) - 26.0).abs() < 0.1, "{}", milliseconds(&model, 8));
        assert!(model.batching_pays());
    }

    #[test]
    fn time_in_proportion_to_images_means_that_batching_does_not_pay() {
        assert!(!learned(&[(1, 10), (2, 20), (4, 40)]).batching_pays());
    }

    #[test]
    fn one_size_alone_claims_no_fixed_cost() {
        let model = learned(&[(4, 40), (4, 40)]);
        assert!((milliseconds(&model, 1) - 10.0).abs() < 0.1);
    }

    #[test]
    fn a_stall_moves_the_prediction_little() {
        let mut pairs = vec![(1, 10); 50];
        pairs.push((1, 5000));
        let predicted = milliseconds(&learned(&pairs), 1);
        assert!(predicted < 11.0, "{predicted}");
    }

    #[test]
    fn a_lasting_change_is_learned() {
        let mut pairs = vec![(1, 10); 100];
        pairs.extend([(1, 100); 200]);
        let predicted = milliseconds(&learned(&pairs), 1);
        assert!((95.0..=100.0).contains(&predicted), "{predicted}");
    }

    #[test]
    fn uneven_batches_are_given_more_time_than_even_ones() {
        let even = learned(&[(1, 10); 100]);
        assert_eq!(even.at_most(4), even.predict(4));
        let uneven = learned(&[(1, 9), (1, 11)].repeat(100));
        let factor = uneven.at_most(1).as_secs_f64() / uneven.predict(1).as_secs_f64();
        assert!((1.25..1.35).contains(&factor), "{factor}: a tenth more or less, three times");
    }

    #[test]
    fn a_size_that_is_off_the_line_is_known_where_sizes_are_few() {
        let mut model = CostModel::of_few_sizes();
        for (slots, milliseconds) in [(1, 10), (2, 11), (4, 40)].repeat(20) {
            model.observe(slots, Duration::from_millis(milliseconds));
        }
        for (slots, due) in [(1, 10.0), (2, 11.0), (4, 40.0)] {
            assert!((milliseconds(&model, slots) - due).abs() < 0.5, "{slots}");
        }
        assert!(milliseconds(&model, 8) > 40.0, "the line says the rest");
    }
}
