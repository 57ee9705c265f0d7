//! Which gRPC status a cause has, and which HTTP status stands for that in the metrics.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::batching::Rejection;
use crate::memory::Charge;
use crate::pipeline::ClassifyError;
use crate::serving::{self, AppState, RequestError};
use crate::telemetry::metrics::Reason;

/// The trailer by which gRPC's own retries know when to come back, in milliseconds.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// What is said of a bug.
pub(super) const INTERNAL: &str = "an internal error";

/// The answer to a request that has none.
pub(super) fn status(error: &RequestError) -> Status {
    let words = serving::shown(error);
    match error.retry_after() {
        Some(wait) => come_back(code(error), words, wait),
        None => Status::new(code(error), words),
    }
}

/// Charges `bytes` more for what a message becomes.
///
/// # Errors
///
/// As [`no_room`], where they are not there.
pub(super) fn grow(app: &AppState, charge: &mut Charge, bytes: u64) -> Result<(), Status> {
    charge.grow(bytes).map_err(|needed| no_room(app, needed))
}

/// The refusal of what takes `needed` bytes, which are not there. Which model it is for may not be
/// known yet; all of them share the memory.
pub(super) fn no_room(app: &AppState, needed: u64) -> Status {
    let refused = app.models.get(None).map(|model| model.pipeline.no_room(needed));
    let error = refused.map(RequestError::from);
    error.map_or_else(|| Status::resource_exhausted("out of memory"), |error| status(&error))
}

/// The one place that decides them.
fn code(error: &RequestError) -> Code {
    match error {
        RequestError::Invalid(_) => Code::InvalidArgument,
        RequestError::UnknownModel { .. } | RequestError::UnknownVersion { .. } => Code::NotFound,
        RequestError::Unauthorized(_) => Code::Unauthenticated,
        RequestError::RateLimited(_) => Code::ResourceExhausted,
        RequestError::Image(cause) | RequestError::OneOfSeveral { cause, .. } => match cause {
            ClassifyError::Image(_) => Code::InvalidArgument,
            // Clients try another instance by themselves where this one is unavailable.
            ClassifyError::Rejected(Rejection {
                reason: Reason::Draining | Reason::NoWorker,
                ..
            }) => Code::Unavailable,
            ClassifyError::Rejected(_) => Code::ResourceExhausted,
            ClassifyError::TooLarge { .. } => Code::OutOfRange,
            ClassifyError::Expired => Code::DeadlineExceeded,
            ClassifyError::Failed(_) => Code::Internal,
        },
    }
}

/// Says when to come back, to people's code and to gRPC's own.
fn come_back(code: Code, words: String, wait: Duration) -> Status {
    let details = ErrorDetails::with_retry_info(Some(wait));
    let mut status = Status::with_error_details(code, words, details);
    if let Ok(milliseconds) = wait.as_millis().to_string().parse() {
        status.metadata_mut().insert(PUSHBACK, milliseconds);
    }
    status
}

/// What a request would have been answered over HTTP, so that one alert serves both doors.
pub(super) fn http_status(code: Code) -> u16 {
    match code {
        Code::Ok => 200,
        Code::InvalidArgument | Code::FailedPrecondition => 400,
        Code::Unauthenticated => 401,
        Code::PermissionDenied => 403,
        Code::NotFound => 404,
        Code::OutOfRange => 413,
        Code::Cancelled => 499,
        Code::Unimplemented => 501,
        Code::ResourceExhausted | Code::Unavailable => 503,
        Code::DeadlineExceeded => 504,
        _ => 500,
    }
}
