//! What every request leaves behind: an id, a log line, its metrics, its timing, its span.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

use super::error::{self, ApiError};
use super::keys::Caller;
use super::trace;
use crate::serving::{REQUEST_ID, RequestId};
use crate::telemetry::metrics::{Metrics, Stage};
use crate::telemetry::traces::request::RequestTrace;
use crate::telemetry::{self, stages::StageTimes};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What the log and the metrics say of a request whose client went away before the answer.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The stages that `Server-Timing` tells.
const TOLD: [Stage; 4] = [Stage::Read, Stage::Decode, Stage::Queue, Stage::Inference];

/// Watches the requests of one listener.
#[derive(Clone)]
pub(super) struct Observer {
    pub(super) metrics: Arc<Metrics>,
    pub(super) door: Door,
}

/// Who comes to a listener.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Door {
    /// Clients, each of whose requests is worth a line and a trace.
    Public,
    /// Probes and scrapes, every few seconds: they are worth a line where they fail.
    Admin,
}

/// Images that failed in a request that was answered for others.
#[derive(Clone, Debug)]
pub(super) struct PartialFailure {
    pub(super) failed: usize,
    /// What happened to the first of them, or to the first by our fault.
    pub(super) error: ApiError,
}

/// Stands around everything that answers.
pub(super) async fn observe(
    State(observer): State<Observer>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId::of(request.headers());
    let mut record = Record::of(&request, &id, observer);
    let times = StageTimes::default();
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(times.clone());
    request.extensions_mut().insert(record.caller.clone());
    let mut response = next.run(request).instrument(record.trace.span.clone()).await;
    record.error = response.extensions_mut().remove();
    record.finish(&response);
    insert(&mut response, REQUEST_ID, id.as_str());
    insert(&mut response, SERVER_TIMING, &record.timing(&times));
    response
}

/// Writes the documents of errors, which stay with the response for [`observe`] to tell of.
pub(super) async fn write_errors(
    Extension(id): Extension<RequestId>,
    request: Request,
    next: Next,
) -> Response {
    let form = error::Form::of(request.uri().path());
    let mut response = next.run(request).await;
    let Some(error) = response.extensions_mut().remove::<ApiError>() else { return response };
    let mut rendered = error.render(form, id.as_str());
    error::keep_allow(&response, &mut rendered);
    rendered.extensions_mut().insert(error);
    rendered
}

/// One request's log line, metrics and span, written when it ends, by an answer or by the client's
/// going away.
struct Record {
    observer: Observer,
    id: RequestId,
    method: &'static str,
    /// The declared path, so that a client cannot make series.
    route: String,
    caller: Caller,
    started: Instant,
    trace: RequestTrace,
    status: u16,
    error: Option<ApiError>,
    /// Images that failed where the answer is for others.
    failed: Option<usize>,
}

impl Record {
    fn of(request: &Request, id: &RequestId, observer: Observer) -> Self {
        let started = Instant::now();
        let route = request.extensions().get::<MatchedPath>();
        let route = route.map_or("unmatched", MatchedPath::as_str);
        let trace = match observer.door {
            Door::Public => trace::begin(request, (route, id.as_str())),
            Door::Admin => RequestTrace::none(),
        };
        Self {
            observer,
            id: id.clone(),
            method: trace::method(request.method()),
            route: route.to_owned(),
            caller: Caller::default(),
            started,
            trace,
            status: CLIENT_CLOSED_REQUEST,
            error: None,
            failed: None,
        }
    }

    fn finish(&mut self, response: &Response) {
        self.status = response.status().as_u16();
        if let Some(PartialFailure { failed, error }) = response.extensions().get() {
            self.failed = Some(*failed);
            self.error = Some(error.clone());
        }
    }

    /// As `Server-Timing` has it: milliseconds, and the span for who wants to find it.
    fn timing(&self, times: &StageTimes) -> String {
        let entry = |name: &str, duration: Duration| {
            format!("{name};dur={}", telemetry::milliseconds(duration))
        };
        let stages = TOLD.iter().map(|stage| entry(stage.as_str(), times.get(*stage)));
        let total = entry("total", self.started.elapsed());
        let trace = self.trace.traceparent().map(|id| format!("traceparent;desc=\"{id}\""));
        stages.chain([total]).chain(trace).collect::<Vec<_>>().join(", ")
    }

    /// Writes the one line of the request: what the service has done wrong is an error.
    fn log(&self, took: Duration) {
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    request_id = self.id.as_str(),
                    trace_id = self.trace.trace_id,
                    method = self.method,
                    route = self.route,
                    status = self.status,
                    key = self.caller.name(),
                    milliseconds = telemetry::milliseconds(took),
                    failed_images = self.failed,
                    error = self.error.as_ref().map(ApiError::detail),
                    "request"
                )
            };
        }
        let wrong = self.error.as_ref().is_some_and(ApiError::is_our_fault);
        match self.observer.door {
            _ if wrong => line!(error),
            Door::Admin if self.status < 400 => line!(debug),
            Door::Admin | Door::Public => line!(info),
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        let metrics = &self.observer.metrics;
        metrics.count_request((&self.route, self.status), self.caller.name());
        metrics.request_duration.with_label_values(&[&self.route]).observe(took.as_secs_f64());
        trace::finish(&self.trace, self.status, self.error.as_ref());
        self.log(took);
    }
}

fn insert(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
