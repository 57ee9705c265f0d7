//! What a request can be refused or fail with, as the document describes it: made from real errors,
//! so that the two cannot differ.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::Type;
use utoipa::openapi::{
    ContentBuilder, Header, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder,
};
use utoipa::{IntoResponses, ToSchema};

use crate::api::error::{ApiError, Form, Problem};
use crate::api::v2::ProtocolError;
use crate::batching::Rejection;
use crate::pipeline::ClassifyError;
use crate::preprocess::ImageError;
use crate::serving::RequestError;
use crate::telemetry::metrics::Reason;

/// Of the request in every example.
const REQUEST_ID: &str = "0b6f5a3e0a3a4bb0b4c1f5a0f6b8d1c2";

/// What `/classify` answers where it has no labels.
pub(in crate::api) struct ClassifyProblems;

impl IntoResponses for ClassifyProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let errors = [
            ApiError::InvalidRequest("there is no image in the request".to_owned()),
            ApiError::BodyTimeout,
            ApiError::PayloadTooLarge(32 << 20),
            ApiError::UnsupportedMediaType("text/html".to_owned()),
            image(ImageError::Undecodable { reason: "the file ends early".to_owned() }),
            image(ImageError::TooLarge { width: 60_000, height: 60_000, max_pixels: 100_000_000 }),
            classify(ClassifyError::Failed("the device is out of memory".to_owned())),
            ApiError::Internal,
            rejected(Reason::QueueFull),
            rejected(Reason::Draining),
            classify(ClassifyError::Expired),
        ];
        responses(Form::Problem, &errors)
    }
}

fn image(error: ImageError) -> ApiError {
    classify(error.into())
}

fn classify(error: ClassifyError) -> ApiError {
    RequestError::from(error).into()
}

fn rejected(reason: Reason) -> ApiError {
    Rejection { reason, retry_after: Duration::from_secs(3), late: None }.into()
}

/// A response for each status, with an example for each error.
pub(super) fn responses(form: Form, errors: &[ApiError]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<u16, Vec<&ApiError>> = BTreeMap::new();
    for error in errors {
        by_status.entry(error.status().as_u16()).or_default().push(error);
    }
    let response = |(status, errors): (u16, Vec<&ApiError>)| {
        (status.to_string(), response(form, (status, &errors)).into())
    };
    by_status.into_iter().map(response).collect()
}

fn response(form: Form, (status, errors): (u16, &[&ApiError])) -> Response {
    let problems = || errors.iter().map(|error| (error.problem(REQUEST_ID), error));
    let words = problems().map(|(problem, _)| format!("`{}`: {}", problem.code, problem.title));
    let description = words.collect::<Vec<_>>().join("; ");
    let examples = problems().map(|(problem, error)| {
        let (code, title) = (problem.code, problem.title);
        let value = match form {
            Form::Problem => json!(problem),
            Form::Protocol => json!(ProtocolError { error: error.detail() }),
        };
        (code, ExampleBuilder::new().summary(title).value(Some(value)))
    });
    let (kind, schema) = match form {
        Form::Problem => ("application/problem+json", Problem::name()),
        Form::Protocol => ("application/json", ProtocolError::name()),
    };
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(schema)))
        .examples_from_iter(examples)
        .build();
    let response = ResponseBuilder::new().description(description).content(kind, content);
    headers(status).into_iter().fold(response, |to, (name, header)| to.header(name, header)).build()
}

fn headers(status: u16) -> Option<(&'static str, Header)> {
    match status {
        401 => Some(("WWW-Authenticate", header(Type::String, "`Bearer`, as RFC 6750 has it."))),
        429 => Some(("Retry-After", header(Type::Integer, "Seconds until the key may ask again."))),
        503 => Some((
            "Retry-After",
            header(Type::Integer, "Seconds until the backlog will have drained, spread a little."),
        )),
        _ => None,
    }
}

/// A header of an answer.
pub(super) fn header(of: Type, description: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(of);
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}
