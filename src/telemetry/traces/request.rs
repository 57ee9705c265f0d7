//! The span of a request, in its caller's trace or in one of its own.

use http::HeaderMap;
use opentelemetry::trace::SpanContext;
use tracing::Span;

use super::context::{Caller, sampled};

/// What a request is in the traces, where there are any.
pub struct RequestTrace {
    /// Around everything that is done for it.
    pub span: Span,
    /// The caller's trace, or else our own; none where neither is kept.
    pub trace_id: Option<String>,
    identity: Option<SpanContext>,
}

impl RequestTrace {
    /// A request that is watched by nobody.
    #[must_use]
    pub fn none() -> Self {
        Self { span: Span::none(), trace_id: None, identity: None }
    }

    /// Begins with the request, as the caller's child where it has said so.
    #[must_use]
    pub fn begin(span: Span, caller: Option<Caller>) -> Self {
        let theirs = caller.as_ref().map(Caller::trace_id);
        if let Some(caller) = caller {
            caller.adopt(&span);
        }
        let identity = sampled(&span);
        let own = identity.as_ref().map(|identity| identity.trace_id().to_string());
        Self { span, trace_id: theirs.or(own), identity }
    }

    /// Ends with what came of the request: the error that it was answered with, and whether that is
    /// the service's; a client's mistake is none of it.
    pub fn finish(&self, error: Option<&str>, is_our_fault: bool) {
        if let Some(error) = error {
            self.span.record("error.type", error);
        }
        if is_our_fault {
            self.span.record("otel.status_code", "ERROR");
        }
    }

    /// The span's name for the client, in the form of `traceparent`; only where it is kept.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        let identity = self.identity.as_ref()?;
        Some(format!("00-{}-{}-01", identity.trace_id(), identity.span_id()))
    }
}

/// Says in the request's span, which is the present one, what is asked of whom.
pub fn describe(model: &str, images: usize) {
    let span = Span::current();
    span.record("model", model);
    span.record("images", i64::try_from(images).unwrap_or(i64::MAX));
}

impl Caller {
    /// What a request's headers say of its caller's trace.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let parent = headers.get("traceparent")?.to_str().ok()?;
        let states = headers.get_all("tracestate").iter();
        let states: Vec<&str> = states.filter_map(|state| state.to_str().ok()).collect();
        Self::read(parent, states.join(","))
    }
}
