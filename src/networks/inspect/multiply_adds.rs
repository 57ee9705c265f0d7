//! The multiplications of convolutions and matrix products.

use super::shapes::{Values, infer};
use super::weighted::{Kind, operands};
use crate::networks::onnx::{GraphProto, NodeProto};

/// Counts for one image, or says what stood in the way.
pub(super) fn count(graph: &GraphProto) -> Result<u64, String> {
    if let Some(operator) = super::shapes::unknown_operators(graph).first() {
        return Err(format!("operator `{operator}` is not known"));
    }
    let values = infer(graph);
    graph
        .node
        .iter()
        .try_fold(0_u64, |sum, node| of_node(node, &values).map(|count| sum.saturating_add(count)))
}

/// Each element of the output is a sum of as many products as one output channel has weights.
fn of_node(node: &NodeProto, values: &Values<'_>) -> Result<u64, String> {
    let Some(operands) = operands(node) else {
        return Ok(0);
    };
    let output = node.output.first().map_or("", String::as_str);
    let outputs = product(values.shape(output)?);
    let shape_of = |index| values.shape(node.input_at(index).unwrap_or_default());
    let products = match operands.kind {
        Kind::Convolution => product(shape_of(operands.weight)?.get(1..).unwrap_or_default()),
        Kind::MatMul => product(shape_of(operands.data)?.last()),
        Kind::Gemm => {
            let data = shape_of(operands.data)?;
            let inner = usize::from(node.int_or("transA", 0) == 0);
            product(data.get(inner))
        }
    };
    Ok(outputs.saturating_mul(products))
}

fn product<'a>(dimensions: impl IntoIterator<Item = &'a i64>) -> u64 {
    dimensions.into_iter().fold(1_u64, |product, &dimension| {
        product.saturating_mul(u64::try_from(dimension).unwrap_or(0))
    })
}
