//! Which path leads where, and what every request passes on its way.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use super::error::ApiError;
use super::observe::observe;
use super::{App, classify, document, models};
use crate::telemetry::metrics::Metrics;

/// The public listener's paths.
pub fn public(app: App) -> Router {
    let metrics = Arc::clone(&app.metrics);
    let routes = Router::new()
        .route("/classify", post(classify::classify))
        .route("/models", get(models::list))
        .route("/openapi.yaml", get(document::serve))
        .with_state(app);
    finish(routes, metrics)
}

/// Errors for all other paths and methods, and what stands around every handler.
pub(super) fn finish(routes: Router, metrics: Arc<Metrics>) -> Router {
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(metrics, observe))
}

async fn not_found(uri: Uri) -> ApiError {
    ApiError::NotFound(uri.path().to_owned())
}

async fn method_not_allowed(method: Method) -> ApiError {
    ApiError::MethodNotAllowed(method.to_string())
}

/// The message stays in the log of the panic hook.
fn panicked(_panic: Box<dyn Any + Send>) -> Response {
    ApiError::Internal.into_response()
}
