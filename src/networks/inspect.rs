//! Depth, parameters and multiply-adds of any ONNX file.

mod depth;
mod multiply_adds;
mod parameters;
mod report;
mod shapes;
mod weighted;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use prost::Message;
use prost::bytes::Bytes;
use serde::Serialize;
use thiserror::Error;

pub use parameters::Parameters;

use super::onnx::{DataType, GraphProto, ModelProto, ValueInfoProto};

/// The remark under which `model build` keeps how many channels had a normalisation that was folded.
pub(crate) const NORMALIZED_CHANNELS: &str = "normalized_channels";

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// The network's name, where the producer wrote it down.
    pub network: Option<String>,
    /// The program that made the file, and its version.
    pub producer: String,
    /// The sets of operators, as `domain version`; ONNX's own is `ai.onnx`.
    pub operator_sets: Vec<String>,
    /// The size of the file.
    pub file_bytes: usize,
    /// The most layers with weights (convolutions and fully connected) on any way from input to output.
    ///
    /// That is how the paper counts: projections in shortcuts lie on shorter ways.
    pub depth: usize,
    /// The learned values.
    pub parameters: Parameters,
    /// Of convolutions, matrix products and fully connected layers, for one image of the input's size.
    pub multiply_adds: Option<u64>,
    /// Why `multiply_adds` could not be counted.
    pub multiply_adds_unknown: Option<String>,
    /// Operators that the counts above know nothing about, and do not include.
    pub unknown_operators: Vec<String>,
    /// What enters.
    pub inputs: Vec<Tensor>,
    /// What leaves.
    pub outputs: Vec<Tensor>,
}

/// An input or an output.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Tensor {
    /// Its name in the graph.
    pub name: String,
    /// Its element type, as `float32`; `unknown` where it is none that classifiers use.
    #[serde(rename = "type")]
    pub element_type: &'static str,
    /// Its dimensions: numbers, names where they are decided at run time, `?` where they have neither.
    pub shape: Vec<Dimension>,
}

/// A dimension.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Dimension {
    /// Always this many.
    Fixed(u64),
    /// Decided at run time.
    Named(String),
}

/// A file that cannot be inspected.
#[derive(Debug, Error)]
pub enum InspectError {
    /// The file cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is cut off, or is something else.
    #[error("`{path}` is no ONNX file, or not all of it: {source}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Where reading stopped.
        source: prost::DecodeError,
    },
    /// The bytes can be read as protobuf, but there is no graph with outputs in them.
    #[error("`{path}` is no ONNX file: it has no graph")]
    NoGraph {
        /// The file.
        path: PathBuf,
    },
    /// A constant has a negative dimension, or more elements than can be counted.
    #[error("constant `{name}` has impossible dimensions {dimensions:?}")]
    Constant {
        /// The constant.
        name: String,
        /// Its dimensions.
        dimensions: Vec<i64>,
    },
}

/// Reads an ONNX file and counts.
pub fn inspect(path: &Path) -> Result<Inspection, InspectError> {
    let bytes = std::fs::read(path)
        .map_err(|source| InspectError::Read { path: path.to_owned(), source })?;
    let file_bytes = bytes.len();
    let model = ModelProto::decode(Bytes::from(bytes))
        .map_err(|source| InspectError::Format { path: path.to_owned(), source })?;
    let has_graph = |graph: &GraphProto| !graph.output.is_empty();
    if !model.graph.as_ref().is_some_and(has_graph) {
        return Err(InspectError::NoGraph { path: path.to_owned() });
    }
    inspect_model(&model, file_bytes)
}

/// Counts in a file that is read already.
pub(crate) fn inspect_model(
    model: &ModelProto,
    file_bytes: usize,
) -> Result<Inspection, InspectError> {
    let nothing = GraphProto::default();
    let graph = model.graph.as_ref().unwrap_or(&nothing);
    let parameters = parameters::count(graph, normalized_channels(model))?;
    let counted = multiply_adds::count(graph);
    Ok(Inspection {
        network: remark(model, "network").map(str::to_owned),
        producer: producer(model),
        operator_sets: operator_sets(model),
        file_bytes,
        depth: depth::longest_path(graph),
        parameters,
        multiply_adds: counted.as_ref().ok().copied(),
        multiply_adds_unknown: counted.err(),
        unknown_operators: shapes::unknown_operators(graph),
        inputs: inputs(graph),
        outputs: graph.output.iter().map(tensor).collect(),
    })
}

/// Old files list their constants among the inputs.
fn inputs(graph: &GraphProto) -> Vec<Tensor> {
    let constants: HashSet<&str> =
        graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let inputs = graph.input.iter();
    inputs.filter(|value| !constants.contains(value.name.as_str())).map(tensor).collect()
}

fn normalized_channels(model: &ModelProto) -> Option<u64> {
    remark(model, NORMALIZED_CHANNELS)?.parse().ok()
}

fn remark<'a>(model: &'a ModelProto, key: &str) -> Option<&'a str> {
    let mut remarks = model.metadata_props.iter();
    let found = remarks.find(|remark| remark.key == key)?;
    Some(&found.value)
}

fn producer(model: &ModelProto) -> String {
    let named = format!("{} {}", model.producer_name, model.producer_version);
    named.trim().to_owned()
}

fn operator_sets(model: &ModelProto) -> Vec<String> {
    let sets = model.opset_import.iter();
    sets.map(|set| match set.domain.as_str() {
        "" => format!("ai.onnx {}", set.version),
        domain => format!("{domain} {}", set.version),
    })
    .collect()
}

fn tensor(value: &ValueInfoProto) -> Tensor {
    let declared = value.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
    let shape = declared.and_then(|tensor| tensor.shape.as_ref());
    let dimension = |dimension: &super::onnx::DimensionProto| {
        let fixed = dimension.dim_value.and_then(|value| u64::try_from(value).ok());
        let name = dimension.dim_param.clone().filter(|name| !name.is_empty());
        fixed.map_or_else(
            || Dimension::Named(name.unwrap_or_else(|| "?".to_owned())),
            Dimension::Fixed,
        )
    };
    Tensor {
        name: value.name.clone(),
        element_type: declared.map_or("unknown", |tensor| element_type(tensor.elem_type())),
        shape: shape.map_or_else(Vec::new, |shape| shape.dim.iter().map(dimension).collect()),
    }
}

fn element_type(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Float => "float32",
        DataType::Float16 => "float16",
        DataType::Bfloat16 => "bfloat16",
        DataType::Double => "float64",
        DataType::Uint8 => "uint8",
        DataType::Int8 => "int8",
        DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::String => "string",
        DataType::Bool => "bool",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests;
