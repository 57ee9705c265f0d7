//! What the process says about itself: log lines and metrics.

use std::time::Duration;

pub mod gpu;
pub mod logs;
pub mod metrics;
mod metrics_macro;

/// For people: to the hundredth.
#[must_use]
pub fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}
