//! The tensors of a trained network, named and shaped as torchvision has them.

use super::{Convolution, FullyConnected};

/// The tensors of a batch normalisation, one value per channel each.
pub(crate) const NORMALIZATION: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];

/// A tensor's name and shape.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    /// Whether training learns it: running statistics are measured instead, and not counted.
    pub(crate) learned: bool,
}

impl Parameter {
    fn new(layer: &str, tensor: &str, shape: &[usize]) -> Self {
        Self {
            name: format!("{layer}.{tensor}"),
            shape: shape.to_vec(),
            learned: !tensor.starts_with("running_"),
        }
    }
}

impl Convolution {
    /// `[outputs, inputs, kernel, kernel]`
    pub(crate) fn weight_shape(&self) -> [usize; 4] {
        [self.outputs, self.inputs, self.kernel, self.kernel]
    }

    /// The weight, then the bias or the normalisation's tensors.
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = vec![Parameter::new(&self.name, "weight", &self.weight_shape())];
        let per_channel = [self.outputs];
        match &self.normalization {
            None => parameters.push(Parameter::new(&self.name, "bias", &per_channel)),
            Some(name) => parameters
                .extend(NORMALIZATION.map(|tensor| Parameter::new(name, tensor, &per_channel))),
        }
        parameters
    }
}

impl FullyConnected {
    /// `[outputs, inputs]`
    pub(crate) fn weight_shape(&self) -> [usize; 2] {
        [self.outputs, self.inputs]
    }

    /// The weight and the bias.
    pub(crate) fn parameters(&self) -> [Parameter; 2] {
        [
            Parameter::new(&self.name, "weight", &self.weight_shape()),
            Parameter::new(&self.name, "bias", &[self.outputs]),
        ]
    }
}
