//! The number of layers with weights, as the paper counts them.

use std::collections::{HashMap, HashSet};

use super::weighted::{Kind, operands};
use crate::networks::onnx::{GraphProto, NodeProto};

/// The most convolutions and fully connected layers on any way through the graph.
pub(super) fn longest_path(graph: &GraphProto) -> usize {
    let mut constants: HashSet<&str> =
        graph.initializer.iter().map(|constant| constant.name.as_str()).collect();
    let mut depths: HashMap<&str, usize> = HashMap::new();
    // Nodes are in topological order, so what a node reads has its depth already.
    for node in &graph.node {
        if is_constant(node, &constants) {
            constants.extend(node.output.iter().map(String::as_str));
        }
        let inputs = node.input.iter();
        let before = inputs.filter_map(|input| depths.get(input.as_str())).max();
        let depth = before.copied().unwrap_or(0) + usize::from(has_weights(node, &constants));
        depths.extend(node.output.iter().map(|output| (output.as_str(), depth)));
    }
    depths.into_values().max().unwrap_or(0)
}

/// Whether `node` only makes another form of constants, as a Cast of float16 weights does.
fn is_constant(node: &NodeProto, constants: &HashSet<&str>) -> bool {
    let given = |name: &&String| !name.is_empty();
    node.input.iter().filter(given).all(|name| constants.contains(name.as_str()))
}

/// Whether `node` is a layer with weights: a product of two activations, as in attention, is none.
fn has_weights(node: &NodeProto, constants: &HashSet<&str>) -> bool {
    operands(node).is_some_and(|operands| {
        operands.kind != Kind::MatMul
            || node.input.iter().any(|input| constants.contains(input.as_str()))
    })
}
