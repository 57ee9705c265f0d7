//! What a batch costs: `t(n) = a + b·n`, learned from the batches that ran.

use std::time::Duration;

use super::backlog::into_f64;

/// The weight of all earlier batches shrinks by this with each new one: the last 50 or so count.
const MEMORY: f64 = 0.98;

/// A batch that took more than this times its prediction counts as having taken that: one stall
/// does not spoil the model, a lasting change is learned within some batches.
const SURPRISE: f64 = 3.0;

/// Below this share of a batch's time the fixed cost is not worth waiting for.
const FIXED_SHARE: f64 = 0.2;

/// Exponentially weighted least squares of seconds over images.
#[derive(Clone, Debug, Default)]
pub struct CostModel {
    weight: f64,
    images: f64,
    seconds: f64,
    images_squared: f64,
    images_times_seconds: f64,
}

impl CostModel {
    /// Learns from a batch of `images` images.
    pub fn observe(&mut self, images: usize, took: Duration) {
        let (images, seconds) = (into_f64(images), self.plausible(images, took));
        for sum in [
            &mut self.weight,
            &mut self.images,
            &mut self.seconds,
            &mut self.images_squared,
            &mut self.images_times_seconds,
        ] {
            *sum *= MEMORY;
        }
        self.weight += 1.0;
        self.images += images;
        self.seconds += seconds;
        self.images_squared += images * images;
        self.images_times_seconds += images * seconds;
    }

    /// Until a batch of `images` images is through; zero while nothing is known.
    #[must_use]
    pub fn predict(&self, images: usize) -> Duration {
        let (fixed, per_image) = self.coefficients();
        Duration::from_secs_f64(fixed + per_image * into_f64(images))
    }

    /// Images per second of one worker with batches of up to `max_batch`; 0 while unknown.
    #[must_use]
    pub fn throughput(&self, max_batch: usize) -> f64 {
        let seconds = self.predict(max_batch).as_secs_f64();
        if seconds > 0.0 { into_f64(max_batch) / seconds } else { 0.0 }
    }

    /// Whether a larger batch is noticeably cheaper per image than a single one.
    #[must_use]
    pub fn batching_pays(&self) -> bool {
        let (fixed, per_image) = self.coefficients();
        fixed > FIXED_SHARE * (fixed + per_image)
    }

    /// `a` and `b`, in seconds, neither negative.
    fn coefficients(&self) -> (f64, f64) {
        if self.weight == 0.0 {
            return (0.0, 0.0);
        }
        let spread = self.weight * self.images_squared - self.images * self.images;
        let proportional = (0.0, self.images_times_seconds / self.images_squared);
        // Batches of one size only cannot tell the fixed cost from the rest.
        if spread < 1e-6 * self.weight * self.images_squared {
            return proportional;
        }
        let slope = (self.weight * self.images_times_seconds - self.images * self.seconds) / spread;
        let fixed = (self.seconds - slope * self.images) / self.weight;
        match (fixed < 0.0, slope < 0.0) {
            (true, _) => proportional,
            (_, true) => (self.seconds / self.weight, 0.0),
            _ => (fixed, slope),
        }
    }

    fn plausible(&self, images: usize, took: Duration) -> f64 {
        let predicted = self.predict(images).as_secs_f64();
        let seconds = took.as_secs_f64();
        if predicted > 0.0 { seconds.min(SURPRISE * predicted) } else { seconds }
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
}
