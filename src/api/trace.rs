//! The span of a request by HTTP.

use axum::extract::Request;
use axum::http::Method;
use tracing::field::Empty;
use tracing::info_span;

use super::error::ApiError;
use crate::telemetry::traces::context::Caller;
use crate::telemetry::traces::request::RequestTrace;

/// Begins with the request.
pub(super) fn begin(request: &Request, (route, id): (&str, &str)) -> RequestTrace {
    let method = method(request.method());
    let span = info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        error.r#type = Empty,
        request.id = id,
        model = Empty,
        images = Empty,
    );
    RequestTrace::begin(span, Caller::of(request.headers()))
}

/// Ends with what came of the request.
pub(super) fn finish(trace: &RequestTrace, status: u16, error: Option<&ApiError>) {
    trace.span.record("http.response.status_code", i64::from(status));
    trace.finish(error.map(ApiError::code), status >= 500);
}

/// The method, or OpenTelemetry's word for one that nobody knows: a client may make up any.
pub(super) fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::PATCH => "PATCH",
        Method::TRACE => "TRACE",
        _ => "_OTHER",
    }
}
