//! What the protocol tells of the server and its models.

use serde::Serialize;
use utoipa::ToSchema;

use super::interface::{DataType, IMAGE};
use crate::serving::ServedModel;

/// Kinds of tensors and documents that not every server of the protocol has.
const EXTENSIONS: [&str; 3] = ["classification", "binary_tensor_data", "model_configuration"];

/// A dimension that the request decides.
const ANY: i64 = -1;

/// What the server is.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServerMetadata {
    /// The program.
    #[schema(example = "resnet-serve")]
    pub name: &'static str,
    /// Its version.
    #[schema(example = "0.1.0")]
    pub version: &'static str,
    /// What it understands beyond the protocol's core.
    #[schema(example = json!(EXTENSIONS))]
    pub extensions: Vec<&'static str>,
}

/// What a model takes and gives.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelMetadata {
    /// Its name.
    #[schema(example = "resnet50")]
    pub name: String,
    /// Its only version.
    #[schema(example = json!(["1"]))]
    pub versions: Vec<String>,
    /// What runs it.
    #[schema(example = "onnxruntime_onnx")]
    pub platform: &'static str,
    /// A request has one of these.
    pub inputs: Vec<TensorMetadata>,
    /// A request may ask for any of these.
    pub outputs: Vec<TensorMetadata>,
}

/// A tensor that a model takes or gives.
#[derive(Debug, Serialize, ToSchema)]
pub struct TensorMetadata {
    /// Its name.
    #[schema(example = "logits")]
    pub name: String,
    /// The type of its elements.
    #[schema(example = "FP32")]
    pub datatype: &'static str,
    /// -1 where the request decides.
    #[schema(example = json!([-1, 1000]))]
    pub shape: Vec<i64>,
}

impl ServerMetadata {
    /// This server.
    #[must_use]
    pub fn new() -> Self {
        Self {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            extensions: EXTENSIONS.to_vec(),
        }
    }
}

impl Default for ServerMetadata {
    fn default() -> Self {
        Self::new()
    }
}

impl ModelMetadata {
    /// A model that is served.
    #[must_use]
    pub fn new(model: &ServedModel) -> Self {
        let mut shape = vec![ANY];
        shape.extend(model.input_dimensions());
        let tensor = TensorMetadata {
            name: model.tensors.input.clone(),
            datatype: model.element().name(),
            shape,
        };
        let image = TensorMetadata {
            name: IMAGE.to_owned(),
            datatype: DataType::Bytes.name(),
            // As in the configuration: `perf_analyzer` takes an input without a dimension behind the
            // one that counts for none at all.
            shape: vec![ANY, 1],
        };
        let size = |size| i64::try_from(size).unwrap_or(i64::MAX);
        let output = |(name, quantity): (&str, _)| TensorMetadata {
            name: name.to_owned(),
            datatype: DataType::Fp32.name(),
            shape: [ANY]
                .into_iter()
                .chain(model.output_dimensions(quantity).into_iter().map(size))
                .collect(),
        };
        Self {
            name: model.name().to_owned(),
            versions: vec![model.version().to_owned()],
            platform: "onnxruntime_onnx",
            inputs: vec![tensor, image],
            outputs: model.outputs().into_iter().map(output).collect(),
        }
    }
}
