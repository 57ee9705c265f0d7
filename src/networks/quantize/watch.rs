//! A graph that tells between which numbers its values lie.

use crate::networks::onnx::{
    DataType, GraphProto, NodeProto, TensorProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// The output with the least number of each value.
pub(crate) const LEAST: &str = "watched.least";
/// The output with the greatest.
pub(crate) const GREATEST: &str = "watched.greatest";

/// A list of one element, as a shape.
const ONE: &str = "watched.one";

/// The graph with those two outputs in the place of its own.
pub(super) fn watched(graph: &GraphProto, values: &[String]) -> GraphProto {
    let mut watched = graph.clone();
    watched.initializer.push(TensorProto::int64(ONE, &[1]));
    watched.output.clear();
    for (output, operator) in [(LEAST, "ReduceMin"), (GREATEST, "ReduceMax")] {
        let mut list = NodeProto::new("Concat", output, []).int("axis", 0);
        for (index, value) in values.iter().enumerate() {
            let (scalar, one) = (format!("{output}.{index}.scalar"), format!("{output}.{index}"));
            watched.node.push(NodeProto::new(operator, &scalar, [value]).int("keepdims", 0));
            watched.node.push(NodeProto::new("Reshape", &one, [&scalar, ONE]));
            list.input.push(one);
        }
        watched.node.push(list);
        watched.output.push(floats(output));
    }
    watched
}

/// A declared output of float32, of any shape.
fn floats(name: &str) -> ValueInfoProto {
    let tensor = TensorTypeProto { elem_type: DataType::Float.into(), shape: None };
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}
