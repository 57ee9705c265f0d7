//! Which status and code a cause has, and the problem document (RFC 9457) that says so.

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

use super::v2::ProtocolError;
use crate::batching::Rejection;
use crate::keys::Refused;
use crate::pipeline::ClassifyError;
use crate::preprocess::ImageError;
use crate::reloading::ReloadError;
use crate::serving::{self, RequestError};
use crate::telemetry::metrics::Reason;

/// Status, code and title.
type Kind = (StatusCode, &'static str, &'static str);

const INVALID_REQUEST: Kind =
    (StatusCode::BAD_REQUEST, "invalid_request", "The request is invalid");
const TOO_LARGE: Kind =
    (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "The body is too large");
const NOT_FOUND: Kind = (StatusCode::NOT_FOUND, "not_found", "There is no such thing");

/// Everything that a request can be refused or fail with.
#[derive(Clone, Debug, Error)]
pub enum ApiError {
    /// A bad parameter, bad JSON, or no image in the request.
    #[error("{0}")]
    InvalidRequest(String),
    /// No such path.
    #[error("there is nothing at `{0}`")]
    NotFound(String),
    /// The path is there, but not for this method.
    #[error("`{0}` is not allowed here")]
    MethodNotAllowed(String),
    /// A body over the limit, declared or found.
    #[error("the body is larger than the {0} bytes that are taken")]
    PayloadTooLarge(usize),
    /// A content type that is not taken.
    #[error("`{0}` is not taken; send an image, `multipart/form-data` or `application/json`")]
    UnsupportedMediaType(String),
    /// A compression that is not known.
    #[error("the content encoding `{0}` is not taken; `gzip` and `deflate` are")]
    UnsupportedEncoding(String),
    /// What every door may answer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A client that was too slow in sending.
    #[error("the body did not arrive before the deadline")]
    BodyTimeout,
    /// A client that did not send what it announced.
    #[error("the body ended early: {0}")]
    BodyIncomplete(String),
    /// Models that serve as before.
    #[error(transparent)]
    Reload(#[from] ReloadError),
    /// A bug.
    #[error("an internal error")]
    Internal,
}

/// A problem document, as RFC 9457 has it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// A URI that identifies the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "urn:resnet-serve:problem:undecodable_image")]
    kind: String,
    /// The kind of problem in words.
    #[schema(example = "The image cannot be decoded")]
    pub(super) title: &'static str,
    /// The HTTP status.
    #[schema(example = 422)]
    status: u16,
    /// What happened this time.
    detail: String,
    /// The kind of problem as a word for programs.
    #[schema(example = "undecodable_image")]
    pub(super) code: &'static str,
    /// The request, as in the log; none of a command.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = true)]
    request_id: String,
}

/// How an error is written down.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// As a problem document.
    Problem,
    /// As the Open Inference Protocol has it.
    Protocol,
}

impl Form {
    /// The form that those who ask for a path expect.
    pub(super) fn of(path: &str) -> Self {
        let rest = path.strip_prefix("/v2");
        let protocol = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if protocol { Self::Protocol } else { Self::Problem }
    }
}

impl ApiError {
    /// The one place that decides them.
    fn kind(&self) -> Kind {
        match self {
            Self::InvalidRequest(_) | Self::BodyIncomplete(_) => INVALID_REQUEST,
            Self::NotFound(_) | Self::Reload(ReloadError::Unknown { .. }) => NOT_FOUND,
            Self::MethodNotAllowed(_) => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "The method is not allowed")
            }
            Self::BodyTimeout => {
                (StatusCode::REQUEST_TIMEOUT, "request_timeout", "The body came too slowly")
            }
            Self::PayloadTooLarge(_) => TOO_LARGE,
            Self::UnsupportedMediaType(_) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The content type is not taken",
            ),
            Self::UnsupportedEncoding(_) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The content encoding is not taken",
            ),
            Self::Request(error) => request_kind(error),
            Self::Reload(ReloadError::NotServing(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "not_serving", "The service does not serve")
            }
            Self::Reload(ReloadError::Failed { .. }) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "reload_failed",
                "A model was not loaded; the old one serves",
            ),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "An internal error"),
        }
    }

    /// The document for one request.
    #[must_use]
    pub fn problem(&self, request_id: &str) -> Problem {
        let (status, code, title) = self.kind();
        Problem {
            kind: format!("urn:resnet-serve:problem:{code}"),
            title,
            status: status.as_u16(),
            detail: self.detail(),
            code,
            request_id: request_id.to_owned(),
        }
    }

    /// What happened, fit for an answer and a line of the log whatever the client has sent.
    #[must_use]
    pub fn detail(&self) -> String {
        serving::shown(self)
    }

    /// The kind of problem as a word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.kind().1
    }

    /// Whether something is broken here, and not the request or the load too high.
    #[must_use]
    pub fn is_our_fault(&self) -> bool {
        self.status() == StatusCode::INTERNAL_SERVER_ERROR
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind().0
    }

    /// When to come back, where that will help.
    fn retry_after(&self) -> Option<Duration> {
        let Self::Request(error) = self else { return None };
        error.retry_after()
    }

    /// How to ask, as RFC 6750 has it.
    fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::Request(RequestError::Unauthorized(Refused::Missing)) => {
                Some("Bearer realm=\"resnet-serve\"")
            }
            Self::Request(RequestError::Unauthorized(Refused::Unknown)) => {
                Some("Bearer realm=\"resnet-serve\", error=\"invalid_token\"")
            }
            _ => None,
        }
    }

    /// The whole answer.
    pub(super) fn render(&self, form: Form, request_id: &str) -> Response {
        let (kind, body) = match form {
            Form::Problem => {
                ("application/problem+json", serde_json::to_string(&self.problem(request_id)))
            }
            Form::Protocol => {
                ("application/json", serde_json::to_string(&ProtocolError { error: self.detail() }))
            }
        };
        let (kind, body) = (HeaderValue::from_static(kind), body.unwrap_or_default());
        let mut response = (self.status(), [(CONTENT_TYPE, kind)], body).into_response();
        if let Some(wait) = self.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds(wait)));
        }
        if matches!(self, Self::UnsupportedEncoding(_)) {
            let taken = HeaderValue::from_static("gzip, deflate");
            response.headers_mut().insert(ACCEPT_ENCODING, taken);
        }
        if let Some(challenge) = self.challenge() {
            let challenge = HeaderValue::from_static(challenge);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// Whole seconds, rounded up and never "at once".
fn seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

fn request_kind(error: &RequestError) -> Kind {
    match error {
        RequestError::Invalid(_) => INVALID_REQUEST,
        RequestError::UnknownModel { .. } | RequestError::UnknownVersion { .. } => NOT_FOUND,
        RequestError::Unauthorized(_) => {
            (StatusCode::UNAUTHORIZED, "unauthorized", "An API key is needed")
        }
        RequestError::RateLimited(_) => {
            (StatusCode::TOO_MANY_REQUESTS, "rate_limited", "The API key has asked too much")
        }
        RequestError::Image(cause) | RequestError::OneOfSeveral { cause, .. } => {
            classify_kind(cause)
        }
    }
}

fn classify_kind(error: &ClassifyError) -> Kind {
    match error {
        ClassifyError::Image(
            ImageError::TooLarge { .. } | ImageError::TooLargeForMemory { .. },
        ) => (StatusCode::UNPROCESSABLE_ENTITY, "image_too_large", "The image has too many pixels"),
        ClassifyError::Image(_) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "undecodable_image", "The image cannot be decoded")
        }
        ClassifyError::Rejected(Rejection { reason: Reason::Draining, .. }) => {
            (StatusCode::SERVICE_UNAVAILABLE, "draining", "The service is shutting down")
        }
        ClassifyError::Rejected(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "overloaded", "The service is overloaded")
        }
        ClassifyError::TooLarge { .. } => TOO_LARGE,
        ClassifyError::Expired => {
            (StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded", "The deadline has passed")
        }
        ClassifyError::Failed(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "inference_failed", "Inference failed")
        }
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        let said = rejection.body_text();
        let cause = said.rsplit("query string: ").next().unwrap_or_default();
        let cause = cause.replace(" field `", " parameter `");
        Self::InvalidRequest(format!("the query cannot be read: {cause}"))
    }
}

impl From<ClassifyError> for ApiError {
    fn from(error: ClassifyError) -> Self {
        Self::Request(error.into())
    }
}

impl From<Rejection> for ApiError {
    fn from(rejection: Rejection) -> Self {
        Self::Request(rejection.into())
    }
}

/// The error travels with the response to `observe`, which knows the request's id, writes its document
/// and tells of it.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Keeps the `Allow` header that axum has set, while the body becomes a problem document.
pub(super) fn keep_allow(from: &Response, to: &mut Response) {
    if let Some(allow) = from.headers().get(ALLOW) {
        to.headers_mut().insert(ALLOW, allow.clone());
    }
}
