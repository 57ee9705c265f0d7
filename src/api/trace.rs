//! The span of a request, in its caller's trace or in one of its own.

use axum::extract::Request;
use axum::http::{HeaderMap, Method};
use opentelemetry::trace::SpanContext;
use tracing::field::Empty;
use tracing::{Span, info_span};

use super::error::ApiError;
use crate::serving::ServedModel;
use crate::telemetry::traces::context::{Caller, Carrier, sampled};

/// What a request is in the traces, where there are any.
pub(super) struct RequestTrace {
    pub(super) span: Span,
    /// The caller's trace, or else our own; none where neither is kept.
    pub(super) trace_id: Option<String>,
    identity: Option<SpanContext>,
}

impl RequestTrace {
    /// A request that is watched by nobody.
    pub(super) fn none() -> Self {
        Self { span: Span::none(), trace_id: None, identity: None }
    }

    /// Begins with the request, as the caller's child where it has said so.
    pub(super) fn begin(request: &Request, (route, id): (&str, &str)) -> Self {
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
        let caller = caller(request.headers());
        let theirs = caller.as_ref().map(Caller::trace_id);
        if let Some(caller) = caller {
            caller.adopt(&span);
        }
        let identity = sampled(&span);
        let own = identity.as_ref().map(|identity| identity.trace_id().to_string());
        Self { span, trace_id: theirs.or(own), identity }
    }

    /// Ends with what came of the request.
    pub(super) fn finish(&self, status: u16, error: Option<&ApiError>) {
        self.span.record("http.response.status_code", i64::from(status));
        if let Some(error) = error {
            self.span.record("error.type", error.code());
        }
        // A client's mistake is no error of the service.
        if status >= 500 {
            self.span.record("otel.status_code", "ERROR");
        }
    }

    /// The span's name for the client, in the form of `traceparent`; only where it is kept.
    pub(super) fn traceparent(&self) -> Option<String> {
        let identity = self.identity.as_ref()?;
        Some(format!("00-{}-{}-01", identity.trace_id(), identity.span_id()))
    }
}

/// Says in the request's span what is asked of whom.
pub(super) fn describe(model: &ServedModel, images: usize) {
    let span = Span::current();
    span.record("model", model.name());
    span.record("images", i64::try_from(images).unwrap_or(i64::MAX));
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

fn caller(headers: &HeaderMap) -> Option<Caller> {
    let parent = headers.get("traceparent")?.to_str().ok()?;
    let states = headers.get_all("tracestate").iter();
    let states: Vec<&str> = states.filter_map(|state| state.to_str().ok()).collect();
    Caller::read(&Carrier { parent, state: states.join(",") })
}
