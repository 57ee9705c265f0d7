//! The admin listener: probes, metrics, the live view, the log's level, new models.

use axum::extract::rejection::{QueryRejection, StringRejection};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::AdminState;
use super::error::ApiError;
use super::observe::{Door, Observer};
use super::{live as live_view, router};
use crate::reloading::ReloadError;
use crate::telemetry::logs::{Directives, LogLevelError};
use crate::vitals::{Unready, Workers};

/// Everything that the public listener does not expose.
pub fn router(state: AdminState) -> Router {
    let routes = Router::new()
        .route("/", get(live_view::page))
        .route("/assets/{name}", get(live_view::assets))
        .route("/history", get(live_view::history))
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/log-level", get(log_level).put(set_log_level))
        .route("/models/reload", post(reload))
        .with_state(state.clone());
    let observer = Observer { metrics: state.metrics, door: Door::Admin };
    router::observed(router::answering(routes), observer)
}

async fn live(State(admin): State<AdminState>) -> impl IntoResponse {
    match admin.vitals.hangs() {
        None => (StatusCode::OK, Json(json!({"status": "live"}))),
        Some(reason) => {
            tracing::error!(reason, "the process hangs");
            let body = json!({"status": "hanging", "reason": reason});
            (StatusCode::SERVICE_UNAVAILABLE, Json(body))
        }
    }
}

async fn ready(State(admin): State<AdminState>) -> impl IntoResponse {
    let body = match admin.vitals.unready() {
        None => {
            let model = |model: &Workers| {
                json!({
                    "name": model.model,
                    "provider": model.provider,
                    "workers": model.working,
                    "of": model.configured,
                })
            };
            let models: Vec<_> = admin.vitals.workers().iter().map(model).collect();
            return (StatusCode::OK, Json(json!({"status": "ready", "models": models})));
        }
        Some(Unready::State(state)) => {
            json!({"status": state.as_str(), "reason": state.reason()})
        }
        Some(Unready::NoWorker { model }) => {
            let reason = format!("no worker of the model `{model}` runs");
            json!({"status": "failing", "reason": reason})
        }
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(body))
}

async fn metrics(State(admin): State<AdminState>) -> impl IntoResponse {
    admin.vitals.publish(&admin.metrics);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], admin.metrics.render())
}

async fn log_level(State(admin): State<AdminState>) -> impl IntoResponse {
    Json(json!({"log_level": admin.log_level.get().to_string()}))
}

/// The body is a level, as in `debug`, or directives, as in `warn,resnet_serve=debug`.
async fn set_log_level(
    State(admin): State<AdminState>,
    directives: Result<String, StringRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let unread = |cause: StringRejection| ApiError::InvalidRequest(cause.body_text());
    let directives = directives.map_err(unread)?;
    let invalid = |cause: LogLevelError| ApiError::InvalidRequest(cause.to_string());
    let directives: Directives = directives.parse().map_err(invalid)?;
    admin.log_level.set(directives.clone()).map_err(|error| {
        tracing::error!(%error, "the log level cannot be changed");
        ApiError::Internal
    })?;
    tracing::warn!(level = %directives, "the log level was changed");
    Ok(Json(json!({"log_level": directives.to_string()})))
}

/// What a reload may be asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reload {
    /// One model; without it all.
    model: Option<String>,
}

/// Answers when the new models serve.
async fn reload(
    State(admin): State<AdminState>,
    parameters: Result<Query<Reload>, QueryRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let Query(Reload { model }) = parameters?;
    if let Some(Unready::State(state)) = admin.vitals.unready() {
        return Err(ReloadError::NotServing(state.as_str()).into());
    }
    let models = admin.reloads.reload(model).await?;
    Ok(Json(json!({"models": models})))
}
