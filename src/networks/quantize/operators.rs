//! Graphs of older sets of ONNX's operators, which the runtime does not run in 8 bits.

use super::QuantizeError;
use crate::networks::onnx::{GraphProto, ModelProto, OperatorSetIdProto};

/// The set in which pooling takes bytes.
const POOLS_BYTES: i64 = 12;
/// The first version of the file format in which constants are no inputs.
const CONSTANTS_ALONE: i64 = 4;

/// Operators that mean in set 12 what they mean in 7 and later. Of normalisation set 7 knew another kind,
/// for each place of a map, which no classifier uses.
const UNCHANGED: [&str; 46] = [
    "Abs",
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Ceil",
    "Concat",
    "Constant",
    "Conv",
    "ConvTranspose",
    "Div",
    "Elu",
    "Exp",
    "Flatten",
    "Floor",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "HardSigmoid",
    "Identity",
    "LRN",
    "LeakyRelu",
    "LogSoftmax",
    "MatMul",
    "MaxPool",
    "Mul",
    "Neg",
    "PRelu",
    "Pow",
    "ReduceMax",
    "ReduceMean",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Shape",
    "Sigmoid",
    "Softmax",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Tanh",
    "Transpose",
    "Unsqueeze",
];
/// The first set of which nothing else is known.
const UNCHANGED_SINCE: i64 = 7;

/// Others, with the set since which they mean what they mean in 12.
const CHANGED: [(&str, i64); 4] = [("Clip", 11), ("Pad", 11), ("Resize", 11), ("Slice", 10)];

/// The last set before 12; all but one of its operators mean the same there.
const LAST_BEFORE: i64 = 11;
const CHANGED_LAST: &str = "Dropout";

/// Names a newer set where the graph's is too old and that changes nothing.
pub(super) fn raise(model: &mut ModelProto, graph: &GraphProto) -> Result<(), QuantizeError> {
    model.ir_version = model.ir_version.max(CONSTANTS_ALONE);
    let own = |set: &&mut OperatorSetIdProto| set.domain.is_empty();
    let Some(set) = model.opset_import.iter_mut().find(own) else { return Ok(()) };
    if set.version >= POOLS_BYTES {
        return Ok(());
    }
    let operators = graph.node.iter().filter(|node| node.domain.is_empty());
    let mut operators = operators.map(|node| node.op_type.as_str());
    if let Some(operator) = operators.find(|name| means_something_else(name, set.version)) {
        let operator = operator.to_owned();
        return Err(QuantizeError::OldOperators { set: set.version, operator });
    }
    set.version = POOLS_BYTES;
    Ok(())
}

/// Than in set 12, or may.
fn means_something_else(operator: &str, set: i64) -> bool {
    if set == LAST_BEFORE {
        return operator == CHANGED_LAST;
    }
    let changed = CHANGED.iter().find(|(name, _)| *name == operator).map(|(_, since)| *since);
    let unchanged = UNCHANGED.contains(&operator).then_some(UNCHANGED_SINCE);
    changed.or(unchanged).is_none_or(|since| set < since)
}
