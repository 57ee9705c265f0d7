//! What holds for every request and every answer, written into the document once.

use utoipa::Modify;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, OpenApi, Ref, RefOr, Required};

use super::problems;

const REQUEST_ID: &str = "X-Request-Id";

/// What every answer has.
const HEADERS: [(&str, &str); 2] = [
    (
        REQUEST_ID,
        "The request's name in log, answer and problem documents: a word of up to 128 visible \
            ASCII characters. One that is not fit is replaced.",
    ),
    (
        "Server-Timing",
        "Milliseconds that each stage took: `read`, `decode`, `queue`, `inference`, `total`.",
    ),
];

/// Adds headers to all operations.
pub(super) struct Everywhere;

impl Modify for Everywhere {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        let headers = HEADERS.map(|(name, description)| {
            (name.to_owned(), problems::header(Type::String, description).into())
        });
        components.headers.extend(headers);
        components.parameters.insert(REQUEST_ID.to_owned(), request_id().into());
        for item in document.paths.paths.values_mut() {
            let operations = [item.get.as_mut(), item.post.as_mut()];
            operations.into_iter().flatten().for_each(complete);
        }
    }
}

fn request_id() -> Parameter {
    ParameterBuilder::new()
        .name(REQUEST_ID)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("A name for the request; without it one is made."))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .example(Some("order-4711".into()))
        .build()
}

fn complete(operation: &mut Operation) {
    let request_id = Ref::new(format!("#/components/parameters/{REQUEST_ID}"));
    operation.parameters.get_or_insert_default().push(RefOr::Ref(request_id));
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.headers.extend(HEADERS.map(|(name, _)| {
                (name.to_owned(), RefOr::Ref(Ref::new(format!("#/components/headers/{name}"))))
            }));
        }
    }
}
