//! The HTTP contract as an OpenAPI document, made from the handlers.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa::OpenApi;

use self::everywhere::Everywhere;
use self::security::Secured;
use self::versions::Versions;
use super::{classify, models, v2};

pub(super) mod bodies;
mod everywhere;
pub(super) mod problems;
mod security;
mod versions;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "resnet-serve",
        description = "Image classification: a picture in, its most probable labels out. Every \
            error is a problem document (RFC 9457) whose `code` says what happened; below `/v2` \
            it is the Open Inference Protocol's own. What is no HTTP, or has too large a head, is refused \
            without one (400, 431).",
    ),
    servers((url = "/", description = "Where this document comes from")),
    tags(
        (name = "classify", description = "Pictures in, labels out."),
        (name = "models", description = "What is served."),
        (name = "v2", description = "The Open Inference Protocol, as clients of KServe and Triton speak it."),
        (name = "document", description = "This document."),
    ),
    paths(
        classify::classify,
        models::list,
        serve,
        serve_json,
        v2::infer::infer,
        v2::state::live,
        v2::state::model,
        v2::state::model_config,
        v2::state::model_ready,
        v2::state::ready,
        v2::state::server,
    ),
    components(schemas(super::error::Problem)),
    modifiers(&Secured, &Everywhere, &Versions),
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

fn json() -> String {
    Document::openapi().to_json().expect("the document is made of strings and numbers")
}

/// This document as YAML.
#[utoipa::path(
    get,
    tag = "document",
    path = "/openapi.yaml",
    responses((status = 200, description = "This document", body = serde_json::Value, content_type = "application/yaml")),
)]
pub(super) async fn serve() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/yaml")], yaml())
}

/// This document as JSON.
#[utoipa::path(
    get,
    tag = "document",
    path = "/openapi.json",
    responses((status = 200, description = "This document", body = serde_json::Value, content_type = "application/json")),
)]
pub(super) async fn serve_json() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], json())
}
