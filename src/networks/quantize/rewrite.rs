//! The graph in 8 bits.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::levels::{Channels, Levels, Quantized};
use super::plan::Plan;
use super::{Extremes, QuantizeError};
use crate::networks::onnx::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto};

/// The first set of ONNX's operators in which weights may have a scale for each channel.
const SCALES_OF_CHANNELS: i64 = 13;
/// ONNX Runtime's own operators, which have been able to from the beginning.
const RUNTIMES_OWN: &str = "com.microsoft";

/// The model in 8 bits, by the extremes of the plan's values.
pub(super) fn rewritten(
    (model, graph): (&ModelProto, &GraphProto),
    plan: &Plan,
    extremes: &[Extremes],
) -> Result<ModelProto, QuantizeError> {
    let own = |set: &&OperatorSetIdProto| set.domain.is_empty();
    let version = model.opset_import.iter().find(own).map_or(0, |set| set.version);
    let is_old = version < SCALES_OF_CHANNELS;
    let mut rewriting = Rewriting {
        graph,
        plan,
        levels: levels(plan, extremes),
        domain: if is_old { RUNTIMES_OWN } else { "" },
        nodes: Vec::new(),
        constants: Vec::new(),
        renamed: HashMap::new(),
    };
    rewriting.round_inputs();
    for index in 0..graph.node.len() {
        rewriting.take_over(index)?;
    }
    let graph = rewriting.finish();
    let mut rewritten = ModelProto { graph: Some(graph), ..model.clone() };
    env!("CARGO_PKG_NAME").clone_into(&mut rewritten.producer_name);
    env!("CARGO_PKG_VERSION").clone_into(&mut rewritten.producer_version);
    keep_used_operators(&mut rewritten);
    Ok(rewritten)
}

/// The levels of each value.
fn levels<'a>(plan: &'a Plan, extremes: &[Extremes]) -> HashMap<&'a str, Levels> {
    let mut levels = HashMap::new();
    for (value, seen) in plan.values.iter().zip(extremes) {
        let of_other = plan.alike.get(value).and_then(|other| levels.get(other.as_str()));
        let found = of_other.copied().unwrap_or_else(|| Levels::between(*seen));
        levels.insert(value.as_str(), found);
    }
    levels
}

/// Those sets of operators that a node is of; a simplified graph names more.
fn keep_used_operators(model: &mut ModelProto) {
    let nodes = model.graph.iter().flat_map(|graph| &graph.node);
    let used: BTreeSet<String> = nodes.map(|node| node.domain.clone()).collect();
    model.opset_import.retain(|set| used.contains(&set.domain));
    let named = |domain: &str| model.opset_import.iter().any(|set| set.domain == domain);
    if used.contains(RUNTIMES_OWN) && !named(RUNTIMES_OWN) {
        let domain = RUNTIMES_OWN.to_owned();
        model.opset_import.push(OperatorSetIdProto { domain, version: 1 });
    }
}

struct Rewriting<'a> {
    graph: &'a GraphProto,
    plan: &'a Plan,
    levels: HashMap<&'a str, Levels>,
    /// Of the operators that round.
    domain: &'static str,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    /// The graph's inputs that are rounded, and what is read in their place: their names cannot change.
    renamed: HashMap<&'a str, String>,
}

impl<'a> Rewriting<'a> {
    fn round_inputs(&mut self) {
        for input in &self.graph.input {
            if let Some(levels) = self.levels.get(input.name.as_str()).copied() {
                let rounded = format!("{}.rounded", input.name);
                self.round(&input.name, &rounded, levels);
                self.renamed.insert(&input.name, rounded);
            }
        }
    }

    /// Adds a node of the graph; what it gives keeps its name where it is rounded, so that whoever reads
    /// it reads what was rounded.
    fn take_over(&mut self, index: usize) -> Result<(), QuantizeError> {
        let graph = self.graph;
        let original = &graph.node[index];
        let mut node = original.clone();
        for name in &mut node.input {
            if let Some(rounded) = self.renamed.get(name.as_str()) {
                name.clone_from(rounded);
            }
        }
        if let Some(axis) = self.plan.layers.get(&index) {
            self.round_weights(original, &mut node, *axis)?;
        }
        let mut rounded = Vec::new();
        for (name, kept) in node.output.iter_mut().zip(&original.output) {
            if let Some(levels) = self.levels.get(kept.as_str()).copied() {
                *name = format!("{kept}.unrounded");
                rounded.push((name.clone(), kept.as_str(), levels));
            }
        }
        self.nodes.push(node);
        rounded.iter().for_each(|(from, to, levels)| self.round(from, to, *levels));
        Ok(())
    }

    /// From a value to what is left of it in 8 bits.
    fn round(&mut self, from: &str, to: &str, levels: Levels) {
        let (scale, zero) = (format!("{to}.scale"), format!("{to}.zero_point"));
        let bytes = format!("{to}.uint8");
        self.constants.push(TensorProto::float32(&scale, &[], &[levels.scale]));
        self.constants.push(TensorProto::byte(&zero, levels.zero_point));
        self.operator(NodeProto::new("QuantizeLinear", &bytes, [from, &scale, &zero]));
        let restored = format!("{to}.restored");
        let mut node = NodeProto::new("DequantizeLinear", &restored, [&bytes, &scale, &zero]);
        node.output = vec![to.to_owned()];
        self.operator(node);
    }

    fn operator(&mut self, node: NodeProto) {
        self.nodes.push(NodeProto { domain: self.domain.to_owned(), ..node });
    }

    /// A layer's weights and bias. They are named after the layer: two that share weights do not share scales.
    fn round_weights(
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
        let channels = Channels::along(axis, &dims);
        let input_scale = self.levels.get(name(0)).map_or(1.0, |levels| levels.scale);
        let is_whole = weights.len() == dims.iter().product::<usize>() && channels.count > 0;
        if !is_whole || !(biases.is_empty() || biases.len() == channels.count) {
            return Err(QuantizeError::Weights(name(1).to_owned()));
        }
        let quantized = Quantized::new((&weights, channels), &biases, input_scale);
        let of_layer = layer.output.first().map_or("", String::as_str);
        let stored =
            TensorProto::int8(&format!("{of_layer}.weight.int8"), &dims, &quantized.weights);
        node.input[1] = self.restored(stored, &quantized.scales, axis);
        if !biases.is_empty() {
            let stored = TensorProto::int32(&format!("{of_layer}.bias.int32"), &quantized.biases);
            node.input[2] = self.restored(stored, &quantized.bias_scales, 0);
        }
        Ok(())
    }

    /// A constant in levels, and the name of what it stands for.
    fn restored(&mut self, stored: TensorProto, scales: &[f32], axis: usize) -> String {
        let (scale, restored) =
            (format!("{}.scale", stored.name), format!("{}.restored", stored.name));
        let node = NodeProto::new("DequantizeLinear", &restored, [&stored.name, &scale]);
        let axis = i64::try_from(axis).unwrap_or(0);
        self.operator(node.int("axis", axis));
        self.constants.push(TensorProto::float32(&scale, &[scales.len()], scales));
        self.constants.push(stored);
        restored
    }

    fn floats(&self, name: &str) -> Result<(Vec<f32>, Vec<usize>), QuantizeError> {
        let unread = || QuantizeError::Weights(name.to_owned());
        let constant = self.graph.stored(name).ok_or_else(unread)?;
        let values = constant.float32_values().ok_or_else(unread)?;
        if values.iter().any(|value| !value.is_finite()) {
            return Err(unread());
        }
        let dims = constant.dims.iter().map(|&size| usize::try_from(size).map_err(|_| unread()));
        Ok((values, dims.collect::<Result<_, _>>()?))
    }

    /// The new nodes with the constants that they read.
    fn finish(self) -> GraphProto {
        let read: HashSet<&str> =
            self.nodes.iter().flat_map(|node| &node.input).map(String::as_str).collect();
        let old = self.graph.initializer.iter().filter(|one| read.contains(one.name.as_str()));
        let initializer = old.cloned().chain(self.constants.iter().cloned()).collect();
        GraphProto {
            node: self.nodes,
            initializer,
            name: self.graph.name.clone(),
            input: self.graph.input.clone(),
            output: self.graph.output.clone(),
        }
    }
}
