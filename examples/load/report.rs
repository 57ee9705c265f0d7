//! What became of the requests, as numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

/// How one exchange ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// 200, in time or not.
    Answered,
    /// 503: not now.
    Refused,
    /// 504: admitted, and too late.
    Expired,
    /// Any other status.
    OtherStatus(u16),
    /// No connection was to be had: the server never saw the request.
    NotConnected,
    /// The connection broke, or nothing came, after the request was begun.
    Lost,
    /// The client went away, as it was told to.
    HungUp,
}

/// One request and how it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub(crate) fate: Fate,
    /// From the time at which the request was due.
    pub(crate) latency: Duration,
    /// How long after that it could be sent.
    pub(crate) sent_late: Duration,
    /// Seconds.
    pub(crate) retry_after: Option<u64>,
}

/// All exchanges of a run.
pub(crate) struct Report {
    took: Duration,
    exchanges: Vec<Exchange>,
}

impl Report {
    pub(crate) fn new(took: Duration, exchanges: Vec<Exchange>) -> Self {
        Self { took, exchanges }
    }

    /// Counts, rates per second, latencies in milliseconds. An answer that takes longer than
    /// `timeout` is late, and only the others are goodput.
    pub(crate) fn to_json(&self, timeout: Option<Duration>) -> Value {
        let in_time = |exchange: &&Exchange| {
            exchange.fate == Fate::Answered && timeout.is_none_or(|limit| exchange.latency <= limit)
        };
        let answered = self.count(Fate::Answered);
        let good = self.exchanges.iter().filter(in_time).count();
        let seconds = self.took.as_secs_f64();
        json!({
            "seconds": seconds,
            "requests": self.exchanges.len(),
            "answered_in_time": good,
            "answered_late": answered - good,
            "refused": self.count(Fate::Refused),
            "expired": self.count(Fate::Expired),
            "other_statuses": self.other_statuses(),
            "not_connected": self.count(Fate::NotConnected),
            "lost": self.count(Fate::Lost),
            "hung_up": self.count(Fate::HungUp),
            "goodput_per_second": ratio(good, seconds),
            "answers_ms": self.latencies(Fate::Answered),
            "refusals_ms": self.latencies(Fate::Refused),
            "sent_late_ms": percentiles(self.exchanges.iter().map(|one| one.sent_late).collect()),
            "retry_after_seconds": self.retry_after(),
        })
    }

    fn of(&self, fate: Fate) -> impl Iterator<Item = &Exchange> {
        self.exchanges.iter().filter(move |exchange| exchange.fate == fate)
    }

    fn count(&self, fate: Fate) -> usize {
        self.of(fate).count()
    }

    fn other_statuses(&self) -> Value {
        let mut counts = BTreeMap::<String, usize>::new();
        for exchange in &self.exchanges {
            if let Fate::OtherStatus(status) = exchange.fate {
                *counts.entry(status.to_string()).or_default() += 1;
            }
        }
        json!(counts)
    }

    fn latencies(&self, fate: Fate) -> Value {
        percentiles(self.of(fate).map(|exchange| exchange.latency).collect())
    }

    fn retry_after(&self) -> Value {
        let mut seconds: Vec<u64> =
            self.exchanges.iter().filter_map(|one| one.retry_after).collect();
        seconds.sort_unstable();
        let middle = seconds.get(seconds.len() / 2);
        json!({"min": seconds.first(), "median": middle, "max": seconds.last()})
    }
}

/// In milliseconds: the smallest value that at least the share of all values does not exceed.
fn percentiles(mut values: Vec<Duration>) -> Value {
    values.sort_unstable();
    let at = |percent: usize| {
        let rank = (values.len() * percent).div_ceil(100).max(1);
        values.get(rank - 1).map(|value| value.as_secs_f64() * 1000.0)
    };
    json!({"p50": at(50), "p90": at(90), "p99": at(99), "max": at(100)})
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
fn ratio(count: usize, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(fate: Fate, milliseconds: u64) -> Exchange {
        let latency = Duration::from_millis(milliseconds);
        Exchange { fate, latency, sent_late: Duration::ZERO, retry_after: None }
    }

    #[test]
    fn only_answers_in_time_are_goodput() {
        let exchanges = vec![
            exchange(Fate::Answered, 10),
            exchange(Fate::Answered, 200),
            exchange(Fate::Refused, 1),
            exchange(Fate::OtherStatus(500), 1),
            exchange(Fate::Lost, 1),
        ];
        let report = Report::new(Duration::from_secs(2), exchanges);
        let json = report.to_json(Some(Duration::from_millis(100)));
        assert_eq!(json["requests"], 5);
        assert_eq!((&json["answered_in_time"], &json["answered_late"]), (&json!(1), &json!(1)));
        assert_eq!((&json["refused"], &json["lost"]), (&json!(1), &json!(1)));
        assert_eq!(json["other_statuses"], json!({"500": 1}));
        assert_eq!(json["goodput_per_second"], 0.5);
        assert_eq!(report.to_json(None)["answered_in_time"], 2);
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values = (1..=200).map(Duration::from_millis).collect();
        let due = json!({"p50": 100.0, "p90": 180.0, "p99": 198.0, "max": 200.0});
        assert_eq!(percentiles(values), due);
        assert_eq!(percentiles(Vec::new())["p50"], Value::Null);
    }
}
