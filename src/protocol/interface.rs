//! What a model takes and gives under the protocol's names.

use serde::Serialize;
use utoipa::ToSchema;

use crate::inference::{FEATURE_MAP, FEATURES};
use crate::model::manifest::{Activation, ElementType, Layout};
use crate::serving::ServedModel;

/// The input that takes encoded pictures.
pub(super) const IMAGE: &str = "image";

/// The output that is the network's own, under the name that every model has it.
const LOGITS: &str = "logits";

/// The output that sums to one.
const PROBABILITIES: &str = "probabilities";

/// The type of a tensor's elements, under Triton's names and numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ToSchema)]
pub enum DataType {
    /// Bytes of pixels.
    #[serde(rename = "TYPE_UINT8")]
    Uint8 = 2,
    /// Half precision.
    #[serde(rename = "TYPE_FP16")]
    Fp16 = 10,
    /// Single precision.
    #[serde(rename = "TYPE_FP32")]
    Fp32 = 11,
    /// Strings of bytes, of any length.
    #[serde(rename = "TYPE_STRING")]
    Bytes = 13,
}

/// What an output is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Quantity {
    /// What the network gives.
    Scores,
    /// What `model.toml` makes of that.
    Probabilities,
    /// What the last layer reads.
    Features,
    /// What that is pooled from.
    FeatureMap,
}

impl Quantity {
    /// Whether it has a number for each class.
    pub(super) fn is_by_class(self) -> bool {
        matches!(self, Self::Scores | Self::Probabilities)
    }
}

impl DataType {
    /// The protocol's word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uint8 => "UINT8",
            Self::Fp16 => "FP16",
            Self::Fp32 => "FP32",
            Self::Bytes => "BYTES",
        }
    }
}

impl ServedModel {
    /// The elements of the network's own input.
    pub(super) fn element(&self) -> DataType {
        match self.pipeline.model.manifest.input.element_type {
            ElementType::Float32 => DataType::Fp32,
            ElementType::Float16 => DataType::Fp16,
            ElementType::Uint8 => DataType::Uint8,
        }
    }

    /// The dimensions of the network's own input behind the one that counts images.
    pub(super) fn input_dimensions(&self) -> [i64; 3] {
        let input = &self.pipeline.model.manifest.input;
        let (height, width) = (i64::from(input.height.get()), i64::from(input.width.get()));
        match input.layout {
            Layout::Nchw => [3, height, width],
            Layout::Nhwc => [height, width, 3],
        }
    }

    /// Every output by its name; those with a number for each class come first and are given
    /// unasked, in this order.
    pub(super) fn outputs(&self) -> Vec<(&str, Quantity)> {
        let mut outputs = vec![(self.tensors.output.as_str(), Quantity::Scores)];
        let mut add = |name, quantity| {
            if outputs.iter().all(|(taken, _)| *taken != name) {
                outputs.push((name, quantity));
            }
        };
        // A network that gives probabilities by itself has no logits to show.
        if self.pipeline.model.manifest.output.activation == Activation::Softmax {
            add(LOGITS, Quantity::Scores);
        }
        add(PROBABILITIES, Quantity::Probabilities);
        let shown = self.tensors.features;
        shown.vector.iter().for_each(|_| add(FEATURES, Quantity::Features));
        shown.map.iter().for_each(|_| add(FEATURE_MAP, Quantity::FeatureMap));
        outputs
    }

    /// The dimensions of an output behind the one that counts images.
    pub(super) fn output_dimensions(&self, quantity: Quantity) -> Vec<usize> {
        match quantity {
            Quantity::Scores | Quantity::Probabilities => vec![self.classes()],
            Quantity::Features => self.tensors.features.vector.into_iter().collect(),
            Quantity::FeatureMap => self.tensors.features.map.into_iter().flatten().collect(),
        }
    }

    /// Classes, each with a label.
    pub(super) fn classes(&self) -> usize {
        self.pipeline.model.labels.len()
    }
}
