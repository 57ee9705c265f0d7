//! Convolutions, poolings and matrix products.

use super::elementwise::together;
use super::operands::Operands;
use super::{Rule, Shape};
use crate::networks::inspect::weighted;
use crate::networks::onnx::NodeProto;

/// The rule for `operator`, where it is one of these.
pub(super) fn rule(operator: &str) -> Option<Rule> {
    Some(match operator {
        "Conv" | "ConvInteger" | "QLinearConv" => convolution,
        "MaxPool" | "AveragePool" | "LpPool" => pooling,
        "GlobalAveragePool" | "GlobalMaxPool" => global_pooling,
        "Gemm" => gemm,
        "MatMul" | "MatMulInteger" | "QLinearMatMul" => product,
        _ => return None,
    })
}

fn convolution(operands: &Operands<'_, '_>) -> Result<Shape, String> {
    let places = weighted::operands(operands.node).ok_or_else(|| operands.odd())?;
    let data = operands.shape(places.data)?;
    let weight = operands.shape(places.weight)?;
    if weight.len() != data.len() || data.len() < 3 {
        return Err(operands.odd());
    }
    let mut output = vec![data[0], weight[0]];
    output.extend(windows(operands, &data[2..], &weight[2..])?);
    Ok(output)
}

fn pooling(operands: &Operands<'_, '_>) -> Result<Shape, String> {
    let data = operands.shape(0)?;
    let window = operands.node.ints_of("kernel_shape").unwrap_or_default();
    if data.len() != window.len() + 2 {
        return Err(operands.odd());
    }
    let mut output = data[..2].to_vec();
    output.extend(windows(operands, &data[2..], window)?);
    Ok(output)
}

fn global_pooling(operands: &Operands<'_, '_>) -> Result<Shape, String> {
    let data = operands.shape(0)?;
    let kept = data.iter().take(2).copied();
    Ok(kept.chain(data.iter().skip(2).map(|_| 1)).collect())
}

/// How often windows fit along each side of a map.
fn windows(operands: &Operands<'_, '_>, sides: &[i64], window: &[i64]) -> Result<Shape, String> {
    let positions = (0..sides.len()).map(|axis| {
        let along = Along::read(operands.node, [axis, sides.len()]);
        along.positions(sides[axis], window[axis])
    });
    let positions: Option<Shape> = positions.collect();
    positions.ok_or_else(|| operands.odd())
}

/// How windows move along one axis.
struct Along<'a> {
    stride: i64,
    dilation: i64,
    padding: i64,
    rounded_up: bool,
    auto_pad: &'a [u8],
}

impl<'a> Along<'a> {
    fn read(node: &'a NodeProto, [axis, rank]: [usize; 2]) -> Self {
        let at = |name: &str, index: usize, default| {
            let list = node.ints_of(name).unwrap_or_default();
            list.get(index).copied().unwrap_or(default)
        };
        Self {
            stride: at("strides", axis, 1),
            dilation: at("dilations", axis, 1),
            padding: at("pads", axis, 0).saturating_add(at("pads", axis + rank, 0)),
            rounded_up: node.int_or("ceil_mode", 0) == 1,
            auto_pad: node.word_of("auto_pad").unwrap_or(b"NOTSET"),
        }
    }

    fn positions(&self, side: i64, window: i64) -> Option<i64> {
        if self.stride < 1 || window < 1 {
            return None;
        }
        let reach = window.saturating_sub(1).saturating_mul(self.dilation);
        let room = match self.auto_pad {
            b"SAME_UPPER" | b"SAME_LOWER" => side.saturating_sub(1),
            b"VALID" => side.saturating_sub(1).saturating_sub(reach),
            _ => side.saturating_add(self.padding).saturating_sub(1).saturating_sub(reach),
        };
        let extra = if self.rounded_up { self.stride - 1 } else { 0 };
        let steps = room.saturating_add(extra) / self.stride;
        (room >= 0).then(|| steps.saturating_add(1))
    }
}

fn gemm(operands: &Operands<'_, '_>) -> Result<Shape, String> {
    let (data, weight) = (operands.shape(0)?, operands.shape(1)?);
    let transposed = |name: &str| usize::from(operands.node.int_or(name, 0) != 0);
    let rows = data.get(transposed("transA"));
    let columns = weight.get(1 - transposed("transB"));
    match (rows, columns) {
        (Some(&rows), Some(&columns)) => Ok(vec![rows, columns]),
        _ => Err(operands.odd()),
    }
}

fn product(operands: &Operands<'_, '_>) -> Result<Shape, String> {
    let places = weighted::operands(operands.node).ok_or_else(|| operands.odd())?;
    let data = operands.shape(places.data)?;
    let weight = operands.shape(places.weight)?;
    let ([outer @ .., rows, _], [others @ .., _, columns]) = (&data[..], &weight[..]) else {
        return Err(operands.odd());
    };
    let mut output =
        together(&[&outer.to_vec(), &others.to_vec()]).ok_or_else(|| operands.odd())?;
    output.extend([rows, columns]);
    Ok(output)
}
