//! What a rule can ask about a node's inputs.

use super::{Shape, Values, is_short};
use crate::networks::onnx::NodeProto;
use crate::networks::onnx::make::to_i64;

/// A node, and what is known about the values that it reads.
pub(super) struct Operands<'values, 'graph> {
    pub(super) node: &'graph NodeProto,
    pub(super) values: &'values Values<'graph>,
}

impl<'values> Operands<'values, '_> {
    /// The shape of input `index`.
    pub(super) fn shape(&self, index: usize) -> Result<&'values Shape, String> {
        let name = self.node.input_at(index).ok_or_else(|| self.odd())?;
        self.values.shape(name)
    }

    /// The shapes of all inputs that are given.
    pub(super) fn shapes(&self) -> Result<Vec<&'values Shape>, String> {
        let given = self.node.input.iter().filter(|name| !name.is_empty());
        given.map(|name| self.values.shape(name)).collect()
    }

    /// The integers of input `index`, where it is given and they are known.
    pub(super) fn integers(&self, index: usize) -> Option<&'values [i64]> {
        let name = self.node.input_at(index)?;
        self.values.integers.get(name).map(Vec::as_slice)
    }

    /// Integers that older operator sets have as an attribute, newer ones as an input.
    pub(super) fn integers_or_attribute(&self, index: usize, attribute: &str) -> Option<&[i64]> {
        self.integers(index).or_else(|| self.node.ints_of(attribute))
    }

    /// The float32 values of input `index`, where it is a constant of one for each axis.
    pub(super) fn numbers(&self, index: usize) -> Option<Vec<f32>> {
        let constant = self.values.constants.get(self.node.input_at(index)?)?;
        if is_short(constant) { constant.float32_values() } else { None }
    }

    /// The axis that an attribute names; negative ones count from the end.
    pub(super) fn axis(&self, default: i64, rank: usize) -> Result<usize, String> {
        self.position(self.node.int_or("axis", default), rank)
    }

    /// The position that `axis` means among `rank` axes.
    pub(super) fn position(&self, axis: i64, rank: usize) -> Result<usize, String> {
        let size = to_i64(rank);
        let axis = if axis < 0 { axis.saturating_add(size) } else { axis };
        let position = usize::try_from(axis).ok();
        position.filter(|&axis| axis <= rank).ok_or_else(|| self.odd())
    }

    /// That the node's inputs and attributes give no shape.
    pub(super) fn odd(&self) -> String {
        let node = self.node;
        format!("the shape of {} `{}` cannot be inferred", node.op_type, node.name)
    }
}

/// The integers that a node computes, where it computes with shapes.
pub(super) fn integers(operands: &Operands<'_, '_>) -> Option<Vec<i64>> {
    match operands.node.op_type.as_str() {
        "Shape" => operands.shape(0).ok().cloned(),
        "Cast" | "Identity" | "Squeeze" | "Unsqueeze" => operands.integers(0).map(<[i64]>::to_vec),
        "Concat" => {
            let parts = 0..operands.node.input.len();
            let parts: Option<Vec<_>> = parts.map(|index| operands.integers(index)).collect();
            Some(parts?.concat())
        }
        "Gather" => {
            let from = operands.integers(0)?;
            let indices = operands.integers(1)?.iter();
            let at = |&index: &i64| from.get(operands.position(index, from.len()).ok()?).copied();
            indices.map(at).collect()
        }
        "Slice" => {
            let from = operands.integers(0)?;
            let [start, end] = [1, 2].map(|index| operands.integers(index));
            let place = |bound: i64| operands.position(bound.min(to_i64(from.len())), from.len());
            let start = place(*start?.first()?).ok()?;
            let end = place(*end?.first()?).ok()?;
            from.get(start..end).map(<[i64]>::to_vec)
        }
        _ => None,
    }
}
