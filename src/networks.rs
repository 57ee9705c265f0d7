//! The networks of "Deep Residual Learning for Image Recognition" as ONNX files.
//!
//! A [`Network`] and its [`BuildOptions`] become one description in data: stages, blocks, layers. The graph,
//! the names and shapes of weights, random weights and figures all derive from it. [`inspect`] counts depth,
//! parameters and multiply-adds from any ONNX file. This module uses nothing else of the crate.

mod arithmetic;
mod description;
mod graph;
pub mod inspect;
mod last_layer;
mod name;
mod onnx;
mod options;
pub mod quantize;
mod weights;
mod write;

use std::io;
use std::path::{Path, PathBuf};

use prost::Message;
use thiserror::Error;

pub use arithmetic::arithmetic;
pub use graph::WeightError;
pub(crate) use graph::{FEATURE_MAP, FEATURES};
pub use last_layer::{LastLayer, LastLayerError};
pub use name::{BlockKind, Family, Network, UnknownNetwork};
pub use options::{
    BuildOptions, InputType, Normalization, OptionError, Precision, ShortcutOption, Variant,
    WeightsType,
};
pub use weights::{ImportError, Mismatch};

use description::{Description, describe};
use inspect::{Inspection, NORMALIZED_CHANNELS};
use onnx::{ModelProto, OperatorSetIdProto, StringStringEntryProto};
use weights::{Imported, Random, Weights};
pub(crate) use write::write_atomically;

/// A version of ONNX's operators that every current runtime knows.
const OPERATOR_SET: i64 = 17;
/// The version of the file format that came with that set.
const FORMAT: i64 = 8;

/// What to build.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// The network.
    pub network: Network,
    /// What is chosen about it.
    pub options: BuildOptions,
    /// Its weights.
    pub weights: WeightSource,
}

/// Where weights come from.
#[derive(Clone, Debug)]
pub enum WeightSource {
    /// He initialisation. The same seed gives the same bytes.
    Random {
        /// Any number.
        seed: u64,
    },
    /// A `.safetensors` file with torchvision's parameter names.
    Safetensors(PathBuf),
}

/// An ONNX file in memory, and what it holds.
#[derive(Clone, Debug)]
pub struct BuiltNetwork {
    bytes: Vec<u8>,
    inspection: Inspection,
}

/// A network that cannot be built.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// An option that does not fit the network.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// A weights file that does not.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Weights that cannot be stored.
    #[error(transparent)]
    Weight(#[from] WeightError),
    /// A graph that cannot be counted; none that is built here.
    #[error(transparent)]
    Inspect(#[from] inspect::InspectError),
}

/// Builds a network with its weights.
pub fn build(request: &BuildRequest) -> Result<BuiltNetwork, NetworkError> {
    let options = request.options.check(request.network)?;
    let description = describe(request.network, &options);
    let weights: Box<dyn Weights> = match &request.weights {
        WeightSource::Random { seed } => Box::new(Random::new(&description, *seed)),
        WeightSource::Safetensors(path) => Box::new(Imported::read(path, &description)?),
    };
    let graph = graph::make_graph(&description, &options, weights.as_ref())?;
    drop(weights);
    let model = ModelProto {
        ir_version: FORMAT,
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPERATOR_SET }],
        metadata_props: remarks(request.network, &description),
    };
    let bytes = model.encode_to_vec();
    let inspection = inspect::inspect_model(&model, bytes.len())?;
    Ok(BuiltNetwork { bytes, inspection })
}

impl BuiltNetwork {
    /// The bytes of the ONNX file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Depth, parameters, multiply-adds, inputs and outputs.
    #[must_use]
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// Writes the file: a reader of `path` sees all of it or none.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        write_atomically(path, &self.bytes)
    }
}

/// What the folded graph cannot say by itself any more.
fn remarks(network: Network, description: &Description) -> Vec<StringStringEntryProto> {
    let normalized = description.convolutions().filter(|layer| layer.normalization.is_some());
    let channels: usize = normalized.map(|layer| layer.outputs).sum();
    let remark = |key: &str, value: String| StringStringEntryProto { key: key.to_owned(), value };
    vec![remark("network", network.to_string()), remark(NORMALIZED_CHANNELS, channels.to_string())]
}

#[cfg(test)]
mod tests;
