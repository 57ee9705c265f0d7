//! The HTTP contract as an OpenAPI document, made from the handlers.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa::OpenApi;

use super::{classify, models};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "resnet-serve",
        description = "Image classification: a picture in, its most probable labels out. \
            Every answer has an `X-Request-Id` and a `Server-Timing` header; every error is a \
            problem document (RFC 9457).",
    ),
    paths(classify::classify, models::list, serve)
)]
struct Document;

/// The document as YAML.
///
/// # Panics
///
/// Never: the document is made of strings and numbers.
#[must_use]
pub fn yaml() -> String {
    Document::openapi().to_yaml().expect("the document is made of strings and numbers")
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.yaml",
    responses((status = 200, description = "This document", body = String, content_type = "application/yaml")),
)]
pub(super) async fn serve() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/yaml")], yaml())
}
