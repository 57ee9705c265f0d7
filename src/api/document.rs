//! The HTTP contract as an OpenAPI document, made from the handlers.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::{self, PathItem, Required};
use utoipa::{Modify, OpenApi};

use self::everywhere::Everywhere;
use super::{classify, models, v2};

pub(super) mod bodies;
mod everywhere;
pub(super) mod problems;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "resnet-serve",
        description = "Image classification: a picture in, its most probable labels out. Every \
            error is a problem document (RFC 9457) whose `code` says what happened, below `/v2` \
            the Open Inference Protocol's own.",
    ),
    servers((url = "/", description = "Where this document comes from")),
    tags(
        (name = "classify", description = "Pictures in, labels out."),
        (name = "models", description = "What is served."),
        (name = "document", description = "This document."),
        (name = "v2", description = "The Open Inference Protocol, as KServe and Triton speak it."),
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
    modifiers(&Versions, &Everywhere),
)]
struct Document;

/// The path of a model under the Open Inference Protocol.
const MODEL: &str = "/v2/models/{name}";

/// Every path of a model comes with its version as well.
struct Versions;

impl Modify for Versions {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let paths = &mut document.paths.paths;
        let of_a_version = |(path, item): (&String, &PathItem)| {
            let rest = path.strip_prefix(MODEL)?;
            Some((format!("{MODEL}/versions/{{version}}{rest}"), with_version(item.clone())))
        };
        let added: Vec<_> = paths.iter().filter_map(of_a_version).collect();
        paths.extend(added);
    }
}

fn with_version(mut item: PathItem) -> PathItem {
    for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
        let version = ParameterBuilder::new()
            .name("version")
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some("The model's version"))
            .schema(Some(openapi::Object::with_type(openapi::Type::String)));
        operation.parameters.get_or_insert_default().push(version.build().into());
        operation.operation_id = operation.operation_id.take().map(|id| format!("{id}_of_version"));
    }
    item
}

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
