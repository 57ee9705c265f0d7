//! Operators that keep their input's shape, or the shape that their inputs have together.

use super::operands::Operands;
use super::{Rule, Shape};

/// Operators of one value, element by element or with statistics of it.
const KEEPING: [&str; 34] = [
    "Abs",
    "BatchNormalization",
    "Cast",
    "Ceil",
    "Clip",
    "DequantizeLinear",
    "Dropout",
    "DynamicQuantizeLinear",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "LRN",
    "LayerNormalization",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "Mish",
    "Neg",
    "PRelu",
    "QuantizeLinear",
    "Reciprocal",
    "Relu",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Sqrt",
    "Tanh",
    "Selu",
];

/// Operators of several values, element by element.
const BROADCASTING: [&str; 10] =
    ["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Mean", "Sum", "Where"];

/// The rule for `operator`, where it is one of these.
pub(super) fn rule(operator: &str) -> Option<Rule> {
    if KEEPING.contains(&operator) {
        Some(|operands| operands.shape(0).cloned())
    } else if BROADCASTING.contains(&operator) {
        Some(broadcast)
    } else {
        None
    }
}

fn broadcast(operands: &Operands<'_, '_>) -> Result<Shape, String> {
    let shapes = operands.shapes()?;
    together(&shapes).ok_or_else(|| operands.odd())
}

/// The shape to which all of `shapes` are repeated: aligned at the last axis, sides equal or 1.
pub(super) fn together(shapes: &[&Shape]) -> Option<Shape> {
    let rank = shapes.iter().map(|shape| shape.len()).max()?;
    let mut result = vec![1; rank];
    for shape in shapes {
        let aligned = result.iter_mut().skip(rank - shape.len());
        for (side, &other) in aligned.zip(shape.iter()) {
            if *side == 1 {
                *side = other;
            } else if other != 1 && other != *side {
                return None;
            }
        }
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_of_one_are_repeated() {
        let (map, channel, scalar) = (vec![1, 3, 8, 8], vec![3, 1, 1], vec![]);
        assert_eq!(together(&[&map, &channel, &scalar]), Some(map.clone()));
        assert_eq!(together(&[&channel, &vec![5, 1, 2, 2]]), Some(vec![5, 3, 2, 2]));
    }

    #[test]
    fn sides_that_differ_have_no_shape_together() {
        assert_eq!(together(&[&vec![2, 3], &vec![2, 4]]), None);
    }
}
