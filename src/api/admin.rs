//! The admin listener: probes, metrics, the log's level.

use axum::extract::State;
use axum::extract::rejection::StringRejection;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, put};
use axum::{Json, Router};
use serde_json::json;

use super::AdminState;
use super::error::ApiError;
use super::router;
use crate::readiness;

/// Everything that the public listener does not expose.
pub fn router(state: AdminState) -> Router {
    let routes = Router::new()
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/log-level", put(log_level))
        .with_state(state.clone());
    router::finish(routes, state.metrics)
}

async fn live() -> impl IntoResponse {
    Json(json!({"status": "live"}))
}

async fn ready(State(admin): State<AdminState>) -> impl IntoResponse {
    let state = admin.readiness.state();
    let status = match state {
        readiness::State::Ready => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(json!({"status": state.as_str()})))
}

async fn metrics(State(admin): State<AdminState>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], admin.metrics.render())
}

/// The body is a level, as in `debug`, or directives, as in `warn,resnet_serve=debug`.
async fn log_level(
    State(admin): State<AdminState>,
    directives: Result<String, StringRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let unread = |cause: StringRejection| ApiError::InvalidRequest(cause.body_text());
    let directives = directives.map_err(unread)?;
    let invalid =
        |cause: crate::telemetry::logs::LogLevelError| ApiError::InvalidRequest(cause.to_string());
    admin.log_level.set(directives.trim()).map_err(invalid)?;
    tracing::warn!(level = directives.trim(), "the log level was changed");
    Ok(Json(json!({"log_level": directives.trim()})))
}
