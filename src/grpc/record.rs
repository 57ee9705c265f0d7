//! What every call and every message of a stream leaves behind: a log line and its metrics.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::status::{http_status, status};
use super::{methods, trace};
use crate::keys::Name;
use crate::serving::{REQUEST_ID, RequestError, RequestId, shown};
use crate::telemetry::traces::context;
use crate::telemetry::traces::request::RequestTrace;
use crate::telemetry::{self, metrics::Metrics};

/// What the log and the metrics say of a key that has asked too much, as over HTTP.
const TOO_MANY_REQUESTS: u16 = 429;

/// What they say where the service has done something wrong.
const OUR_FAULT: u16 = 500;

/// What is known of a call's client and of what it asks for. Clones are the same call's.
#[derive(Clone)]
pub(super) struct Caller {
    metrics: Arc<Metrics>,
    /// The call's name, also in the answer's headers.
    request_id: RequestId,
    route: &'static str,
    /// What it says of its trace.
    parent: Option<context::Caller>,
    /// Whose it is, once that is known.
    pub(super) key: Option<Name>,
    /// Cancelled when the client breaks off its upload: then nothing is answered any more.
    pub(super) gone: CancellationToken,
}

/// What is written down.
enum Subject {
    /// A call that is a request.
    Call,
    /// A call of many messages. Its life is no request's duration, and it counts only where it fails.
    Stream,
    /// A request that is one message of a stream, with the name that its client gives it.
    Message(String),
}

/// A request or a stream, written down when it ends, by an answer or by the client's going away.
pub(super) struct Record {
    pub(super) caller: Caller,
    subject: Subject,
    /// A stream has none: it may last for days, and its messages have theirs.
    pub(super) trace: RequestTrace,
    /// Whether its key has asked too much: not the service's load, though gRPC has one status for both.
    over_quota: bool,
    started: Instant,
    status: Status,
}

impl Record {
    /// Of a call that begins.
    pub(super) fn begin(path: &str, headers: &HeaderMap, metrics: Arc<Metrics>) -> Self {
        let route = methods::known(path).unwrap_or("unmatched");
        let caller = Caller {
            metrics,
            request_id: RequestId::of(headers),
            route,
            parent: context::Caller::of(headers),
            key: None,
            gone: CancellationToken::new(),
        };
        let subject = if methods::is_stream(route) { Subject::Stream } else { Subject::Call };
        Self::of(caller, subject, Instant::now())
    }

    /// Of a message that came then, under the name that its client gives it.
    pub(super) fn message(caller: Caller, id: &str, came: Instant) -> Self {
        Self::of(caller, Subject::Message(shown(&id)), came)
    }

    fn of(caller: Caller, subject: Subject, started: Instant) -> Self {
        let status = Status::cancelled("the client went away");
        let trace = match subject {
            Subject::Stream => RequestTrace::none(),
            Subject::Call | Subject::Message(_) => {
                trace::begin(caller.route, caller.request_id.as_str(), caller.parent.clone())
            }
        };
        Self { caller, subject, trace, over_quota: false, started, status }
    }

    /// Takes down how the call ends, where these headers or trailers say so.
    pub(super) fn note(&mut self, headers: &HeaderMap) -> bool {
        let status = Status::from_header_map(headers);
        let ends = status.is_some();
        if !self.caller.gone.is_cancelled() {
            self.status = status.unwrap_or_else(|| self.status.clone());
        }
        ends
    }

    /// Takes down what the request is answered.
    pub(super) fn answered(&mut self, answer: Result<(), &RequestError>) {
        if self.caller.gone.is_cancelled() {
            return;
        }
        self.over_quota = matches!(answer, Err(RequestError::RateLimited(_)));
        self.status = answer.map_or_else(status, |()| Status::ok(""));
    }

    /// Puts the call's name into the answer.
    pub(super) fn name(&self, headers: &mut HeaderMap) {
        if let Ok(id) = self.caller.request_id.as_str().parse() {
            headers.insert(REQUEST_ID, id);
        }
    }

    /// Whether it is one of the requests. A stream is unavailable only because its listener stops,
    /// which has refused nobody.
    fn counts(&self) -> bool {
        let went_well = matches!(self.status.code(), Code::Ok | Code::Unavailable);
        !(went_well && matches!(self.subject, Subject::Stream))
    }

    fn http_status(&self) -> u16 {
        if self.over_quota { TOO_MANY_REQUESTS } else { http_status(self.status.code()) }
    }

    /// Writes the one line: what the service has done wrong is an error, as over HTTP.
    fn log(&self, took: Duration) {
        let Caller { request_id, route, key, .. } = &self.caller;
        let (code, status) = (self.status.code(), self.http_status());
        let (what, message_id) = match &self.subject {
            Subject::Call => ("request", None),
            Subject::Stream => ("stream", None),
            Subject::Message(id) => ("request", Some(id.as_str()).filter(|id| !id.is_empty())),
        };
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    request_id = request_id.as_str(),
                    trace_id = self.trace.trace_id,
                    message_id,
                    route,
                    status,
                    grpc_status = ?code,
                    key = key.as_ref().map(Name::as_str),
                    milliseconds = telemetry::milliseconds(took),
                    error = (code != Code::Ok).then(|| self.status.message()),
                    "{what}"
                )
            };
        }
        if status == OUR_FAULT { line!(error) } else { line!(info) }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        let Caller { metrics, route, key, .. } = &self.caller;
        if self.counts() {
            let key = key.as_ref().map(Name::as_str);
            metrics.count_request((route, self.http_status()), key);
        }
        if !matches!(self.subject, Subject::Stream) {
            metrics.request_duration.with_label_values(&[route]).observe(took.as_secs_f64());
        }
        trace::finish(&self.trace, self.status.code(), self.http_status() >= OUR_FAULT);
        self.log(took);
    }
}
