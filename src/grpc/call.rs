//! What is known of a call before its message is there.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;
use tonic::{Extensions, Status};

use super::message::Received;
use super::record::Caller;
use super::status::INTERNAL;
use crate::keys::{Key, Place};
use crate::protocol::Arrival;
use crate::serving::{AppState, RequestError};

/// The header in which a client says how long it waits.
const TIMEOUT: &str = "grpc-timeout";

/// Digits of a timeout, by the protocol.
const DIGITS: usize = 8;

/// The method that asks the network once.
const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

/// The method whose requests come one after another in one call.
const STREAM: &str = "/inference.GRPCInferenceService/ModelStreamInfer";

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Method {
    /// One request for inference.
    Infer,
    /// Requests for inference, one after another.
    StreamInfer,
    /// What is answered from what is known.
    Other,
}

/// One call. Clones are the same call.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    /// When its first message began to come.
    pub(super) arrival: Arrival,
    /// When its client stops waiting, where it says so.
    patience: Option<Instant>,
    /// What has come and is not yet answered.
    waiting: Arc<Mutex<VecDeque<Received>>>,
    /// Whose it is, where keys are asked for.
    key: Option<Key>,
    /// As what its messages are written down.
    pub(super) caller: Caller,
}

impl Call {
    /// A call with these headers.
    ///
    /// # Errors
    ///
    /// For a timeout that is none.
    pub(super) fn new(
        app: &AppState,
        (method, headers): (Method, &HeaderMap),
        (key, caller): (Option<Key>, Caller),
    ) -> Result<Self, Status> {
        let patience = timeout(headers)?.and_then(|timeout| Instant::now().checked_add(timeout));
        let arrival = arrival(app, patience);
        Ok(Self { method, arrival, patience, waiting: Arc::default(), key, caller })
    }

    /// The call that a request belongs to.
    pub(super) fn of(extensions: &Extensions) -> Result<Self, Status> {
        let call = extensions.get::<Self>().cloned();
        call.ok_or_else(|| Status::internal(INTERNAL))
    }

    /// Counts a request that begins against its key's quota.
    pub(super) fn take_place(&self) -> Result<Option<Place>, RequestError> {
        Ok(self.key.as_ref().map(Key::take).transpose()?)
    }

    /// Lets a request wait until tonic hands on the empty message in its place.
    pub(super) fn put(&self, received: Received) {
        self.lock().push_back(received);
    }

    /// The request that has waited longest.
    ///
    /// # Errors
    ///
    /// When there is none, which is a bug.
    pub(super) fn take(&self) -> Result<Received, Status> {
        self.lock().pop_front().ok_or_else(|| Status::internal(INTERNAL))
    }

    /// When a message came that has just come.
    pub(super) fn message_arrival(&self, app: &AppState) -> Arrival {
        match self.method {
            // Of the other methods some are streams.
            Method::StreamInfer | Method::Other => arrival(app, self.patience),
            Method::Infer => self.arrival,
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Received>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Method {
    pub(super) fn of(path: &str) -> Self {
        match path {
            INFER => Self::Infer,
            STREAM => Self::StreamInfer,
            _ => Self::Other,
        }
    }
}

fn arrival(app: &AppState, patience: Option<Instant>) -> Arrival {
    let longest = app.deadline(None);
    let deadline = patience.map_or(longest, |patience| patience.min(longest));
    Arrival { at: Instant::now(), deadline }
}

/// The client's timeout: up to eight digits and a unit.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(parse);
    let invalid = || Status::invalid_argument(format!("`{TIMEOUT}` is {value:?}, no timeout"));
    parsed.map(Some).ok_or_else(invalid)
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let good = (1..=DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| good)?;
    match unit {
        "H" => Some(Duration::from_secs(number * 60 * 60)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_has_up_to_eight_digits_and_a_unit() {
        for (text, timeout) in [
            ("1H", Duration::from_hours(1)),
            ("2M", Duration::from_mins(2)),
            ("3S", Duration::from_secs(3)),
            ("4m", Duration::from_millis(4)),
            ("5u", Duration::from_micros(5)),
            ("99999999n", Duration::from_nanos(99_999_999)),
        ] {
            assert_eq!(parse(text), Some(timeout), "{text}");
        }
        for text in ["", "S", "1", "1s", "-1S", "+1S", "1.5S", "100000000S", "1é"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
