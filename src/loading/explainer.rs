//! What explains a model's answers, where its graph shows enough of itself.

use std::sync::Arc;

use crate::explanation::Explainer;
use crate::inference::TensorNames;
use crate::model::Model;
use crate::networks::{FEATURE_MAP, LastLayer};

/// Of a graph with a feature map that ends in pooling and one layer; a graph with another end is
/// served without explanations.
pub(super) fn find(model: &Model, tensors: &TensorNames) -> Option<Arc<Explainer>> {
    let map = tensors.features.map?;
    let layer = LastLayer::read(&model.graph, FEATURE_MAP, &tensors.output);
    let layer = layer.map_err(|cause| cause.to_string());
    let explainer = layer.and_then(|layer| {
        Explainer::new(layer, map, model.labels.len()).map_err(|cause| cause.to_string())
    });
    let unexplained = |cause: &String| {
        let model = model.manifest.name.as_str();
        tracing::info!(model, cause, "answers cannot be explained");
    };
    explainer.inspect_err(unexplained).ok().map(Arc::new)
}
