//! Sums over what the metrics have counted, for who looks at them without Prometheus.

use std::collections::BTreeMap;

use prometheus::GaugeVec;
use prometheus::core::Collector;
use prometheus::proto::Metric;

use super::metrics::{IMAGES, Metrics, Outcome, SECONDS};

/// What has been counted since the start; requests are those that carry pictures.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Requests answered.
    pub requests: u64,
    /// Of these, with a status of 5xx.
    pub errors: u64,
    /// Images that got their labels.
    pub classified: u64,
    /// Images that were refused because of load.
    pub refused: u64,
    /// Of requests, up to each of [`SECONDS`].
    pub latency: Buckets<{ SECONDS.len() }>,
    /// Of batches, up to each of [`IMAGES`].
    pub batches: Buckets<{ IMAGES.len() }>,
}

/// How many observations were at most each bound, and how many there were.
#[derive(Clone, Copy, Debug)]
pub struct Buckets<const BOUNDS: usize> {
    cumulative: [u64; BOUNDS],
    count: u64,
}

impl Totals {
    /// All up to now.
    #[must_use]
    pub fn of(metrics: &Metrics) -> Self {
        let requests = all(&metrics.requests);
        let work = || requests.iter().filter(|metric| carries_pictures(metric));
        let errors = work().filter(|metric| label(metric, "status").starts_with('5'));
        let latency = all(&metrics.request_duration);
        let latency = latency.iter().filter(|metric| carries_pictures(metric));
        let image = |outcome: Outcome| metrics.images.with_label_values(&[outcome.as_str()]).get();
        Self {
            requests: work().map(count).sum(),
            errors: errors.map(count).sum(),
            classified: image(Outcome::Classified),
            refused: image(Outcome::Rejected),
            latency: latency.fold(Buckets::default(), Buckets::and),
            batches: all(&metrics.batch_images).iter().fold(Buckets::default(), Buckets::and),
        }
    }
}

impl<const BOUNDS: usize> Buckets<BOUNDS> {
    fn and(mut self, metric: &Metric) -> Self {
        let histogram = metric.get_histogram();
        self.count += histogram.get_sample_count();
        for (sum, bucket) in self.cumulative.iter_mut().zip(histogram.get_bucket()) {
            *sum += bucket.cumulative_count();
        }
        self
    }

    /// What has come since an earlier look.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut new = *self;
        new.count = new.count.saturating_sub(before.count);
        for (sum, before) in new.cumulative.iter_mut().zip(before.cumulative) {
            *sum = sum.saturating_sub(before);
        }
        new
    }

    /// How many were above the bound before and at most each; those above all bounds come last.
    #[must_use]
    pub fn counts(&self) -> Vec<u64> {
        let before = [0].into_iter().chain(self.cumulative);
        let upto = self.cumulative.into_iter().chain([self.count]);
        upto.zip(before).map(|(upto, before)| upto.saturating_sub(before)).collect()
    }

    /// The value that a share of the observations does not exceed, as Prometheus estimates it:
    /// evenly spread within a bucket. `None` where nothing was observed.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
    pub fn quantile(&self, share: f64, bounds: &[f64; BOUNDS]) -> Option<f64> {
        let rank = share * self.count as f64;
        let reached = self.cumulative.iter().position(|sum| *sum as f64 >= rank);
        let Some(index) = reached.filter(|_| self.count > 0) else {
            return bounds.last().copied().filter(|_| self.count > 0);
        };
        let (below, from) = match index.checked_sub(1) {
            Some(before) => (self.cumulative[before] as f64, bounds[before]),
            None => (0.0, 0.0),
        };
        let within = self.cumulative[index] as f64 - below;
        let part = if within > 0.0 { (rank - below) / within } else { 1.0 };
        Some(from + (bounds[index] - from) * part)
    }
}

impl<const BOUNDS: usize> Default for Buckets<BOUNDS> {
    fn default() -> Self {
        Self { cumulative: [0; BOUNDS], count: 0 }
    }
}

/// The labels of every series of an info metric.
#[must_use]
pub fn labels(info: &GaugeVec) -> Vec<BTreeMap<String, String>> {
    let pairs = |metric: &Metric| {
        let pairs = metric.get_label().iter();
        pairs.map(|pair| (pair.name().to_owned(), pair.value().to_owned())).collect()
    };
    all(info).iter().map(pairs).collect()
}

fn all(collector: &impl Collector) -> Vec<Metric> {
    collector.collect().into_iter().flat_map(|family| family.get_metric().to_vec()).collect()
}

/// As the recording rules have it: the inference calls of each protocol, and `/classify`.
fn carries_pictures(metric: &Metric) -> bool {
    let route = label(metric, "route");
    route == "/classify" || route.ends_with("/infer") || route.ends_with("Infer")
}

fn label<'a>(metric: &'a Metric, name: &str) -> &'a str {
    let pair = metric.get_label().iter().find(|pair| pair.name() == name);
    pair.map_or("", |pair| pair.value())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a counter of whole numbers"
)]
fn count(metric: &Metric) -> u64 {
    metric.get_counter().get_value() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(metrics: &Metrics, route: &str, seconds: &[f64]) {
        for value in seconds {
            metrics.request_duration.with_label_values(&[route]).observe(*value);
        }
    }

    #[test]
    fn only_what_carries_pictures_counts() {
        let metrics = Metrics::new();
        for (route, status) in [
            ("/classify", "200"),
            ("/classify", "503"),
            ("/v2/models/{name}/infer", "500"),
            ("/metrics", "500"),
        ] {
            metrics.requests.with_label_values(&[route, status]).inc();
        }
        let totals = Totals::of(&metrics);
        assert_eq!((totals.requests, totals.errors), (3, 2));
    }

    #[test]
    fn a_quantile_lies_in_the_bucket_that_holds_it() {
        let metrics = Metrics::new();
        observed(&metrics, "/classify", &[0.02; 90]);
        observed(&metrics, "/x.Y/ModelInfer", &[0.3; 10]);
        let latency = Totals::of(&metrics).latency;
        let at = |share| latency.quantile(share, &SECONDS).unwrap();
        assert!((0.016..=0.025).contains(&at(0.5)), "{}", at(0.5));
        assert!((0.25..=0.4).contains(&at(0.95)), "{}", at(0.95));
    }

    #[test]
    fn what_is_above_all_bounds_is_told_by_the_last_of_them() {
        let metrics = Metrics::new();
        observed(&metrics, "/classify", &[100.0]);
        let latency = Totals::of(&metrics).latency;
        assert_eq!(latency.quantile(0.5, &SECONDS), Some(60.0));
        assert_eq!(latency.counts().last(), Some(&1));
    }

    #[test]
    fn without_observations_there_is_no_quantile() {
        assert_eq!(Totals::default().latency.quantile(0.5, &SECONDS), None);
    }
}
