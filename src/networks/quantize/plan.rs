//! What of a graph is rounded.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::networks::onnx::{DataType, GraphProto, NodeProto, TensorProto};

/// Operators between the last layer and the scores.
const AFTER_LAST: [&str; 12] = [
    "Add",
    "Cast",
    "Div",
    "Flatten",
    "Identity",
    "LogSoftmax",
    "Mul",
    "Reshape",
    "Sigmoid",
    "Softmax",
    "Squeeze",
    "Sub",
];

/// What is done to each number of a layer's result without a look at any other, and in the same kernel.
const RECTIFIERS: [&str; 2] = ["Clip", "Relu"];

/// Layers and values.
#[derive(Debug)]
pub(super) struct Plan {
    /// The dimension of the output channels in a layer's weights, by the layer's place among the nodes.
    pub(super) layers: BTreeMap<usize, usize>,
    /// The values that are rounded, as they come in the graph.
    pub(super) values: Vec<String>,
    /// Of those, which have the levels of another because they are made of its numbers.
    pub(super) alike: HashMap<String, String>,
}

/// Who reads what in a graph.
struct Uses<'a> {
    graph: &'a GraphProto,
    constants: HashMap<&'a str, &'a TensorProto>,
    readers: HashMap<&'a str, Vec<usize>>,
    outputs: HashSet<&'a str>,
}

impl Plan {
    pub(super) fn of(graph: &GraphProto) -> Self {
        let uses = Uses::of(graph);
        let mut last = HashSet::new();
        graph.output.iter().for_each(|output| uses.collect_last(&output.name, &mut last));
        let mut plan = Self { layers: BTreeMap::new(), values: Vec::new(), alike: HashMap::new() };
        for (index, node) in graph.node.iter().enumerate() {
            match uses.weights_axis(node) {
                Some(axis) if !last.contains(&index) => {
                    plan.layers.insert(index, axis);
                    plan.round_around(node, &uses);
                }
                _ => plan.round_between(node, &uses),
            }
        }
        plan
    }

    /// Around what works on the bytes of values that are rounded already.
    fn round_between(&mut self, node: &NodeProto, uses: &Uses<'_>) {
        let rounded = |name: &String| self.values.contains(name);
        match node.op_type.as_str() {
            "MaxPool" if node.input.first().is_some_and(rounded) && node.output.len() == 1 => {
                self.alike.insert(node.output[0].clone(), node.input[0].clone());
                self.add(&node.output[0]);
            }
            "AveragePool" if node.input.first().is_some_and(rounded) => {
                self.round_around(node, uses);
            }
            "Add" | "Concat" if node.input.iter().any(rounded) => {
                if !node.input.iter().any(|name| uses.constants.contains_key(name.as_str())) {
                    self.round_around(node, uses);
                }
            }
            _ => {}
        }
    }

    /// What a node reads but for constants, and what comes out of it.
    fn round_around(&mut self, node: &NodeProto, uses: &Uses<'_>) {
        for name in &node.input {
            if !name.is_empty() && !uses.constants.contains_key(name.as_str()) {
                self.add(name);
            }
        }
        if let Some(output) = node.output.first() {
            self.add(uses.rectified(output));
        }
    }

    fn add(&mut self, value: &str) {
        if !self.values.iter().any(|known| known == value) {
            self.values.push(value.to_owned());
        }
    }
}

impl<'a> Uses<'a> {
    fn of(graph: &'a GraphProto) -> Self {
        let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            node.input.iter().for_each(|name| readers.entry(name).or_default().push(index));
        }
        Self {
            graph,
            constants: graph.initializer.iter().map(|one| (one.name.as_str(), one)).collect(),
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
        let bias =
            node.input_at(2).is_none() || float32(2).is_some_and(|bias| bias.dims.len() == 1);
        let reads_a_value = !self.constants.contains_key(node.input_at(0)?);
        let axis = match node.op_type.as_str() {
            "Conv" => 0,
            "Gemm" if is_plain_product(node) => usize::from(node.int_or("transB", 0) == 0),
            "MatMul" if weights.dims.len() == 2 => 1,
            _ => return None,
        };
        (bias && reads_a_value && node.domain.is_empty()).then_some(axis)
    }

    /// The rectifier's output where a value is read by nothing else.
    fn rectified(&self, value: &'a str) -> &'a str {
        let Some([reader]) = self.readers.get(value).map(Vec::as_slice) else { return value };
        let node = &self.graph.node[*reader];
        let alone = RECTIFIERS.contains(&node.op_type.as_str()) && !self.outputs.contains(value);
        node.output.first().filter(|_| alone).map_or(value, String::as_str)
    }

    /// The layer that makes an output, if nothing but what follows a last layer lies between.
    fn collect_last(&self, output: &str, found: &mut HashSet<usize>) {
        let producer =
            self.graph.node.iter().position(|node| node.output.iter().any(|o| o == output));
        let Some(index) = producer else { return };
        let node = &self.graph.node[index];
        if self.weights_axis(node).is_some() {
            found.insert(index);
        } else if AFTER_LAST.contains(&node.op_type.as_str()) {
            let read = |name: &&String| !self.constants.contains_key(name.as_str());
            if let [only] = node.input.iter().filter(read).collect::<Vec<_>>()[..] {
                self.collect_last(only, found);
            }
        }
    }
}

/// Of the input as it is, with nothing scaled.
fn is_plain_product(node: &NodeProto) -> bool {
    let factor = |name| node.attribute(name).and_then(|factor| factor.f).unwrap_or(1.0);
    #[expect(clippy::float_cmp, reason = "a factor of one is written as one")]
    let scaled = factor("alpha") != 1.0 || factor("beta") != 1.0;
    !scaled && node.int_or("transA", 0) == 0
}
