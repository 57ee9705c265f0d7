//! What is known of a call before its message is there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;
use tonic::{Extensions, Status};

use crate::keys::{Key, Place};
use crate::memory::Charge;
use crate::protocol::Arrival;
use crate::serving::{AppState, RequestError};

/// The header in which a client says how long it waits.
const TIMEOUT: &str = "grpc-timeout";

/// Digits of a timeout, by the protocol.
const DIGITS: usize = 8;

/// One call. Clones are the same call.
#[derive(Clone)]
pub(super) struct Call {
    /// When its first message began to come.
    pub(super) arrival: Arrival,
    /// When its client stops waiting, where it says so.
    patience: Option<Instant>,
    charge: Arc<Mutex<Charge>>,
    /// Whose it is, where keys are asked for.
    key: Option<Key>,
}

impl Call {
    /// A call with these headers; what comes of its body will be charged.
    ///
    /// # Errors
    ///
    /// For a timeout that is none.
    pub(super) fn new(
        app: &AppState,
        headers: &HeaderMap,
        (charge, key): (Charge, Option<Key>),
    ) -> Result<Self, Status> {
        let patience = timeout(headers)?.and_then(|timeout| Instant::now().checked_add(timeout));
        let arrival = arrival(app, patience);
        Ok(Self { arrival, patience, charge: Arc::new(Mutex::new(charge)), key })
    }

    /// The call that a request belongs to.
    pub(super) fn of(extensions: &Extensions) -> Result<Self, Status> {
        let call = extensions.get::<Self>().cloned();
        call.ok_or_else(|| Status::internal("an internal error"))
    }

    /// Counts a request that begins against its key's quota.
    pub(super) fn take_place(&self) -> Result<Option<Place>, RequestError> {
        Ok(self.key.as_ref().map(Key::take).transpose()?)
    }

    /// Charges a part of the body that has come.
    #[must_use]
    pub(super) fn grow(&self, bytes: usize) -> bool {
        self.lock().grow(bytes as u64)
    }

    /// What was charged so far, for the message that it belongs to.
    pub(super) fn take_charge(&self) -> Charge {
        self.lock().take()
    }

    /// When one of its messages came that has just come.
    pub(super) fn message_arrival(&self, app: &AppState) -> Arrival {
        arrival(app, self.patience)
    }

    fn lock(&self) -> MutexGuard<'_, Charge> {
        self.charge.lock().unwrap_or_else(PoisonError::into_inner)
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
