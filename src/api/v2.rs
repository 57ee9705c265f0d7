//! The Open Inference Protocol over HTTP.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::ApiError;
use crate::serving::{App, AppState, ServedModel};

pub(super) mod infer;
pub(super) mod state;

/// What probes ask.
pub(super) fn probes() -> Router<App> {
    Router::new()
        .route("/v2/health/live", get(state::live))
        .route("/v2/health/ready", get(state::ready))
}

/// Every other path, of which those of a model come with and without its version.
pub(super) fn routes() -> Router<App> {
    ["/v2/models/{name}", "/v2/models/{name}/versions/{version}"].into_iter().fold(
        Router::new().route("/v2", get(state::server)),
        |routes, model| {
            routes
                .route(model, get(state::model))
                .route(&format!("{model}/ready"), get(state::model_ready))
                .route(&format!("{model}/config"), get(state::model_config))
                .route(&format!("{model}/infer"), post(infer::infer))
        },
    )
}

/// The protocol's own form of an error.
#[derive(Serialize, ToSchema)]
pub(super) struct ProtocolError {
    /// What happened.
    #[schema(example = "no model `resnet51` is served; there is `resnet50`")]
    pub(super) error: String,
}

/// The model in a path.
#[derive(Deserialize)]
pub(super) struct ModelPath {
    name: String,
    version: Option<String>,
}

/// Finds the model that a path names.
fn named(
    app: &AppState,
    path: Result<Path<ModelPath>, PathRejection>,
) -> Result<Arc<ServedModel>, ApiError> {
    let Path(path) = path.map_err(|cause| ApiError::InvalidRequest(cause.body_text()))?;
    Ok(app.version(&path.name, path.version.as_deref())?)
}
