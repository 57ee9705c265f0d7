//! Networks in 8 bits: what a graph in float32 becomes when its layers multiply bytes.
//!
//! A value that a layer reads or gives is rounded to 256 levels between the extremes that it had over pictures
//! like those to come; weights to 129 levels, with a scale for each output channel. Pairs of `QuantizeLinear`
//! and `DequantizeLinear` say so in the graph (ONNX's "QDQ" form), which runtimes fuse with the layers between
//! them into operators on integers. The last layer stays as it is: it takes a thousandth of the time, and makes
//! the scores.

mod levels;
mod plan;
mod rewrite;
mod watch;

use std::io;
use std::path::{Path, PathBuf};

use prost::Message;
use prost::bytes::Bytes;
use thiserror::Error;

use super::BuiltNetwork;
use super::arithmetic;
use super::inspect;
use super::onnx::{GraphProto, ModelProto};
use plan::Plan;

pub(crate) use watch::{GREATEST, LEAST};

/// A graph in float32 whose layers can compute in 8 bits.
#[derive(Debug)]
pub struct Quantizable {
    model: ModelProto,
    graph: GraphProto,
    plan: Plan,
}

/// Between which numbers a value lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extremes {
    /// The least.
    pub least: f32,
    /// The greatest.
    pub greatest: f32,
}

/// A graph that cannot be made to compute in 8 bits.
#[derive(Debug, Error)]
pub enum QuantizeError {
    /// The file is none that can be read.
    #[error("`{}` cannot be read: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Something else than float32 is multiplied already.
    #[error("the network computes in {0}, and only one in float32 can be quantized")]
    NotFloat32(String),
    /// There is nothing to be won.
    #[error("the network has no layer beside its last whose weights are constants in float32")]
    NoLayers,
    /// Weights that are in another file, or in a form that is not read.
    #[error("the values of `{0}` are not in the graph's file, or cannot be read")]
    Weights(String),
    /// A layer gives something that no level can be found for.
    #[error("`{value}` has values that are no finite numbers ({least} to {greatest})")]
    NotFinite {
        /// Its name in the graph.
        value: String,
        /// The least value.
        least: f32,
        /// The greatest.
        greatest: f32,
    },
    /// Not a value was seen, or of another graph.
    #[error("{found} values were watched, and the graph has {expected} to be rounded")]
    Unwatched {
        /// As many as were seen.
        found: usize,
        /// As many as there are.
        expected: usize,
    },
    /// What came out cannot be counted.
    #[error(transparent)]
    Inspect(#[from] inspect::InspectError),
}

impl Extremes {
    /// Between which numbers both lie; what is no number stays that.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let unless_nan = |a: f32, b: f32, chosen| if (a + b).is_nan() { f32::NAN } else { chosen };
        Self {
            least: unless_nan(self.least, other.least, self.least.min(other.least)),
            greatest: unless_nan(self.greatest, other.greatest, self.greatest.max(other.greatest)),
        }
    }

    fn are_finite(self) -> bool {
        self.least.is_finite() && self.greatest.is_finite()
    }
}

impl Quantizable {
    /// Reads a graph and finds the layers in it. Normalisation is to be folded into convolutions, and casts
    /// of weights into the weights, before: a runtime does that when it simplifies a graph.
    pub fn read(path: &Path) -> Result<Self, QuantizeError> {
        let failed = |cause: String| QuantizeError::Read { path: path.to_owned(), cause };
        let bytes = std::fs::read(path).map_err(|cause| failed(cause.to_string()))?;
        let model = ModelProto::decode(Bytes::from(bytes));
        Self::new(model.map_err(|cause| failed(cause.to_string()))?)
    }

    /// Whether a network computes in float32; a simplified graph does not tell any more.
    pub fn check(path: &Path) -> Result<(), QuantizeError> {
        let failed = |cause: io::Error| QuantizeError::Read {
            path: path.to_owned(),
            cause: cause.to_string(),
        };
        match arithmetic(path).map_err(failed)? {
            Some(other) if other != "float32" => Err(QuantizeError::NotFloat32(other)),
            _ => Ok(()),
        }
    }

    pub(super) fn new(mut model: ModelProto) -> Result<Self, QuantizeError> {
        let graph = model.graph.take().unwrap_or_default();
        let plan = Plan::of(&graph);
        if plan.layers.is_empty() {
            return Err(QuantizeError::NoLayers);
        }
        Ok(Self { model, graph, plan })
    }

    /// How many layers will compute in 8 bits.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.plan.layers.len()
    }

    /// An ONNX file with the same input that gives the extremes of every value to be rounded, in two
    /// lists: [`LEAST`] and [`GREATEST`].
    #[must_use]
    pub fn watched(&self) -> Vec<u8> {
        let graph = watch::watched(&self.graph, &self.plan.values);
        ModelProto { graph: Some(graph), ..self.model.clone() }.encode_to_vec()
    }

    /// The network in 8 bits, by the extremes that [`watched`](Self::watched) gave over many pictures.
    pub fn quantize(&self, extremes: &[Extremes]) -> Result<BuiltNetwork, QuantizeError> {
        let expected = self.plan.values.len();
        if extremes.len() != expected {
            return Err(QuantizeError::Unwatched { found: extremes.len(), expected });
        }
        let odd = self.plan.values.iter().zip(extremes).find(|(_, seen)| !seen.are_finite());
        if let Some((value, &Extremes { least, greatest })) = odd {
            return Err(QuantizeError::NotFinite { value: value.clone(), least, greatest });
        }
        let model = rewrite::rewritten((&self.model, &self.graph), &self.plan, extremes)?;
        let bytes = model.encode_to_vec();
        let inspection = inspect::inspect_model(&model, bytes.len())?;
        Ok(BuiltNetwork { bytes, inspection })
    }
}

#[cfg(test)]
mod tests;
