//! Weights as constants of a graph, in the precision that was asked for.

use half::f16;

use super::{Graph, WeightError};
use crate::networks::onnx::{DataType, TensorProto};
use crate::networks::options::{Precision, WeightsType};
use crate::networks::weights::Affine;

impl Graph<'_> {
    /// Adds a layer's weight and bias; the names under which they can be read in the precision that
    /// the layers compute in.
    pub(super) fn affine(
        &mut self,
        layer: &str,
        dims: &[usize],
        affine: &Affine,
    ) -> Result<[String; 2], WeightError> {
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        if !finite(&affine.weight) || !finite(&affine.bias) {
            let layer = layer.to_owned();
            return Err(WeightError::NotFinite { layer });
        }
        let [weight, bias] = ["weight", "bias"].map(|kind| format!("{layer}.{kind}"));
        let length = [affine.bias.len()];
        if self.precision == Precision::Float16 {
            let weight = self.halves(&weight, dims, &halves(layer, &affine.weight)?);
            return Ok([weight, self.halves(&bias, &length, &halves(layer, &affine.bias)?)]);
        }
        let weight = match self.weights_type {
            WeightsType::Float32 => self.numbers(&weight, dims, &affine.weight),
            WeightsType::Float16 => {
                let stored = self.halves(&weight, dims, &halves(layer, &affine.weight)?);
                // Which runtimes fold when they load the graph.
                self.cast(&stored, &format!("{stored}.float32"), DataType::Float)
            }
        };
        Ok([weight, self.numbers(&bias, &length, &affine.bias)])
    }

    /// Adds numbers in half precision; their name.
    fn halves(&mut self, name: &str, dims: &[usize], values: &[f16]) -> String {
        self.constants.push(TensorProto::float16(name, dims, values));
        name.to_owned()
    }
}

fn halves(layer: &str, values: &[f32]) -> Result<Vec<f16>, WeightError> {
    let convert = |&value: &f32| {
        let half = f16::from_f32(value);
        let layer = layer.to_owned();
        half.is_finite().then_some(half).ok_or(WeightError::TooLarge { layer, value })
    };
    values.iter().map(convert).collect()
}
