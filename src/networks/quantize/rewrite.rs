//! The graph in 8 bits.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::names::Names;
use super::parameters::{Channels, QuantizationParameters, QuantizedLayer};
use super::plan::Plan;
use super::{Quantizable, QuantizeError, Range};
use crate::networks::onnx::make::to_i64;
use crate::networks::onnx::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto};

/// The first set of ONNX's operators in which weights may have a scale for each channel.
const SCALES_OF_CHANNELS: i64 = 13;
/// ONNX Runtime's own operators, which have been able to from the beginning.
const RUNTIMES_OWN: &str = "com.microsoft";

/// The model in 8 bits, by the ranges of the plan's activations.
pub(super) fn rewritten(
    quantizable: &Quantizable,
    ranges: &[Range],
) -> Result<ModelProto, QuantizeError> {
    let Quantizable { model, graph, plan } = quantizable;
    let own = |set: &&OperatorSetIdProto| set.domain.is_empty();
    let version = model.opset_import.iter().find(own).map_or(0, |set| set.version);
    let mut rewriting = Rewriting {
        graph,
        plan,
        parameters: parameters(plan, ranges),
        domain: if version < SCALES_OF_CHANNELS { RUNTIMES_OWN } else { "" },
        names: Names::of(graph),
        nodes: Vec::new(),
        constants: Vec::new(),
        inputs: HashMap::new(),
    };
    rewriting.quantize_inputs();
    for index in 0..graph.node.len() {
        rewriting.take_over(index)?;
    }
    let mut rewritten = ModelProto { graph: Some(rewriting.finish()), ..model.clone() };
    env!("CARGO_PKG_NAME").clone_into(&mut rewritten.producer_name);
    env!("CARGO_PKG_VERSION").clone_into(&mut rewritten.producer_version);
    keep_used_operators(&mut rewritten);
    Ok(rewritten)
}

/// Of each activation.
fn parameters<'a>(plan: &'a Plan, ranges: &[Range]) -> HashMap<&'a str, QuantizationParameters> {
    let mut parameters = HashMap::new();
    for (activation, range) in plan.activations.iter().zip(ranges) {
        let other =
            plan.same_range.get(activation).and_then(|other| parameters.get(other.as_str()));
        let found = other.copied().unwrap_or_else(|| QuantizationParameters::of(*range));
        parameters.insert(activation.as_str(), found);
    }
    parameters
}

/// Those sets of operators that a node is of; a simplified graph names more.
fn keep_used_operators(model: &mut ModelProto) {
    let nodes: Vec<&NodeProto> = model.graph.iter().flat_map(|graph| &graph.node).collect();
    let used: BTreeSet<String> = nodes.iter().map(|node| node.domain.clone()).collect();
    if !nodes.iter().any(|node| has_graph(node)) {
        model.opset_import.retain(|set| used.contains(&set.domain));
    }
    let named = |domain: &str| model.opset_import.iter().any(|set| set.domain == domain);
    if used.contains(RUNTIMES_OWN) && !named(RUNTIMES_OWN) {
        let domain = RUNTIMES_OWN.to_owned();
        model.opset_import.push(OperatorSetIdProto { domain, version: 1 });
    }
}

/// Whether a node holds a graph of its own, which may read whatever is outside.
fn has_graph(node: &NodeProto) -> bool {
    node.attribute.iter().any(|attribute| attribute.g.is_some())
}

struct Rewriting<'a> {
    graph: &'a GraphProto,
    plan: &'a Plan,
    parameters: HashMap<&'a str, QuantizationParameters>,
    /// Of the operators that quantize.
    domain: &'static str,
    names: Names,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    /// What is read in the place of the graph's inputs, whose names cannot change.
    inputs: HashMap<&'a str, String>,
}

impl Rewriting<'_> {
    fn quantize_inputs(&mut self) {
        for input in &self.graph.input {
            if let Some(parameters) = self.parameters.get(input.name.as_str()).copied() {
                let dequantized = self.names.fresh(&format!("{}.dequantized", input.name));
                self.quantize(&input.name, &dequantized, parameters);
                self.inputs.insert(&input.name, dequantized);
            }
        }
    }

    /// Adds a node of the graph. An activation's name goes to what was quantized, so that whoever reads it
    /// reads that.
    fn take_over(&mut self, index: usize) -> Result<(), QuantizeError> {
        let graph = self.graph;
        let original = &graph.node[index];
        let mut node = original.clone();
        if node.op_type == "AveragePool" {
            // Says nothing, and ONNX Runtime's pooling of bytes does not know it.
            node.attribute
                .retain(|one| one.name != "dilations" || one.ints.iter().any(|&by| by != 1));
        }
        for name in &mut node.input {
            if let Some(dequantized) = self.inputs.get(name.as_str()) {
                name.clone_from(dequantized);
            }
        }
        if let Some(axis) = self.plan.layers.get(&index) {
            self.quantize_weights(original, &mut node, *axis)?;
        }
        let mut activations = Vec::new();
        for (name, kept) in node.output.iter_mut().zip(&original.output) {
            if let Some(parameters) = self.parameters.get(kept.as_str()).copied() {
                *name = self.names.fresh(&format!("{kept}.float32"));
                activations.push((name.clone(), kept, parameters));
            }
        }
        self.nodes.push(node);
        for (from, to, parameters) in activations {
            self.quantize(&from, to, parameters);
        }
        Ok(())
    }

    /// From a value to what is left of it in 8 bits.
    fn quantize(&mut self, from: &str, to: &str, parameters: QuantizationParameters) {
        let [bytes, scale, zero_point] =
            ["uint8", "scale", "zero_point"].map(|word| self.names.fresh(&format!("{to}.{word}")));
        self.constants.push(TensorProto::float32(&scale, &[], &[parameters.scale]));
        self.constants.push(TensorProto::uint8(&zero_point, parameters.zero_point));
        let quantize = self.operator("QuantizeLinear", [from, &scale, &zero_point], &bytes);
        let dequantize = self.operator("DequantizeLinear", [&bytes, &scale, &zero_point], to);
        self.nodes.extend([quantize, dequantize]);
    }

    /// A node that quantizes or does the reverse.
    fn operator(&mut self, name: &str, inputs: [&str; 3], output: &str) -> NodeProto {
        let named = NodeProto::new(name, &self.names.fresh(&format!("{output}.{name}")), inputs);
        let (output, domain) = (vec![output.to_owned()], self.domain.to_owned());
        NodeProto { output, domain, ..named }
    }

    /// A layer's weights and bias. They are named after the layer: two that share weights share no scales.
    fn quantize_weights(
        &mut self,
        layer: &NodeProto,
        node: &mut NodeProto,
        axis: usize,
    ) -> Result<(), QuantizeError> {
        let name = |index| layer.input_at(index).unwrap_or_default();
        let (weights, dims) = self.floats(name(1))?;
        let biases = match layer.input_at(2) {
            Some(bias) => self.floats(bias)?.0,
            None => Vec::new(),
        };
        let unplanned = || QuantizeError::Weights {
            name: name(1).to_owned(),
            cause: "what they are multiplied with is not quantized".to_owned(),
        };
        let input_scale = self.parameters.get(name(0)).ok_or_else(unplanned)?.scale;
        let channels = Channels::along(axis, &dims);
        let quantized = QuantizedLayer::new((&weights, channels), &biases, input_scale);
        let of_layer = layer.output.first().map_or("", String::as_str);
        let stored = self.names.fresh(&format!("{of_layer}.weight.int8"));
        let stored = TensorProto::int8(&stored, &dims, &quantized.weights);
        let zero_points = TensorProto::int8("", &[channels.count], &vec![0; channels.count]);
        node.input[1] = self.dequantized((stored, zero_points), &quantized.scales, axis);
        if !biases.is_empty() {
            let stored = self.names.fresh(&format!("{of_layer}.bias.int32"));
            let stored = TensorProto::int32(&stored, &quantized.biases);
            let zero_points = TensorProto::int32("", &vec![0; channels.count]);
            node.input[2] = self.dequantized((stored, zero_points), &quantized.bias_scales, 0);
        }
        Ok(())
    }

    /// The name of what a constant stands for. Zero points are written though they are zero: without them
    /// ONNX Runtime leaves a `Gemm` in float32.
    fn dequantized(
        &mut self,
        (stored, mut zero_points): (TensorProto, TensorProto),
        scales: &[f32],
        axis: usize,
    ) -> String {
        let [scale, zero_point, dequantized] = ["scale", "zero_point", "dequantized"]
            .map(|word| self.names.fresh(&format!("{}.{word}", stored.name)));
        zero_points.name.clone_from(&zero_point);
        let inputs = [stored.name.as_str(), &scale, &zero_point];
        let dequantize = self.operator("DequantizeLinear", inputs, &dequantized);
        self.nodes.push(dequantize.int("axis", to_i64(axis)));
        self.constants.push(TensorProto::float32(&scale, &[scales.len()], scales));
        self.constants.extend([zero_points, stored]);
        dequantized
    }

    fn floats(&self, name: &str) -> Result<(Vec<f32>, Vec<usize>), QuantizeError> {
        let unread =
            |cause: &str| QuantizeError::Weights { name: name.to_owned(), cause: cause.to_owned() };
        let constant = self.graph.stored(name).ok_or_else(|| unread("they are not there"))?;
        let values = constant.float32_values();
        let values = values.ok_or_else(|| unread("they are not as many as its shape says"))?;
        if values.iter().any(|value| !value.is_finite()) {
            return Err(QuantizeError::WeightsNotFinite(name.to_owned()));
        }
        // So many values are there, so no dimension is negative.
        let dims = constant.dims.iter().filter_map(|&size| usize::try_from(size).ok());
        Ok((values, dims.collect()))
    }

    /// The new nodes with the constants that they, or graphs in them, may read.
    fn finish(self) -> GraphProto {
        let nodes = self.nodes.iter();
        let all_are_kept = nodes.clone().any(has_graph);
        let read = nodes.flat_map(|node| &node.input).map(String::as_str);
        let outputs = self.graph.output.iter().map(|output| output.name.as_str());
        let needed: HashSet<&str> = read.chain(outputs).collect();
        let is_kept = |one: &&TensorProto| all_are_kept || needed.contains(one.name.as_str());
        let old = self.graph.initializer.iter().filter(is_kept);
        let initializer = old.cloned().chain(self.constants).collect();
        GraphProto {
            node: self.nodes,
            initializer,
            name: self.graph.name.clone(),
            input: self.graph.input.clone(),
            output: self.graph.output.clone(),
        }
    }
}
