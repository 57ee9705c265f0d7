//! Which path leads where, and what every request passes on its way.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::CONNECTION;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};

use super::error::ApiError;
use super::observe::{Door, Observer, observe, write_errors};
use super::{classify, cors, document, keys, models, page, v2};
use crate::config::Origin;
use crate::readiness::{self, Readiness};
use crate::serving::App;

/// Bytes of an answer below which a packet holds it anyhow.
const SMALLEST_COMPRESSED: u64 = 1024;

/// The public listener's paths, for clients and for pages of these origins.
pub fn public(app: App, origins: &[Origin]) -> Router {
    let metrics = Arc::clone(&app.metrics);
    let work = Router::new()
        .route("/classify", post(classify::classify))
        .route("/models", get(models::list))
        .merge(v2::routes())
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app), keys::admit));
    let routes = Router::new()
        .route("/", get(page::page))
        .route("/docs", get(page::docs))
        .route("/assets/{name}", get(page::asset))
        .route("/openapi.yaml", get(document::serve))
        .route("/openapi.json", get(document::serve_json))
        .merge(v2::probes())
        .merge(work);
    let farewell = middleware::from_fn_with_state(app.readiness.clone(), say_farewell);
    let answering = answering(routes.with_state(app));
    // Outside of what writes errors, so that pages can read those too; a preflight ends here.
    let shared = match cors::layer(origins) {
        Some(cors) => answering.layer(cors),
        None => answering,
    };
    let observer = Observer { metrics, door: Door::Public };
    observed(shared, observer).layer(farewell).layer(compression())
}

/// Answers that are worth it, for clients that ask. An error stays as it is: some clients inflate
/// only the answers that they hoped for.
fn compression() -> CompressionLayer<impl Predicate> {
    let success =
        |status: StatusCode, _: Version, _: &HeaderMap, _: &Extensions| status.is_success();
    CompressionLayer::new().compress_when(SizeAbove::new(SMALLEST_COMPRESSED).and(success))
}

/// While the process drains, tells clients not to send their next request on this connection, so
/// that none is under way when it closes. HTTP/2 has a frame for that, which the listener sends.
async fn say_farewell(
    State(readiness): State<Readiness>,
    request: Request,
    next: Next,
) -> Response {
    let version = request.version();
    let mut response = next.run(request).await;
    if version <= Version::HTTP_11 && readiness.state() == readiness::State::Draining {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Errors for all other paths and methods, and their documents.
pub(super) fn answering(routes: Router) -> Router {
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(write_errors))
}

/// What stands around everything that answers.
pub(super) fn observed(answering: Router, observer: Observer) -> Router {
    answering.layer(middleware::from_fn_with_state(observer, observe))
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
