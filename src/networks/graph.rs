//! A description and its weights as an ONNX graph.

mod constants;
mod entry;
mod layers;

use thiserror::Error;

use super::description::{Description, Layer};
use super::onnx::{DataType, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use super::options::{Checked, Precision, WeightsType};
use super::weights::Weights;

/// The graph's input.
pub(crate) const INPUT: &str = "input";
/// `[n, classes]`
pub(crate) const LOGITS: &str = "logits";
/// What enters the last fully connected layer: `[n, channels]`, after global average pooling in a `ResNet`.
pub(crate) const FEATURES: &str = "features";
/// What enters the pooling that makes one vector of a map: `[n, channels, h, w]`.
pub(crate) const FEATURE_MAP: &str = "feature_map";

/// Weights that cannot be stored.
#[derive(Debug, Error, PartialEq)]
pub enum WeightError {
    /// A weight is infinite or not a number, folded with its normalisation.
    #[error("the weights of `{layer}` are not finite")]
    NotFinite {
        /// The layer.
        layer: String,
    },
    /// A weight is over 65504, the largest float16.
    #[error("`{layer}` has a weight of {value}, which float16 cannot hold")]
    TooLarge {
        /// The layer.
        layer: String,
        /// The weight.
        value: f32,
    },
}

/// Makes the graph of `description`.
pub(crate) fn make_graph(
    description: &Description,
    options: &Checked,
    weights: &dyn Weights,
) -> Result<GraphProto, WeightError> {
    let mut graph = Graph {
        nodes: Vec::new(),
        constants: Vec::new(),
        weights_type: options.weights_type,
        precision: options.precision,
        weights,
    };
    let [height, width] = options.seen();
    let mut shape = [3, height, width];
    let mut outputs = Vec::new();
    let mut value = graph.enter(options);
    for layer in &description.layers {
        if let Some((name, dims)) = exposed(layer, &shape) {
            graph.expose(&mut value, name, options.features);
            outputs.insert(0, float(name, &dims));
        }
        value = graph.layer(layer, &value, shape)?;
        shape = layer.output_shape(shape);
    }
    graph.expose(&mut value, LOGITS, true);
    outputs.truncate(if options.features { 2 } else { 0 });
    outputs.insert(0, float(LOGITS, &[options.classes]));
    Ok(GraphProto {
        node: graph.nodes,
        name: "network".to_owned(),
        initializer: graph.constants,
        input: vec![entry::declaration(options)],
        output: outputs,
    })
}

/// The name and shape under which what enters `layer` is known outside.
fn exposed(layer: &Layer, shape: &[usize; 3]) -> Option<(&'static str, Vec<usize>)> {
    match layer {
        Layer::GlobalAveragePool | Layer::AveragePool7x7 => Some((FEATURE_MAP, shape.to_vec())),
        Layer::FullyConnected(layer) if !layer.relu => Some((FEATURES, vec![layer.inputs])),
        _ => None,
    }
}

fn float(name: &str, dims: &[usize]) -> ValueInfoProto {
    ValueInfoProto::batched(name, DataType::Float, dims)
}

/// A graph in the making.
struct Graph<'a> {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    weights_type: WeightsType,
    precision: Precision,
    weights: &'a dyn Weights,
}

impl Graph<'_> {
    /// Adds an operation; its output's name.
    fn push(&mut self, node: NodeProto) -> String {
        let output = node.name.clone();
        self.nodes.push(node);
        output
    }

    /// Lets the value that was made last be known under a name, as float32 where it `is_output`.
    fn expose(&mut self, value: &mut String, name: &str, is_output: bool) {
        match self.precision {
            Precision::Float32 => self.rename(value, name),
            Precision::Float16 if is_output => {
                self.cast(value, name, DataType::Float);
            }
            Precision::Float16 => (),
        }
    }

    /// Adds a Cast of a value; its name.
    fn cast(&mut self, value: &str, name: &str, to: DataType) -> String {
        let to = i64::from(i32::from(to));
        self.push(NodeProto::new("Cast", name, [value]).int("to", to))
    }

    /// Gives the value that was made last another name.
    fn rename(&mut self, value: &mut String, name: &str) {
        for node in self.nodes.iter_mut().rev().take(1) {
            node.output = vec![name.to_owned()];
        }
        name.clone_into(value);
    }

    /// Adds a list of integers; its name.
    fn integers(&mut self, name: &str, values: &[i64]) -> String {
        self.constants.push(TensorProto::int64(name, values));
        name.to_owned()
    }

    /// Adds numbers that are no weights; their name.
    fn numbers(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        self.constants.push(TensorProto::float32(name, dims, values));
        name.to_owned()
    }
}

#[cfg(test)]
mod tests;
