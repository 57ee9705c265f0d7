//! Which layers and activations of a graph are quantized.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::networks::onnx::{DataType, GraphProto, NodeProto, TensorProto};

/// Operators between the last layer and the scores.
const AFTER_LAST: [&str; 19] = [
    "Add",
    "AveragePool",
    "Cast",
    "Clip",
    "Div",
    "Flatten",
    "GlobalAveragePool",
    "Identity",
    "LogSoftmax",
    "Mul",
    "ReduceMean",
    "Relu",
    "Reshape",
    "Sigmoid",
    "Softmax",
    "Squeeze",
    "Sub",
    "Transpose",
    "Unsqueeze",
];

/// What runtimes compute together with the layer before it.
const ACTIVATION_FUNCTIONS: [&str; 2] = ["Clip", "Relu"];

/// Operators that runtimes compute on bytes, with ranges for what they read and give.
const ON_BYTES: [&str; 6] = ["Add", "AveragePool", "Concat", "LeakyRelu", "Mul", "Sigmoid"];

/// Operators that give numbers that they read, in another place: the range stays.
const MOVING: [&str; 8] =
    ["Flatten", "MaxPool", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"];

/// Layers and activations.
#[derive(Debug)]
pub(super) struct Plan {
    /// The dimension of the output channels in a layer's weights, by the layer's place among the nodes.
    pub(super) layers: BTreeMap<usize, usize>,
    /// How many layers more there are, which stay in float32.
    pub(super) kept: usize,
    /// In the order of the graph.
    pub(super) activations: Vec<String>,
    /// Of those, whose range another has because they are made of its numbers.
    pub(super) same_range: HashMap<String, String>,
}

/// Who reads what in a graph.
struct Uses<'a> {
    graph: &'a GraphProto,
    constants: HashMap<&'a str, &'a TensorProto>,
    producers: HashMap<&'a str, usize>,
    readers: HashMap<&'a str, Vec<usize>>,
    outputs: HashSet<&'a str>,
}

impl Plan {
    /// Of a graph whose scores are the output of that name, or any output.
    pub(super) fn of(graph: &GraphProto, scores: Option<&str>) -> Self {
        let uses = Uses::of(graph);
        let mut last = HashSet::new();
        let names = graph.output.iter().map(|output| output.name.as_str());
        names
            .filter(|name| scores.is_none_or(|scores| scores == *name))
            .for_each(|name| uses.collect_last(name, &mut last));
        let mut planning = Planning {
            plan: Self {
                layers: BTreeMap::new(),
                kept: 0,
                activations: Vec::new(),
                same_range: HashMap::new(),
            },
            quantized: HashSet::new(),
            uses: &uses,
        };
        for (index, node) in graph.node.iter().enumerate() {
            match uses.weights_axis(node) {
                Some(axis) if !last.contains(&index) => {
                    planning.plan.layers.insert(index, axis);
                    planning.quantize_around(node);
                }
                _ if is_layer(node) => planning.plan.kept += 1,
                _ => planning.quantize_between(node),
            }
        }
        planning.plan
    }
}

struct Planning<'a> {
    plan: Plan,
    /// The same activations as the plan's.
    quantized: HashSet<&'a str>,
    uses: &'a Uses<'a>,
}

impl<'a> Planning<'a> {
    /// Around what works on bytes, behind an activation that is quantized already.
    fn quantize_between(&mut self, node: &'a NodeProto) {
        let (name, uses) = (node.op_type.as_str(), self.uses);
        let is_quantized = |input: &String| self.quantized.contains(input.as_str());
        let Some(first) = node.input.first().filter(|_| node.domain.is_empty()) else { return };
        if MOVING.contains(&name) && is_quantized(first) {
            // A second output of pooling has places, not numbers.
            let of_numbers =
                if name == "MaxPool" { node.output.len().min(1) } else { node.output.len() };
            for output in node.output.iter().take(of_numbers) {
                if self.add(output) {
                    self.plan.same_range.insert(output.clone(), first.clone());
                }
            }
        } else if ON_BYTES.contains(&name) && node.input.iter().any(is_quantized) {
            let constant =
                node.input.iter().any(|input| uses.constants.contains_key(input.as_str()));
            if !constant {
                self.quantize_around(node);
            }
        }
    }

    /// What a node reads but for constants, and what comes out of it.
    fn quantize_around(&mut self, node: &'a NodeProto) {
        for input in &node.input {
            if !input.is_empty() && !self.uses.constants.contains_key(input.as_str()) {
                self.add(input);
            }
        }
        if let Some(output) = node.output.first() {
            self.add(self.uses.behind_function(output));
        }
    }

    /// Whether it was not there before.
    fn add(&mut self, activation: &'a str) -> bool {
        let is_new = !activation.is_empty() && self.quantized.insert(activation);
        if is_new {
            self.plan.activations.push(activation.to_owned());
        }
        is_new
    }
}

impl<'a> Uses<'a> {
    fn of(graph: &'a GraphProto) -> Self {
        let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut producers = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            node.input.iter().for_each(|name| readers.entry(name).or_default().push(index));
            producers.extend(node.output.iter().map(|name| (name.as_str(), index)));
        }
        Self {
            graph,
            constants: graph.initializer.iter().map(|one| (one.name.as_str(), one)).collect(),
            producers,
            readers,
            outputs: graph.output.iter().map(|output| output.name.as_str()).collect(),
        }
    }

    /// Where the output channels stand in a node's weights, if it is a layer that can compute in 8 bits.
    fn weights_axis(&self, node: &NodeProto) -> Option<usize> {
        let float32 = |index| {
            let constant = self.constants.get(node.input_at(index)?)?;
            (constant.data_type() == DataType::Float).then_some(*constant)
        };
        let weights = float32(1)?;
        let axis = match node.op_type.as_str() {
            "Conv" => 0,
            "Gemm" if is_plain_product(node) => usize::from(node.int_or("transB", 0) == 0),
            "MatMul" if weights.dims.len() == 2 => 1,
            _ => return None,
        };
        let channels = *weights.dims.get(axis)?;
        let no_bias = node.input_at(2).is_none();
        let has_bias = no_bias || float32(2).is_some_and(|bias| bias.dims == [channels]);
        let reads_an_activation = !self.constants.contains_key(node.input_at(0)?);
        (has_bias && reads_an_activation && node.domain.is_empty()).then_some(axis)
    }

    /// What an activation function gives, where nothing else reads the value before it.
    fn behind_function(&self, value: &'a str) -> &'a str {
        let Some([reader]) = self.readers.get(value).map(Vec::as_slice) else { return value };
        let node = &self.graph.node[*reader];
        let is_function = ACTIVATION_FUNCTIONS.contains(&node.op_type.as_str());
        let output = node.output.first().filter(|_| is_function && !self.outputs.contains(value));
        output.map_or(value, String::as_str)
    }

    /// The layer that makes an output, if nothing but what follows a last layer lies between.
    fn collect_last(&self, output: &str, found: &mut HashSet<usize>) {
        let Some(&index) = self.producers.get(output) else { return };
        let node = &self.graph.node[index];
        if is_layer(node) {
            found.insert(index);
        } else if AFTER_LAST.contains(&node.op_type.as_str()) {
            let read = |name: &&String| !self.constants.contains_key(name.as_str());
            if let [only] = node.input.iter().filter(read).collect::<Vec<_>>()[..] {
                self.collect_last(only, found);
            }
        }
    }
}

fn is_layer(node: &NodeProto) -> bool {
    ["Conv", "Gemm", "MatMul"].contains(&node.op_type.as_str())
}

/// Of the input as it is, with nothing scaled.
fn is_plain_product(node: &NodeProto) -> bool {
    let factor = |name| node.attribute(name).and_then(|factor| factor.f).unwrap_or(1.0);
    #[expect(clippy::float_cmp, reason = "a factor of one is written as one")]
    let is_scaled = factor("alpha") != 1.0 || factor("beta") != 1.0;
    !is_scaled && node.int_or("transA", 0) == 0
}
