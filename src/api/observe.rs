//! What every request leaves behind: an id, a log line, its metrics, its timing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

use super::error::{self, ApiError};
use crate::pipeline::Durations;
use crate::telemetry::{self, metrics::Metrics};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What the log and the metrics say of a request whose client went away before the answer.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The name of one request.
#[derive(Clone, Debug)]
pub(super) struct RequestId(String);

/// What the stages of one request took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ServerTiming {
    /// Until the body was there.
    pub(super) read: Duration,
    /// The longest of all images, stage by stage.
    pub(super) stages: Durations,
}

/// Stands around every handler.
pub(super) async fn observe(
    State(metrics): State<Arc<Metrics>>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId::of(request.headers());
    let mut record = Record::of(&request, &id, metrics);
    let form = error::Form::of(request.uri().path());
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let mut rendered = error.render(form, id.as_str());
        error::keep_allow(&response, &mut rendered);
        record.error = Some(error);
        response = rendered;
    }
    let timing = response.extensions().get::<ServerTiming>().copied().unwrap_or_default();
    record.finish(&response);
    insert(&mut response, REQUEST_ID, id.as_str());
    insert(&mut response, SERVER_TIMING, &timing.render(record.started.elapsed()));
    response
}

impl RequestId {
    /// The client's own id where it is fit for a log, else a new one.
    fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let fit = |id: &&str| {
            (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
        };
        Self(given.filter(fit).map_or_else(|| Uuid::new_v4().simple().to_string(), str::to_owned))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl ServerTiming {
    /// As the header has it: milliseconds.
    fn render(self, total: Duration) -> String {
        let stages = [
            ("read", self.read),
            ("decode", self.stages.decode),
            ("queue", self.stages.queue),
            ("inference", self.stages.inference),
            ("total", total),
        ];
        let render = |(name, duration): (&str, Duration)| {
            format!("{name};dur={}", telemetry::milliseconds(duration))
        };
        stages.map(render).join(", ")
    }
}

/// One request's log line and metrics, written when it ends, by an answer or by the client's
/// going away.
struct Record {
    metrics: Arc<Metrics>,
    id: RequestId,
    method: Method,
    /// The declared path, so that a client cannot make series.
    route: String,
    started: Instant,
    status: u16,
    error: Option<ApiError>,
}

impl Record {
    fn of(request: &Request, id: &RequestId, metrics: Arc<Metrics>) -> Self {
        let route = request.extensions().get::<MatchedPath>();
        Self {
            metrics,
            id: id.clone(),
            method: request.method().clone(),
            route: route.map_or("unmatched", MatchedPath::as_str).to_owned(),
            started: Instant::now(),
            status: CLIENT_CLOSED_REQUEST,
            error: None,
        }
    }

    fn finish(&mut self, response: &Response) {
        self.status = response.status().as_u16();
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        let labels = [self.route.as_str(), &self.status.to_string()];
        self.metrics.requests.with_label_values(&labels).inc();
        self.metrics.request_duration.with_label_values(&[&self.route]).observe(took.as_secs_f64());
        tracing::info!(
            request_id = self.id.as_str(),
            method = %self.method,
            route = self.route,
            status = self.status,
            milliseconds = telemetry::milliseconds(took),
            error = self.error.as_ref().map(ApiError::detail),
            "request"
        );
    }
}

fn insert(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
