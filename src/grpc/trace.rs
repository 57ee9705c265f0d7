//! The span of a request by gRPC.

use tonic::Code;
use tracing::field::Empty;
use tracing::info_span;

use crate::telemetry::traces::context::Caller;
use crate::telemetry::traces::request::RequestTrace;

/// Begins with a request to the method of that path.
pub(super) fn begin(route: &str, id: &str, caller: Option<Caller>) -> RequestTrace {
    let full = route.trim_start_matches('/');
    let (service, method) = full.rsplit_once('/').unwrap_or_default();
    let span = info_span!(
        "request",
        otel.name = full,
        otel.kind = "server",
        otel.status_code = Empty,
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = Empty,
        error.r#type = Empty,
        request.id = id,
        model = Empty,
        images = Empty,
    );
    RequestTrace::begin(span, caller)
}

/// Ends with what came of the request; `our_fault` where a client can do nothing about it.
pub(super) fn finish(trace: &RequestTrace, code: Code, our_fault: bool) {
    trace.span.record("rpc.grpc.status_code", i64::from(code as i32));
    let error = (code != Code::Ok).then(|| format!("{code:?}"));
    trace.finish(error.as_deref(), our_fault);
}
