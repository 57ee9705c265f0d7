//! The operators that multiply by weights.

use crate::networks::onnx::NodeProto;

/// Where an operator has its operands, among its inputs.
#[derive(Clone, Copy)]
pub(super) struct Operands {
    pub(super) data: usize,
    pub(super) weight: usize,
    pub(super) bias: Option<usize>,
    pub(super) kind: Kind,
}

/// What the multiplication is.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Kind {
    Convolution,
    /// A matrix product with transposition by attributes.
    Gemm,
    /// A matrix product, batched.
    MatMul,
}

/// The operands of a convolution or a matrix product; `None` for any other operator.
pub(super) fn operands(node: &NodeProto) -> Option<Operands> {
    let (weight, bias, kind) = match node.op_type.as_str() {
        "Conv" => (1, Some(2), Kind::Convolution),
        "ConvInteger" => (1, None, Kind::Convolution),
        "QLinearConv" => (3, Some(8), Kind::Convolution),
        "Gemm" => (1, Some(2), Kind::Gemm),
        "MatMul" | "MatMulInteger" => (1, None, Kind::MatMul),
        "QLinearMatMul" => (3, None, Kind::MatMul),
        _ => return None,
    };
    Some(Operands { data: 0, weight, bias, kind })
}
