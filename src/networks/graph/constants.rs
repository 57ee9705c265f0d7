//! Weights as constants of a graph, in the precision that was asked for.

use half::f16;

use super::{Graph, WeightError};
use crate::networks::onnx::{DataType, NodeProto, TensorProto};
use crate::networks::options::WeightsType;
use crate::networks::weights::Affine;

impl Graph<'_> {
    /// Adds a layer's weight and bias; the names under which float32 values can be read.
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
        let weight = format!("{layer}.weight");
        let weight = match self.weights_type {
            WeightsType::Float32 => self.numbers(&weight, dims, &affine.weight),
            WeightsType::Float16 => {
                let halves = halves(layer, &affine.weight)?;
                self.cast(TensorProto::float16(&weight, dims, &halves))
            }
        };
        let bias = self.numbers(&format!("{layer}.bias"), &[affine.bias.len()], &affine.bias);
        Ok([weight, bias])
    }

    /// Adds a constant and a Cast of it to float32, which runtimes fold when they load the graph.
    fn cast(&mut self, constant: TensorProto) -> String {
        let name = format!("{}.float32", constant.name);
        let float = i64::from(i32::from(DataType::Float));
        let node = NodeProto::new("Cast", &name, [&constant.name]).int("to", float);
        self.constants.push(constant);
        self.push(node)
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
