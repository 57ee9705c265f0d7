//! What every call leaves behind: a log line and its metrics.

use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use uuid::Uuid;

use super::status::http_status;
use crate::keys::Name;
use crate::telemetry::{self, metrics::Metrics};

/// The header in which a client names its request.
const REQUEST_ID: &str = "x-request-id";

/// What the log and the metrics say of a key that has asked too much, as over HTTP.
const TOO_MANY_REQUESTS: u16 = 429;

/// Bytes of a name that a client gives.
const LONGEST_ID: usize = 128;

/// The methods that there are, as labels: a client cannot make others.
const ROUTES: [&str; 12] = [
    "/inference.GRPCInferenceService/ServerLive",
    "/inference.GRPCInferenceService/ServerReady",
    "/inference.GRPCInferenceService/ModelReady",
    "/inference.GRPCInferenceService/ServerMetadata",
    "/inference.GRPCInferenceService/ModelMetadata",
    "/inference.GRPCInferenceService/ModelConfig",
    "/inference.GRPCInferenceService/ModelInfer",
    "/inference.GRPCInferenceService/ModelStreamInfer",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// One call, written down when it ends, by an answer or by the client's going away.
pub(super) struct Record {
    metrics: Arc<Metrics>,
    /// The call's name, also in the answer's headers.
    pub(super) request_id: String,
    route: &'static str,
    /// Whose it is, once that is known.
    pub(super) key: Option<Name>,
    /// Whether that key has asked too much: not the service's load, though gRPC has one status for both.
    pub(super) over_quota: bool,
    /// Cancelled when the client breaks off its upload: then nothing is answered any more.
    pub(super) gone: CancellationToken,
    started: Instant,
    status: Status,
}

impl Record {
    pub(super) fn begin(path: &str, headers: &HeaderMap, metrics: Arc<Metrics>) -> Self {
        let route = ROUTES.into_iter().find(|route| *route == path).unwrap_or("unmatched");
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let fit = |id: &&str| {
            (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let made = || Uuid::new_v4().simple().to_string();
        Self {
            metrics,
            request_id: given.filter(fit).map_or_else(made, str::to_owned),
            route,
            key: None,
            over_quota: false,
            gone: CancellationToken::new(),
            started: Instant::now(),
            status: Status::cancelled("the client went away"),
        }
    }

    /// Takes down how the call ends, where these headers or trailers say so.
    pub(super) fn note(&mut self, headers: &HeaderMap) -> bool {
        let status = Status::from_header_map(headers);
        let ends = status.is_some();
        if !self.gone.is_cancelled() {
            self.status = status.unwrap_or_else(|| self.status.clone());
        }
        ends
    }

    /// Puts the call's name into the answer.
    pub(super) fn name(&self, headers: &mut HeaderMap) {
        if let Ok(id) = self.request_id.parse() {
            headers.insert(REQUEST_ID, id);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        let code = self.status.code();
        let status = if self.over_quota { TOO_MANY_REQUESTS } else { http_status(code) };
        let key = self.key.as_ref().map(Name::as_str);
        self.metrics.count_request((self.route, status), key);
        self.metrics.request_duration.with_label_values(&[self.route]).observe(took.as_secs_f64());
        tracing::info!(
            request_id = self.request_id,
            route = self.route,
            status,
            grpc_status = ?code,
            key,
            milliseconds = telemetry::milliseconds(took),
            error = (code != Code::Ok).then(|| self.status.message()),
            "request"
        );
    }
}
