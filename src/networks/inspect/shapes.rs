//! The shape of every value in a graph.

mod elementwise;
mod operands;
mod rearrange;
mod window;

use std::collections::{HashMap, HashSet};

use operands::Operands;

use crate::networks::onnx::{DimensionProto, GraphProto, NodeProto, TensorProto, ValueInfoProto};

/// Numbers of elements by axis, outermost first.
pub(super) type Shape = Vec<i64>;

/// No side of a tensor is this long, so that products of two sides fit.
const TOO_LONG: i64 = 1 << 31;

/// No tensor of a classifier has more axes, and no shape that a graph computes with more sides.
const MOST_AXES: usize = 64;

/// Characters of a reason: it is copied to every value behind the one that it is about, and has a
/// name or a shape from the file in it.
const LONGEST_REASON: usize = 200;

/// What is known about the values of a graph.
#[derive(Default)]
pub(super) struct Values<'a> {
    shapes: HashMap<&'a str, Result<Shape, String>>,
    /// Lists of integers that are known: constants, and shapes that a graph computes with.
    integers: HashMap<&'a str, Vec<i64>>,
    constants: HashMap<&'a str, &'a TensorProto>,
}

impl Values<'_> {
    /// The shape of the value called `name`, or why it is not known.
    pub(super) fn shape(&self, name: &str) -> Result<&Shape, String> {
        match self.shapes.get(name) {
            Some(Ok(shape)) => Ok(shape),
            Some(Err(reason)) => Err(reason.clone()),
            None => Err(format!("nothing makes `{name}`")),
        }
    }
}

/// Infers all shapes for one image: a first dimension that is decided at run time is 1.
pub(super) fn infer(graph: &GraphProto) -> Values<'_> {
    let mut values = Values::default();
    for input in &graph.input {
        values.shapes.insert(&input.name, declared(input).map_err(shortened));
    }
    for constant in &graph.initializer {
        values.constant(&constant.name, constant);
    }
    for node in &graph.node {
        values.node(node);
    }
    values
}

/// Names of operators that have no rule here, each once, in the graph's order.
pub(super) fn unknown_operators(graph: &GraphProto) -> Vec<String> {
    let mut seen = HashSet::new();
    let nodes = graph.node.iter();
    nodes
        .filter(|node| rule(node).is_none() && seen.insert(&node.op_type))
        .map(|node| node.op_type.clone())
        .collect()
}

impl<'a> Values<'a> {
    fn constant(&mut self, name: &'a str, constant: &'a TensorProto) {
        self.shapes.insert(name, sane(constant.dims.clone()).map_err(shortened));
        self.constants.insert(name, constant);
        let integers = if is_short(constant) { constant.int64_values() } else { None };
        if let Some(integers) = integers {
            self.integers.insert(name, integers);
        }
    }

    fn node(&mut self, node: &'a NodeProto) {
        let Some(output) = node.output.first() else {
            return;
        };
        let constant = node.attribute("value").and_then(|value| value.t.as_ref());
        if let (Some(constant), "Constant") = (constant, node.op_type.as_str()) {
            self.constant(output, constant);
            return;
        }
        let operands = Operands { node, values: self };
        let shape = match rule(node) {
            Some(rule) => rule(&operands).and_then(sane),
            None => Err(format!("operator `{}` is not known", node.op_type)),
        };
        let integers = operands::integers(&operands);
        if let Some(integers) = integers.filter(|list| list.len() <= MOST_AXES) {
            self.integers.insert(output, integers);
        }
        self.shapes.insert(output, shape.map_err(shortened));
    }
}

/// Whether a constant may say something for each axis; longer ones are read by nothing here.
fn is_short(constant: &TensorProto) -> bool {
    constant.raw_data.len() <= MOST_AXES * size_of::<i64>()
        && constant.int64_data.len() <= MOST_AXES
}

/// How an operator's output shape follows from its inputs.
type Rule = fn(&Operands<'_, '_>) -> Result<Shape, String>;

fn rule(node: &NodeProto) -> Option<Rule> {
    if !matches!(node.domain.as_str(), "" | "ai.onnx") {
        return None;
    }
    let operator = node.op_type.as_str();
    window::rule(operator)
        .or_else(|| rearrange::rule(operator))
        .or_else(|| elementwise::rule(operator))
}

fn declared(input: &ValueInfoProto) -> Result<Shape, String> {
    let tensor = input.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
    let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
    let open = || format!("input `{}` has no fixed size", input.name);
    let dimensions = &shape.ok_or_else(open)?.dim;
    let side = |(axis, dimension): (usize, &DimensionProto)| match dimension.dim_value {
        Some(side) if side > 0 => Ok(side),
        _ if axis == 0 => Ok(1),
        _ => Err(open()),
    };
    sane(dimensions.iter().enumerate().map(side).collect::<Result<_, _>>()?)
}

/// Refuses sides that no tensor has, so that nothing overflows later.
fn sane(shape: Shape) -> Result<Shape, String> {
    let short = shape.iter().all(|side| (0..TOO_LONG).contains(side));
    if short && shape.len() <= MOST_AXES {
        Ok(shape)
    } else {
        Err(format!("a value has the shape {shape:?}"))
    }
}

fn shortened(mut reason: String) -> String {
    if let Some((end, _)) = reason.char_indices().nth(LONGEST_REASON) {
        reason.truncate(end);
        reason.push('…');
    }
    reason
}
