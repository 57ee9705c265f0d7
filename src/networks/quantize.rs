//! Static quantization after training: what a graph in float32 becomes when its layers multiply bytes.
//!
//! An activation that a layer reads or gives becomes one of 256 numbers in the range that it had over pictures
//! like those to come; a weight one of 129, with a scale for each output channel. Pairs of `QuantizeLinear` and
//! `DequantizeLinear` say so in the graph (ONNX's "QDQ" form), which runtimes fuse with the layers between them
//! into operators on integers. The layer that makes the scores stays as it is: it takes a thousandth of the time.

mod names;
mod observe;
mod operators;
mod parameters;
mod plan;
mod rewrite;

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

pub(crate) use observe::{MAXIMA, MINIMA};

/// A graph in float32 whose layers can compute in 8 bits.
#[derive(Debug)]
pub struct Quantizable {
    model: ModelProto,
    graph: GraphProto,
    plan: Plan,
}

/// The range of an activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The least number.
    pub minimum: f32,
    /// The greatest.
    pub maximum: f32,
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
    /// A set of operators that integers cannot be added to.
    #[error(
        "its operators are ONNX's set {set}, and `{operator}` may mean something else in set 12, the first that can be quantized; export it anew"
    )]
    OldOperators {
        /// The version.
        set: i64,
        /// The first operator that could not be taken over.
        operator: String,
    },
    /// Weights in a form that is not read, or in a file that is not there.
    #[error("the values of `{name}` cannot be read: {cause}")]
    Weights {
        /// The constant.
        name: String,
        /// Why.
        cause: String,
    },
    /// Weights that no scale can be found for.
    #[error("`{0}` has weights that are no finite numbers")]
    WeightsNotFinite(String),
    /// An activation that no scale can be found for.
    #[error("`{activation}` has values that are no finite numbers ({minimum} to {maximum})")]
    NotFinite {
        /// Its name in the graph.
        activation: String,
        /// The least value.
        minimum: f32,
        /// The greatest.
        maximum: f32,
    },
    /// No picture was run, or on another graph.
    #[error("there are {found} ranges for {expected} activations")]
    NotObserved {
        /// As many as there are.
        found: usize,
        /// As many as there should be.
        expected: usize,
    },
    /// What came out cannot be counted.
    #[error(transparent)]
    Inspect(#[from] inspect::InspectError),
}

impl Range {
    /// The range of both; what is no number stays that.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let unless_nan = |a: f32, b: f32, chosen| if (a + b).is_nan() { f32::NAN } else { chosen };
        Self {
            minimum: unless_nan(self.minimum, other.minimum, self.minimum.min(other.minimum)),
            maximum: unless_nan(self.maximum, other.maximum, self.maximum.max(other.maximum)),
        }
    }

    fn is_finite(self) -> bool {
        self.minimum.is_finite() && self.maximum.is_finite()
    }
}

impl Quantizable {
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

    /// Reads a graph and finds the layers in it; `folder` has the files of constants that are not in the
    /// graph's own, `scores` is the output that the last layer makes, or any where none is named. Normalisation is to be folded into convolutions, and casts of weights into the weights,
    /// before: a runtime does that when it simplifies a graph.
    pub fn read(path: &Path, folder: &Path, scores: Option<&str>) -> Result<Self, QuantizeError> {
        let failed = |cause: String| QuantizeError::Read { path: path.to_owned(), cause };
        let bytes = std::fs::read(path).map_err(|cause| failed(cause.to_string()))?;
        let model = ModelProto::decode(Bytes::from(bytes));
        Self::new(model.map_err(|cause| failed(cause.to_string()))?, folder, scores)
    }

    fn new(
        mut model: ModelProto,
        folder: &Path,
        scores: Option<&str>,
    ) -> Result<Self, QuantizeError> {
        let mut graph = model.graph.take().unwrap_or_default();
        for constant in &mut graph.initializer {
            let embedded = constant.embed(folder);
            embedded.map_err(|cause| QuantizeError::Weights {
                name: constant.name.clone(),
                cause: cause.to_string(),
            })?;
        }
        // In older files every constant is an input that may be given another value.
        let GraphProto { input, initializer, .. } = &mut graph;
        input.retain(|input| initializer.iter().all(|constant| constant.name != input.name));
        let plan = Plan::of(&graph, scores);
        if plan.layers.is_empty() {
            return Err(QuantizeError::NoLayers);
        }
        operators::raise(&mut model, &graph)?;
        Ok(Self { model, graph, plan })
    }

    /// How many layers will compute in 8 bits, of how many.
    #[must_use]
    pub fn layers(&self) -> (usize, usize) {
        (self.plan.layers.len(), self.plan.layers.len() + self.plan.kept)
    }

    /// An ONNX file with the same input that gives the range of each activation that will be quantized, as
    /// two lists: [`MINIMA`] and [`MAXIMA`].
    #[must_use]
    pub fn observed(&self) -> Vec<u8> {
        let graph = observe::observed(&self.graph, &self.plan.activations);
        ModelProto { graph: Some(graph), ..self.model.clone() }.encode_to_vec()
    }

    /// The network in 8 bits, by the ranges that [`observed`](Self::observed) gave over many pictures.
    pub fn quantize(&self, ranges: &[Range]) -> Result<BuiltNetwork, QuantizeError> {
        let expected = self.plan.activations.len();
        if ranges.len() != expected {
            return Err(QuantizeError::NotObserved { found: ranges.len(), expected });
        }
        let mut with_ranges = self.plan.activations.iter().zip(ranges);
        if let Some((name, range)) = with_ranges.find(|(_, range)| !range.is_finite()) {
            let (activation, Range { minimum, maximum }) = (name.clone(), *range);
            return Err(QuantizeError::NotFinite { activation, minimum, maximum });
        }
        let model = rewrite::rewritten(self, ranges)?;
        let bytes = model.encode_to_vec();
        let inspection = inspect::inspect_model(&model, bytes.len())?;
        Ok(BuiltNetwork { bytes, inspection })
    }
}

#[cfg(test)]
mod tests;
