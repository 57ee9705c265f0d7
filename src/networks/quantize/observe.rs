//! The graph that calibration runs: it gives the range of each activation.

use super::names::Names;
use crate::networks::onnx::{
    DataType, GraphProto, NodeProto, TensorProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// The output with the minimum of each activation.
pub(crate) const MINIMA: &str = "calibration.minima";
/// The output with the maximum.
pub(crate) const MAXIMA: &str = "calibration.maxima";

/// The graph with those two outputs in the place of its own.
pub(super) fn observed(graph: &GraphProto, activations: &[String]) -> GraphProto {
    let (mut names, mut observed) = (Names::of(graph), graph.clone());
    let shape = names.fresh("calibration.shape");
    observed.initializer.push(TensorProto::int64(&shape, &[1]));
    observed.output.clear();
    for (output, operator) in [(MINIMA, "ReduceMin"), (MAXIMA, "ReduceMax")] {
        let mut list = NodeProto::new("Concat", output, []).int("axis", 0);
        for activation in activations {
            let scalar = names.fresh("calibration.scalar");
            let one = names.fresh("calibration.element");
            observed.node.push(NodeProto::new(operator, &scalar, [activation]).int("keepdims", 0));
            observed.node.push(NodeProto::new("Reshape", &one, [&scalar, &shape]));
            list.input.push(one);
        }
        observed.node.push(list);
        observed.output.push(floats(output));
    }
    observed
}

/// A declared output of float32, of any shape.
fn floats(name: &str) -> ValueInfoProto {
    let tensor = TensorTypeProto { elem_type: DataType::Float.into(), shape: None };
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}
