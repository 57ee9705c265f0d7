//! A model's configuration as Triton writes it, which `perf_analyzer` and other tools of its ask for.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::interface::{DataType, IMAGE, Quantity};
use crate::inference::provider::Provider;
use crate::model::manifest::Layout;
use crate::serving::ServedModel;

/// A model's configuration.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelConfig {
    /// Its name.
    #[schema(example = "resnet50")]
    pub name: String,
    /// What runs it.
    #[schema(example = "onnxruntime_onnx")]
    pub platform: &'static str,
    /// What runs it.
    #[schema(example = "onnxruntime")]
    pub backend: &'static str,
    /// Images of one request.
    #[schema(example = 256)]
    pub max_batch_size: i32,
    /// A request has one of these.
    pub input: Vec<InputConfig>,
    /// A request may ask for any of these.
    pub output: Vec<OutputConfig>,
    /// Where its sessions run.
    pub instance_group: Vec<InstanceGroup>,
    /// Empty: images of several requests share batches, and the service finds their sizes itself.
    #[schema(value_type = Object)]
    pub dynamic_batching: BTreeMap<String, String>,
    /// `trained`: `false` for random weights, whose answers mean nothing.
    #[schema(value_type = Object, example = json!({"trained": {"string_value": "true"}}))]
    pub parameters: BTreeMap<&'static str, Parameter>,
}

/// A tensor that a model takes.
#[derive(Debug, Serialize, ToSchema)]
pub struct InputConfig {
    /// Its name.
    #[schema(example = "input")]
    pub name: String,
    /// The type of its elements.
    #[schema(example = "TYPE_FP32")]
    pub data_type: DataType,
    /// Where the channels of a picture stand.
    #[schema(example = "FORMAT_NCHW")]
    pub format: Format,
    /// Without the dimension that counts images.
    #[schema(example = json!([3, 224, 224]))]
    pub dims: Vec<i64>,
    /// Whether tools that know no better leave it out.
    pub optional: bool,
}

/// A tensor that a model gives.
#[derive(Debug, Serialize, ToSchema)]
pub struct OutputConfig {
    /// Its name.
    #[schema(example = "logits")]
    pub name: String,
    /// The type of its elements.
    #[schema(example = "TYPE_FP32")]
    pub data_type: DataType,
    /// Without the dimension that counts images.
    #[schema(example = json!([1000]))]
    pub dims: Vec<i64>,
    /// Where the labels of its elements stand; empty where they have none.
    #[schema(example = "labels.tsv")]
    pub label_filename: String,
}

/// Sessions of one kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct InstanceGroup {
    /// Its name.
    #[schema(example = "resnet50_0")]
    pub name: String,
    /// What they run on.
    #[schema(example = "KIND_CPU")]
    pub kind: Kind,
    /// How many there are.
    #[schema(example = 2)]
    pub count: i32,
}

/// Something that Triton's configuration has no field for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Parameter {
    /// Its value.
    pub string_value: String,
}

/// Where the channels of a picture stand, by Triton's names and numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ToSchema)]
pub enum Format {
    /// It is no picture.
    #[serde(rename = "FORMAT_NONE")]
    None = 0,
    /// `[h, w, 3]`
    #[serde(rename = "FORMAT_NHWC")]
    Nhwc = 1,
    /// `[3, h, w]`
    #[serde(rename = "FORMAT_NCHW")]
    Nchw = 2,
}

/// What a session runs on, by Triton's names and numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ToSchema)]
pub enum Kind {
    /// A GPU.
    #[serde(rename = "KIND_GPU")]
    Gpu = 1,
    /// The CPU.
    #[serde(rename = "KIND_CPU")]
    Cpu = 2,
}

impl ModelConfig {
    /// That of a model that is served.
    #[must_use]
    pub fn new(model: &ServedModel) -> Self {
        let manifest = &model.pipeline.model.manifest;
        let string_value = manifest.trained.to_string();
        Self {
            name: model.name().to_owned(),
            platform: "onnxruntime_onnx",
            backend: "onnxruntime",
            max_batch_size: whole(model.pipeline.max_images().get()),
            input: InputConfig::of(model),
            output: OutputConfig::of(model),
            instance_group: vec![InstanceGroup::of(model)],
            dynamic_batching: BTreeMap::new(),
            parameters: BTreeMap::from([("trained", Parameter { string_value })]),
        }
    }
}

impl InputConfig {
    /// The network's own input is the one that a load generator fills with noise.
    fn of(model: &ServedModel) -> Vec<Self> {
        let format = match model.pipeline.model.manifest.input.layout {
            Layout::Nchw => Format::Nchw,
            Layout::Nhwc => Format::Nhwc,
        };
        let tensor = Self {
            name: model.tensors.input.clone(),
            data_type: model.element(),
            format,
            dims: model.input_dimensions().to_vec(),
            optional: false,
        };
        let image = Self {
            name: IMAGE.to_owned(),
            data_type: DataType::Bytes,
            format: Format::None,
            dims: vec![1],
            optional: true,
        };
        vec![tensor, image]
    }
}

impl OutputConfig {
    fn of(model: &ServedModel) -> Vec<Self> {
        let labels = &model.pipeline.model.manifest.output.labels;
        let size = |size| i64::from(whole(size));
        let output = |(name, quantity): (&str, Quantity)| Self {
            name: name.to_owned(),
            data_type: DataType::Fp32,
            dims: model.output_dimensions(quantity).into_iter().map(size).collect(),
            label_filename: if quantity.is_by_class() { labels.clone() } else { String::new() },
        };
        model.outputs().into_iter().map(output).collect()
    }
}

impl InstanceGroup {
    fn of(model: &ServedModel) -> Self {
        let kind = match model.provider {
            Provider::Cpu => Kind::Cpu,
            Provider::Cuda | Provider::TensorRt => Kind::Gpu,
        };
        let count = whole(model.sessions.get());
        Self { name: format!("{}_0", model.name()), kind, count }
    }
}

fn whole(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
