//! Where the numbers of a graph come from.

mod fold;
mod random;
mod safetensors;

pub(crate) use random::Random;
pub(crate) use safetensors::Imported;
pub use safetensors::{ImportError, Mismatch};

use super::description::{Convolution, FullyConnected};

/// A linear map: a weight in the layer's shape, and one bias per output channel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Affine {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// A source of weights for every layer of one description.
pub(crate) trait Weights {
    /// A convolution with the normalisation after it folded in.
    fn convolution(&self, layer: &Convolution) -> Affine;

    /// A fully connected layer.
    fn fully_connected(&self, layer: &FullyConnected) -> Affine;
}
