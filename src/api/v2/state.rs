//! What the server and its models are, and whether they are ready.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ModelPath, ProtocolError, named};
use crate::api::error::ApiError;
use crate::protocol::config::ModelConfig;
use crate::protocol::metadata::{ModelMetadata, ServerMetadata};
use crate::serving::App;

/// Whether the server lives.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Live {
    live: bool,
}

/// Whether the server takes requests.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Ready {
    ready: bool,
}

/// Whether a model takes requests.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct ModelReady {
    #[schema(example = "resnet50")]
    name: String,
    ready: bool,
}

/// Says what the server is.
#[utoipa::path(
    get,
    path = "/v2",
    tag = "v2",
    operation_id = "v2_server",
    responses((status = 200, description = "The server", body = ServerMetadata)),
)]
pub(in crate::api) async fn server() -> Json<ServerMetadata> {
    Json(ServerMetadata::new())
}

/// Says whether the server lives.
#[utoipa::path(
    get,
    path = "/v2/health/live",
    tag = "v2",
    operation_id = "v2_live",
    responses(
        (status = 200, description = "It does", body = Live),
        (status = 503, description = "It hangs", body = Live),
    ),
)]
pub(in crate::api) async fn live(State(app): State<App>) -> (StatusCode, Json<Live>) {
    let live = app.vitals.hangs().is_none();
    (status(live), Json(Live { live }))
}

/// Says whether the server takes requests.
#[utoipa::path(
    get,
    path = "/v2/health/ready",
    tag = "v2",
    operation_id = "v2_ready",
    responses(
        (status = 200, description = "It does", body = Ready),
        (status = 503, description = "It does not, or not for every model", body = Ready),
    ),
)]
pub(in crate::api) async fn ready(State(app): State<App>) -> (StatusCode, Json<Ready>) {
    let ready = app.is_ready();
    (status(ready), Json(Ready { ready }))
}

/// Says what a model takes and gives.
#[utoipa::path(
    get,
    path = "/v2/models/{name}",
    tag = "v2",
    operation_id = "v2_model",
    params(("name" = String, Path, description = "The model")),
    responses(
        (status = 200, description = "The model", body = ModelMetadata),
        (status = 400, description = "The path is no text", body = ProtocolError),
        (status = 404, description = "No such model or version", body = ProtocolError),
    ),
)]
pub(in crate::api) async fn model(
    State(app): State<App>,
    path: Result<Path<ModelPath>, PathRejection>,
) -> Result<Json<ModelMetadata>, ApiError> {
    Ok(Json(ModelMetadata::new(&*named(&app, path)?)))
}

/// Says whether a model takes requests.
#[utoipa::path(
    get,
    path = "/v2/models/{name}/ready",
    tag = "v2",
    operation_id = "v2_model_ready",
    params(("name" = String, Path, description = "The model")),
    responses(
        (status = 200, description = "It does", body = ModelReady),
        (status = 400, description = "The path is no text", body = ProtocolError),
        (status = 404, description = "No such model or version", body = ProtocolError),
        (status = 503, description = "It does not", body = ModelReady),
    ),
)]
pub(in crate::api) async fn model_ready(
    State(app): State<App>,
    path: Result<Path<ModelPath>, PathRejection>,
) -> Result<(StatusCode, Json<ModelReady>), ApiError> {
    let model = named(&app, path)?;
    let ready = app.serves(&model);
    Ok((status(ready), Json(ModelReady { name: model.name().to_owned(), ready })))
}

/// Says how a model is configured, as Triton does.
#[utoipa::path(
    get,
    path = "/v2/models/{name}/config",
    tag = "v2",
    operation_id = "v2_model_config",
    params(("name" = String, Path, description = "The model")),
    responses(
        (status = 200, description = "The configuration", body = ModelConfig),
        (status = 400, description = "The path is no text", body = ProtocolError),
        (status = 404, description = "No such model or version", body = ProtocolError),
    ),
)]
pub(in crate::api) async fn model_config(
    State(app): State<App>,
    path: Result<Path<ModelPath>, PathRejection>,
) -> Result<Json<ModelConfig>, ApiError> {
    Ok(Json(ModelConfig::new(&*named(&app, path)?)))
}

fn status(ready: bool) -> StatusCode {
    if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
