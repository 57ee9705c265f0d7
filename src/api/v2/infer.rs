//! `POST /v2/models/{name}/infer`

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;
use tracing::{Instrument as _, info_span};

use super::{ModelPath, ProtocolError, named};
use crate::api::body::{Purpose, Received, unless_refused};
use crate::api::error::ApiError;
use crate::protocol::body::{self, Written};
use crate::protocol::json;
use crate::protocol::message::InferResponse;
use crate::protocol::{self, Arrival, Prepared};
use crate::serving::{App, ServedModel};
use crate::telemetry::metrics::Stage;
use crate::telemetry::stages::StageTimes;
use crate::telemetry::traces::request;

/// Bytes of the JSON in front of binary data.
const HEAD_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// Runs a model on encoded pictures, or on its own input.
#[utoipa::path(
    post,
    path = "/v2/models/{name}/infer",
    tag = "v2",
    operation_id = "v2_infer",
    params(
        ("name" = String, Path, description = "The model"),
        ("Inference-Header-Content-Length" = Option<usize>, Header,
            description = "Bytes of the JSON, where binary data follows it; 0 for a body that is one picture"),
    ),
    request_body(
        description = "JSON, with the tensors in it or as binary data behind it. It may be compressed \
            (`Content-Encoding: gzip` or `deflate`).",
        content((json::Request = "application/json"), (String = "application/octet-stream")),
    ),
    responses(
        (status = 200, description = "The outputs, in JSON or as binary data behind it",
            content((json::Response = "application/json"), (String = "application/octet-stream")),
            headers(("Inference-Header-Content-Length" = usize, description = "Bytes of the JSON, where binary data follows it"))),
        (status = 400, description = "A bad body, or one that does not fit the model", body = ProtocolError),
        (status = 404, description = "No such model or version", body = ProtocolError),
        (status = 408, description = "The body did not arrive in time", body = ProtocolError),
        (status = 413, description = "The body is too large", body = ProtocolError),
        (status = 415, description = "The body is compressed in a way that is not known", body = ProtocolError),
        (status = 422, description = "A picture cannot be decoded, or is too large", body = ProtocolError),
        (status = 500, description = "Inference failed", body = ProtocolError),
        (status = 503, description = "The service is overloaded or shutting down", body = ProtocolError,
            headers(("Retry-After" = u32, description = "Seconds until the backlog will have drained"))),
        (status = 504, description = "The deadline has passed", body = ProtocolError),
    ),
)]
pub(in crate::api) async fn infer(
    (State(app), Extension(times)): (State<App>, Extension<StageTimes>),
    path: Result<Path<ModelPath>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let arrival = Arrival { at: Instant::now(), deadline: app.deadline(None) };
    let (model, body) = unless_refused(named(&app, path), (&headers, body)).await?;
    let (pipeline, deadline) = (&model.pipeline, arrival.deadline);
    let purpose = Purpose { app: &app, pipeline, deadline, times: &times };
    let (received, head) = purpose.read((&headers, body), head_length).await?;
    let prepared = prepare(&model, (received, head), purpose).await?.timed(times.clone());
    request::describe(model.name(), prepared.images());
    let response = protocol::run(&model, prepared, arrival).await?;
    let responding = times.begin(Stage::Respond);
    let response = respond(response, purpose).instrument(info_span!("respond")).await?;
    app.metrics.observe_stage(Stage::Respond, responding.elapsed());
    Ok(response)
}

fn head_length(headers: &HeaderMap) -> Result<Option<usize>, ApiError> {
    let Some(value) = headers.get(HEAD_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let invalid = || ApiError::InvalidRequest(format!("`{HEAD_LENGTH}` is {value:?}, no length"));
    length.map(Some).ok_or_else(invalid)
}

/// Takes the body apart on the pool; what that needs is charged before.
async fn prepare(
    model: &Arc<ServedModel>,
    (received, head): (Received, Option<usize>),
    purpose: Purpose<'_>,
) -> Result<Prepared, ApiError> {
    let Received { bytes, mut charge } = received;
    purpose.pipeline.grow(&mut charge, body::peak_bytes(&bytes, head))?;
    let model = Arc::clone(model);
    let work = move || {
        let request = body::parse(&bytes, head)?;
        Ok(Prepared::new(&model, request, (bytes.len(), charge))?)
    };
    purpose.compute(work).await
}

async fn respond(response: InferResponse, purpose: Purpose<'_>) -> Result<Response, ApiError> {
    let charge = Arc::clone(&response.charge);
    let written = if response.is_large() {
        purpose.compute(move || Ok(body::write(&response))).await?
    } else {
        body::write(&response)
    };
    let Written { bytes, head } = written;
    let kind = if head.is_some() { "application/octet-stream" } else { "application/json" };
    let kind = [(CONTENT_TYPE, HeaderValue::from_static(kind))];
    let head = head.map(|length| [(HEAD_LENGTH, HeaderValue::from(length))]);
    Ok((kind, head, charge.hold(bytes.into())).into_response())
}
