//! The paths of a model with its version, which are those without it.

use utoipa::Modify;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::{self, PathItem, Required};

/// The path of a model under the Open Inference Protocol.
const MODEL: &str = "/v2/models/{name}";

/// Every path of a model comes with its version as well.
pub(super) struct Versions;

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
