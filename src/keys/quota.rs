//! How much a key may ask for: requests a second, and requests at a time.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// When to come back where requests under way are too many: one of them has ended by then.
const SOON: Duration = Duration::from_secs(1);

/// Requests a second; more than anybody sends is no limit.
const HIGHEST_RATE: f64 = 1e6;

/// One request a day.
const LOWEST_RATE: f64 = 1.0 / (24.0 * 60.0 * 60.0);

/// What a line of the file allows; what is not there has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Limits {
    pub(super) rate: Option<Rate>,
    pub(super) in_flight: Option<NonZeroUsize>,
}

/// Requests a second: a second's worth, and at least one, may come at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate(f64);

/// What a key has used.
pub(super) struct Quota {
    bucket: Option<Mutex<Bucket>>,
    in_flight: Option<Arc<Semaphore>>,
}

/// A request under way; dropped when it has ended.
#[derive(Debug)]
pub struct Place {
    _permit: Option<OwnedSemaphorePermit>,
}

/// A quota that is used up.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("this API key has {what}")]
pub struct Exceeded {
    what: &'static str,
    /// When the next request will be taken.
    pub retry_after: Duration,
}

struct Bucket {
    rate: f64,
    tokens: f64,
    at: Instant,
}

impl Rate {
    pub(super) fn per_second(requests: f64) -> Option<Self> {
        (LOWEST_RATE..=HIGHEST_RATE).contains(&requests).then_some(Self(requests))
    }

    fn burst(self) -> f64 {
        self.0.max(1.0)
    }
}

impl Quota {
    pub(super) fn new(limits: Limits) -> Self {
        let bucket = |rate: Rate| {
            Mutex::new(Bucket { rate: rate.0, tokens: rate.burst(), at: Instant::now() })
        };
        Self {
            bucket: limits.rate.map(bucket),
            in_flight: limits.in_flight.map(|count| Arc::new(Semaphore::new(count.get()))),
        }
    }

    pub(super) fn take(&self) -> Result<Place, Exceeded> {
        // First what is given back, so that a request that is refused here has used nothing.
        let permit = self.in_flight.as_ref().map(|places| Arc::clone(places).try_acquire_owned());
        let permit = permit.transpose().map_err(|_| Exceeded::places())?;
        if let Some(bucket) = &self.bucket {
            let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
            bucket.take(Instant::now()).map_err(Exceeded::rate)?;
        }
        Ok(Place { _permit: permit })
    }
}

impl Exceeded {
    /// Of a key that sends requests too fast.
    #[must_use]
    pub fn rate(retry_after: Duration) -> Self {
        Self { what: "sent requests too fast", retry_after }
    }

    fn places() -> Self {
        Self { what: "too many requests under way", retry_after: SOON }
    }
}

impl Bucket {
    /// Takes a token, or says when there will be one.
    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let gained = now.duration_since(self.at).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + gained).min(Rate(self.rate).burst());
        self.at = now;
        if self.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.tokens) / self.rate));
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn rate(per_second: f64) -> Quota {
        Quota::new(Limits { rate: Rate::per_second(per_second), in_flight: None })
    }

    #[tokio::test(start_paused = true)]
    async fn a_seconds_worth_may_come_at_once_and_then_the_rate_holds() {
        let quota = rate(4.0);
        let burst = (0..10).filter(|_| quota.take().is_ok()).count();
        assert_eq!(burst, 4);
        assert_eq!(quota.take().unwrap_err().retry_after, Duration::from_millis(250));
        advance(Duration::from_millis(500)).await;
        assert_eq!((0..10).filter(|_| quota.take().is_ok()).count(), 2);
        advance(Duration::from_hours(1)).await;
        assert_eq!((0..10).filter(|_| quota.take().is_ok()).count(), 4, "nothing is saved up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_below_one_lets_one_through_and_says_when_the_next() {
        let quota = rate(0.1);
        assert!(quota.take().is_ok());
        assert_eq!(quota.take().unwrap_err().retry_after, Duration::from_secs(10));
        advance(Duration::from_secs(10)).await;
        assert!(quota.take().is_ok());
    }

    #[test]
    fn a_place_is_free_again_when_its_request_has_ended() {
        let limits = Limits { rate: None, in_flight: NonZeroUsize::new(2) };
        let quota = Quota::new(limits);
        let (first, _second) = (quota.take().unwrap(), quota.take().unwrap());
        assert_eq!(
            quota.take().unwrap_err().to_string(),
            "this API key has too many requests under way"
        );
        drop(first);
        assert!(quota.take().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_finds_no_place_does_not_count_against_the_rate() {
        let limits = Limits { rate: Rate::per_second(2.0), in_flight: Some(NonZeroUsize::MIN) };
        let quota = Quota::new(limits);
        let first = quota.take().unwrap();
        assert!((0..5).all(|_| quota.take().is_err()));
        drop(first);
        assert!(quota.take().is_ok());
    }

    #[test]
    fn without_limits_there_are_none() {
        let quota = Quota::new(Limits::default());
        let places: Vec<_> = (0..1000).map(|_| quota.take().unwrap()).collect();
        assert_eq!(places.len(), 1000);
    }
}
