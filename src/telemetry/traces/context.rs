//! A request's place in its caller's trace, and what ties spans of different traces.

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// W3C's two headers, the lines of the second as one.
struct Carrier<'a> {
    parent: &'a str,
    state: String,
}

/// What a caller says of its trace.
#[derive(Clone, Debug)]
pub struct Caller {
    context: Context,
}

impl Caller {
    /// Reads `traceparent` and `tracestate`; `None` where they are not of W3C's form.
    pub(super) fn read(parent: &str, state: String) -> Option<Self> {
        let context = TraceContextPropagator::new().extract(&Carrier { parent, state });
        let valid = context.span().span_context().is_valid();
        valid.then_some(Self { context })
    }

    /// The trace's id, in 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        self.context.span().span_context().trace_id().to_string()
    }

    /// Makes a span the caller's child; only before it has children of its own.
    pub fn adopt(self, span: &Span) {
        // Where no traces are sent the span is none, and there is nothing to adopt.
        let _ = span.set_parent(self.context);
    }
}

/// The identity of a span that is traced; `None` for all others.
#[must_use]
pub fn sampled(span: &Span) -> Option<SpanContext> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context().span().span_context().clone();
    context.is_sampled().then_some(context)
}

/// Ties a span to one of another trace.
pub fn link(span: &Span, other: &SpanContext) {
    span.add_link(other.clone());
}

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => Some(self.parent),
            "tracestate" => Some(&self.state),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parent: &str) -> Option<String> {
        let caller = Caller::read(parent, String::new());
        caller.map(|caller| caller.trace_id())
    }

    #[test]
    fn a_traceparent_names_its_trace() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(read(parent).as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
    }

    #[test]
    fn what_is_no_traceparent_is_passed_over() {
        for parent in [
            "",
            "nonsense",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(read(parent), None, "{parent}");
        }
    }
}
