//! A network in 8 bits beside what it was made of.

use std::time::{Duration, Instant};

use crate::cli::Failure;
use crate::evaluation::share;
use crate::loading::{Alone, StartError};
use crate::preprocess::Pixels;
use crate::ranking::top_k;
use crate::resources;

/// Less is noise.
const LEAST_GAIN: f64 = 1.05;

/// What both made of the same pictures, one after the other.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// How many have the same best class.
    alike: usize,
    float32: Vec<Duration>,
    int8: Vec<Duration>,
}

impl Comparison {
    pub(super) fn add(
        &mut self,
        pixels: &Pixels,
        float32: &mut Alone,
        int8: &mut Alone,
    ) -> Result<(), Failure> {
        if self.float32.is_empty() {
            // First runs take longer than others.
            float32.logits(pixels).and_then(|_| int8.logits(pixels)).map_err(Failure::config)?;
        }
        let (expected, took) = timed(float32, pixels).map_err(Failure::config)?;
        self.float32.push(took);
        let (found, took) = timed(int8, pixels).map_err(Failure::config)?;
        self.int8.push(took);
        self.alike += usize::from(best(&expected) == best(&found));
        Ok(())
    }

    /// The share of pictures with the same best class.
    pub(super) fn alike(&self) -> f64 {
        share(self.alike, self.float32.len())
    }

    /// In two lines; `which` pictures these were, after their number.
    pub(super) fn told(&self, which: &str) -> String {
        let (before, after) = (median(&self.float32), median(&self.int8));
        let ratio = before.as_secs_f64() / after.as_secs_f64().max(f64::MIN_POSITIVE);
        let verdict = if ratio >= LEAST_GAIN {
            format!("{ratio:.1} times as fast here")
        } else if resources::multiplies_bytes() {
            "no faster here".to_owned()
        } else {
            "no faster here: this processor has no instructions for it".to_owned()
        };
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        format!(
            "one picture     {:.2} ms → {:.2} ms, {verdict}\n\
             same best class {:.1} % of {} {which}",
            milliseconds(before),
            milliseconds(after),
            self.alike() * 100.0,
            self.float32.len(),
        )
    }
}

fn timed(network: &mut Alone, pixels: &Pixels) -> Result<(Vec<f32>, Duration), StartError> {
    let started = Instant::now();
    let logits = network.logits(pixels)?;
    Ok((logits, started.elapsed()))
}

fn best(scores: &[f32]) -> Option<usize> {
    top_k(scores, 1).first().map(|best| best.class)
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_told_with_its_ratio() {
        let millis = Duration::from_millis;
        let comparison = Comparison {
            alike: 2,
            float32: vec![millis(90), millis(40), millis(44)],
            int8: vec![millis(11), millis(10), millis(60)],
        };
        assert_eq!(
            comparison.told("other pictures"),
            "one picture     44.00 ms → 11.00 ms, 4.0 times as fast here\n\
             same best class 66.7 % of 3 other pictures"
        );
        let slower =
            Comparison { int8: comparison.float32, float32: comparison.int8, ..comparison };
        assert!(slower.told("pictures").contains("no faster here"), "{slower:?}");
    }
}
