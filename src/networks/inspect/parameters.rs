//! The learned values among a graph's constants.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Serialize;

use super::InspectError;
use super::weighted::operands;
use crate::networks::onnx::{GraphProto, NodeProto, TensorProto};

/// How many values were learned.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Parameters {
    /// Weights, biases, scales and shifts as they are stored; running statistics are not counted.
    pub stored: u64,
    /// With a scale and a shift per normalised channel, where that can be known.
    pub unfolded: Option<u64>,
    /// Which of the two `stored` is.
    pub normalization: Normalization,
}

/// What became of the batch normalisation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalization {
    /// The graph normalises: each channel has a scale and a shift.
    Separate,
    /// It is folded into convolutions: each channel has one bias in its place.
    Folded,
    /// The network has none.
    None,
    /// The graph has none, and the file does not say whether it had.
    Unknown,
}

/// Counts the constants that reach a place of weights, each once.
pub(super) fn count(
    graph: &GraphProto,
    normalized_channels: Option<u64>,
) -> Result<Parameters, InspectError> {
    let learned = learned_names(graph);
    let constants = graph.initializer.iter();
    let stored = constants
        .filter(|constant| learned.contains(constant.name.as_str()))
        .try_fold(0_u64, |sum, constant| {
            elements(constant).map(|count| sum.saturating_add(count))
        })?;
    let separate = graph.node.iter().any(|node| node.op_type == "BatchNormalization");
    let (normalization, unfolded) = match normalized_channels {
        _ if separate => (Normalization::Separate, Some(stored)),
        None => (Normalization::Unknown, None),
        Some(0) => (Normalization::None, Some(stored)),
        Some(channels) => (Normalization::Folded, Some(stored.saturating_add(channels))),
    };
    Ok(Parameters { stored, unfolded, normalization })
}

fn elements(constant: &TensorProto) -> Result<u64, InspectError> {
    constant.element_count().ok_or_else(|| InspectError::Constant {
        name: constant.name.clone(),
        dimensions: constant.dims.clone(),
    })
}

fn learned_names(graph: &GraphProto) -> HashSet<&str> {
    let producers: HashMap<&str, &NodeProto> = graph
        .node
        .iter()
        .flat_map(|node| node.output.iter().map(move |output| (output.as_str(), node)))
        .collect();
    let read = graph.node.iter().flat_map(|node| learned_inputs(node, &producers));
    read.map(|name| origin(name, &producers)).collect()
}

/// The inputs of `node` that training sets, if they are constants.
fn learned_inputs<'a>(node: &'a NodeProto, producers: &HashMap<&str, &NodeProto>) -> Vec<&'a str> {
    let indices: Vec<usize> = match (operands(node), node.op_type.as_str()) {
        (Some(operands), _) => std::iter::once(operands.weight).chain(operands.bias).collect(),
        (None, "BatchNormalization" | "InstanceNormalization" | "LayerNormalization") => vec![1, 2],
        (None, "PRelu") => vec![1],
        (None, "Add") if follows_product(node, producers) => vec![0, 1],
        _ => Vec::new(),
    };
    let inputs = indices.into_iter();
    inputs.filter_map(|index| node.input_at(index)).collect()
}

/// Whether `node` adds to a matrix product, which has no bias of its own.
fn follows_product(node: &NodeProto, producers: &HashMap<&str, &NodeProto>) -> bool {
    node.input.iter().any(|input| {
        let producer = producers.get(input.as_str());
        producer.is_some_and(|producer| producer.op_type == "MatMul")
    })
}

/// Forms that a constant passes through; exporters write two or three.
const MOST_FORMS: usize = 64;

/// The value that `name` is a changed form of.
fn origin<'a>(name: &'a str, producers: &HashMap<&str, &'a NodeProto>) -> &'a str {
    const FORMS: [&str; 5] = ["Cast", "DequantizeLinear", "Identity", "Reshape", "Transpose"];
    let mut name = name;
    // A graph has no cycles, but a broken file may.
    for _ in 0..MOST_FORMS {
        match producers.get(name) {
            Some(node) if FORMS.contains(&node.op_type.as_str()) => {
                name = node.input_at(0).unwrap_or(name);
            }
            _ => break,
        }
    }
    name
}

impl fmt::Display for Normalization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Separate => "with a scale and a shift per normalised channel",
            Self::Folded => "batch normalisation folded: one bias per channel",
            Self::None => "no batch normalisation",
            Self::Unknown => "as stored; whether batch normalisation was folded is not said",
        })
    }
}
