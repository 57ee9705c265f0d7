//! Which path leads where, and what every request passes on its way.

use std::any::Any;
use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::Router;
use axum::body::HttpBody;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, Uri, Version};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;

use super::error::ApiError;
use super::observe::{Door, Observer, observe, write_errors};
use super::{classify, cors, document, keys, models, page, v2};
use crate::config::Origin;
use crate::readiness::{self, Readiness};
use crate::serving::App;

/// Bytes of the answers that are compressed. It is done by the threads that answer, which larger ones
/// would keep busy for longer than a request may hold up the others.
const COMPRESSED: RangeInclusive<u64> = 1 << 10..=256 << 10;

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

fn compression() -> CompressionLayer<Worthwhile> {
    CompressionLayer::new().compress_when(Worthwhile)
}

/// Answers that become smaller and take no time to, for clients that ask. An error stays as it is:
/// some clients inflate only the answers that they hoped for.
#[derive(Clone, Copy)]
struct Worthwhile;

impl Predicate for Worthwhile {
    fn should_compress<B: HttpBody>(&self, answer: &axum::http::Response<B>) -> bool {
        let size = answer.body().size_hint().exact();
        let kind = answer.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        answer.status().is_success()
            && size.is_some_and(|size| COMPRESSED.contains(&size))
            && kind != Some(b"application/octet-stream")
    }
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

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn what_is_small_or_large_or_binary_or_an_error_is_not_compressed() {
        let worthwhile = |status: u16, kind: &str, size: usize| {
            let answer = Response::builder().status(status).header(CONTENT_TYPE, kind);
            Worthwhile.should_compress(&answer.body(Body::from(vec![0; size])).unwrap())
        };
        assert!(worthwhile(200, "application/json", 1024));
        assert!(worthwhile(200, "text/html", 256 << 10));
        assert!(!worthwhile(200, "application/json", 1023));
        assert!(!worthwhile(200, "application/json", (256 << 10) + 1));
        assert!(!worthwhile(200, "application/octet-stream", 4096));
        assert!(!worthwhile(422, "application/problem+json", 4096));
    }
}
