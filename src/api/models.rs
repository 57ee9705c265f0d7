//! `GET /models`

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::response::ModelSummary;
use crate::serving::{App, ServedModel};

/// The models that are served.
#[derive(Serialize, ToSchema)]
pub(super) struct ModelList {
    /// In the order of their names.
    models: Vec<ModelDescription>,
}

/// A model that is served, and by what.
#[derive(Serialize, ToSchema)]
struct ModelDescription {
    /// Its name, for `model=`.
    #[schema(example = "resnet50")]
    name: String,
    /// Its version.
    #[schema(example = "1")]
    version: String,
    /// `false` for random weights, whose answers mean nothing.
    trained: bool,
    /// Whether requests that name no model get this one.
    default: bool,
    /// Classes, each with a label.
    #[schema(example = 1000)]
    classes: usize,
    /// Pixels that the network sees, height and width.
    #[schema(example = json!([224, 224]))]
    input: [u32; 2],
    /// SHA-256 of the graph's file.
    sha256: String,
    /// The device, as a probe run has shown.
    #[schema(example = "cpu")]
    provider: String,
    /// The version of ONNX Runtime.
    #[schema(example = "1.31.1")]
    onnxruntime: String,
    /// Sessions that run side by side.
    sessions: usize,
    /// Of an ensemble: the models whose probabilities are averaged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, example = json!(["resnet34", "resnet50"]))]
    members: Vec<String>,
    /// Whether `explain=1` may be asked for.
    explains: bool,
}

/// Lists the models that are served.
#[utoipa::path(
    get,
    path = "/models",
    responses((status = 200, description = "The models that are served", body = ModelList)),
)]
pub(super) async fn list(State(app): State<App>) -> Json<ModelList> {
    let describe =
        |model| ModelDescription { default: app.models.is_default(&model), ..describe(&model) };
    Json(ModelList { models: app.models.iter().map(describe).collect() })
}

fn describe(served: &std::sync::Arc<ServedModel>) -> ModelDescription {
    let model = &served.pipeline.model;
    ModelDescription {
        name: served.name().to_owned(),
        version: model.manifest.version.clone(),
        trained: model.manifest.trained,
        default: false,
        classes: model.labels.len(),
        input: [model.manifest.input.height.get(), model.manifest.input.width.get()],
        sha256: model.sha256().to_owned(),
        provider: served.provider.to_string(),
        onnxruntime: served.onnxruntime.clone(),
        sessions: served.sessions.get(),
        members: ModelSummary::new(model).members,
        explains: served.pipeline.explains(),
    }
}
