//! Operators that cut, extend, resize and rearrange.

use super::operands::Operands;
use super::{MOST_AXES, Rule, Shape};
use crate::networks::onnx::make::to_i64;

/// The rule for `operator`, where it is one of these.
pub(super) fn rule(operator: &str) -> Option<Rule> {
    Some(match operator {
        "Concat" => concat,
        "Constant" => |operands| Err(operands.odd()),
        "Flatten" => flatten,
        "Gather" => gather,
        "Pad" => pad,
        "ReduceMean" | "ReduceSum" | "ReduceMax" => reduce,
        "Reshape" => reshape,
        "Resize" | "Upsample" => resize,
        "Shape" => |operands| Ok(vec![to_i64(operands.shape(0)?.len())]),
        "Slice" => slice,
        "Squeeze" => squeeze,
        "Transpose" => transpose,
        "Unsqueeze" => unsqueeze,
        _ => return None,
    })
}

fn concat(operands: &Operands<'_, '_>) -> Result<Shape, String> {
    let shapes = operands.shapes()?;
    let mut output = shapes.first().copied().cloned().ok_or_else(|| operands.odd())?;
    let axis = operands.axis(0, output.len())?;
    let sides: Option<Vec<i64>> = shapes.iter().map(|shape| shape.get(axis).copied()).collect();
    let sides = sides.filter(|_| axis < output.len()).ok_or_else(|| operands.odd())?;
    output[axis] = sides.into_iter().fold(0, i64::saturating_add);
    Ok(output)
}

fn flatten(operands: &Operands<'_, '_>) -> Result<Shape, String> {
    let data = operands.shape(0)?;
    let (outer, inner) = data.split_at(operands.axis(1, data.len())?);
    Ok(vec![elements(outer), elements(inner)])
}

fn gather(operands: &Operands<'_, '_>) -> Result<Shape, String> {
    let (data, indices) = (operands.shape(0)?, operands.shape(1)?);
    let axis = operands.axis(0, data.len())?;
    let after = data.get(axis + 1..).ok_or_else(|| operands.odd())?;
    Ok([&data[..axis], indices, after].concat())
}

fn pad(operands: &Operands<'_, '_>) -> Result<Shape, String> {
    let data = operands.shape(0)?;
    let pads = operands.integers_or_attribute(1, "pads").unwrap_or_default();
    if pads.len() != data.len() * 2 || operands.node.input_at(3).is_some() {
        return Err(operands.odd());
    }
    let (before, after) = pads.split_at(data.len());
    let padded = data.iter().zip(before.iter().zip(after));
    Ok(padded
        .map(|(side, (before, after))| side.saturating_add(*before).saturating_add(*after))
        .collect())
}

fn reduce(operands: &Operands<'_, '_>) -> Result<Shape, String> {
    let data = operands.shape(0)?;
    let axes = match operands.integers_or_attribute(1, "axes") {
        Some(axes) => positions(operands, axes, data.len())?,
        None if operands.node.input_at(1).is_some() => return Err(operands.odd()),
        None => (0..data.len()).collect(),
    };
    let kept = operands.node.int_or("keepdims", 1) == 1;
    let sides = data.iter().enumerate();
    Ok(sides
        .filter(|(axis, _)| kept || !axes.contains(axis))
        .map(|(axis, &side)| if axes.contains(&axis) { 1 } else { side })
        .collect())
}

/// A 0 keeps the side, a -1 takes what is left.
fn reshape(operands: &Operands<'_, '_>) -> Result<Shape, String> {
    let data = operands.shape(0)?;
    let asked = operands.integers_or_attribute(1, "shape").ok_or_else(|| operands.odd())?;
    let kept = |(axis, &side): (usize, &i64)| match side {
        0 => data.get(axis).copied().unwrap_or(0),
        side => side,
    };
    let mut output: Shape = asked.iter().enumerate().map(kept).collect();
    if let Some(open) = output.iter().position(|&side| side == -1) {
        output[open] = 1;
        let known = elements(&output);
        output[open] = elements(data).checked_div(known).ok_or_else(|| operands.odd())?;
    }
    if elements(&output) == elements(data) { Ok(output) } else { Err(operands.odd()) }
}

/// Sizes are input 3; scales are input 2, in old operator sets input 1.
fn resize(operands: &Operands<'_, '_>) -> Result<Shape, String> {
    let data = operands.shape(0)?;
    if let Some(sizes) = operands.integers(3) {
        return Ok(sizes.to_vec());
    }
    let scales = operands.numbers(2).or_else(|| operands.numbers(1));
    let scales = scales.filter(|scales| scales.len() == data.len());
    let scales = scales.ok_or_else(|| operands.odd())?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "ONNX defines the size as the floor of this product"
    )]
    let product = |(&side, scale): (&i64, f32)| (side as f64 * f64::from(scale)).floor() as i64;
    Ok(data.iter().zip(scales).map(product).collect())
}

fn slice(operands: &Operands<'_, '_>) -> Result<Shape, String> {
    let mut output = operands.shape(0)?.clone();
    let starts = operands.integers_or_attribute(1, "starts").ok_or_else(|| operands.odd())?;
    let ends = operands.integers_or_attribute(2, "ends").ok_or_else(|| operands.odd())?;
    let along = operands.integers_or_attribute(3, "axes");
    let steps = operands.integers(4);
    for (index, (&start, &end)) in starts.iter().zip(ends).enumerate() {
        let at = |list: Option<&[i64]>, default| {
            list.map_or(Some(default), |list| list.get(index).copied())
        };
        let axis = at(along, to_i64(index)).ok_or_else(|| operands.odd())?;
        let axis = operands.position(axis, output.len())?;
        let step = at(steps, 1).filter(|&step| step > 0).ok_or_else(|| operands.odd())?;
        let side = output.get_mut(axis).ok_or_else(|| operands.odd())?;
        let place = |bound: i64| {
            let from_end = if bound < 0 { bound.saturating_add(*side) } else { bound };
            from_end.clamp(0, *side)
        };
        let length = (place(end) - place(start)).max(0);
        *side = length / step + i64::from(length % step != 0);
    }
    Ok(output)
}

fn squeeze(operands: &Operands<'_, '_>) -> Result<Shape, String> {
    let data = operands.shape(0)?;
    let axes = match operands.integers_or_attribute(1, "axes") {
        Some(axes) => positions(operands, axes, data.len())?,
        None => (0..data.len()).filter(|&axis| data[axis] == 1).collect(),
    };
    let sides = data.iter().enumerate();
    Ok(sides.filter(|(axis, _)| !axes.contains(axis)).map(|(_, &side)| side).collect())
}

fn transpose(operands: &Operands<'_, '_>) -> Result<Shape, String> {
    let data = operands.shape(0)?;
    let Some(order) = operands.node.ints_of("perm") else {
        return Ok(data.iter().rev().copied().collect());
    };
    let side = |axis: &usize| data.get(*axis).copied().ok_or_else(|| operands.odd());
    positions(operands, order, data.len())?.iter().map(side).collect()
}

fn unsqueeze(operands: &Operands<'_, '_>) -> Result<Shape, String> {
    let data = operands.shape(0)?;
    let axes = operands.integers_or_attribute(1, "axes").ok_or_else(|| operands.odd())?;
    let rank = data.len() + axes.len();
    if rank > MOST_AXES {
        return Err(operands.odd());
    }
    let axes = positions(operands, axes, rank)?;
    let mut sides = data.iter().copied();
    let side = |axis: usize| {
        if axes.contains(&axis) { Some(1) } else { sides.next() }
    };
    let output: Option<Shape> = (0..rank).map(side).collect();
    output.ok_or_else(|| operands.odd())
}

fn positions(operands: &Operands<'_, '_>, axes: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    axes.iter().map(|&axis| operands.position(axis, rank)).collect()
}

fn elements(shape: &[i64]) -> i64 {
    shape.iter().fold(1, |product, &side| product.saturating_mul(side))
}
