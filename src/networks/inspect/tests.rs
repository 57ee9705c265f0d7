//! What is counted in graphs of other programs, and which files are refused.

use super::*;
use crate::networks::onnx::{NodeProto, OperatorSetIdProto, TensorProto};

/// A file with one float32 input of `dims` per image.
fn model(dims: &[usize], nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> ModelProto {
    let output = nodes.last().map_or("nothing", |node| node.output[0].as_str());
    let output = ValueInfoProto::batched(output, DataType::Float, &[]);
    ModelProto {
        producer_name: "pytorch".to_owned(),
        producer_version: "2.15.0".to_owned(),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 13 }],
        graph: Some(GraphProto {
            node: nodes,
            initializer: constants,
            input: vec![ValueInfoProto::batched("x", DataType::Float, dims)],
            output: vec![output],
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    }
}

fn weight(name: &str, dims: &[usize]) -> TensorProto {
    TensorProto::float32(name, dims, &vec![0.0; dims.iter().product()])
}

fn inspected(model: &ModelProto) -> Inspection {
    inspect_model(model, 1234).unwrap()
}

/// A convolution, separate normalisation, pooling, a computed reshape and a matrix product: as exporters write.
fn exported() -> ModelProto {
    let nodes = vec![
        NodeProto::new("Conv", "c", ["x", "c.w"]).ints("strides", &[2, 2]).ints("pads", &[1; 4]),
        NodeProto::new("BatchNormalization", "n", ["c", "n.s", "n.b", "n.m", "n.v"]),
        NodeProto::new("Relu", "r", ["n"]),
        NodeProto::new("MaxPool", "p", ["r"])
            .ints("kernel_shape", &[3, 3])
            .ints("strides", &[2, 2])
            .int("ceil_mode", 1),
        NodeProto::new("ReduceMean", "g", ["p"]).ints("axes", &[-1, -2]),
        NodeProto::new("Shape", "shape", ["g"]),
        NodeProto::new("Gather", "batch", ["shape", "zero"]),
        NodeProto::new("Concat", "sides", ["batch", "rest"]).int("axis", 0),
        NodeProto::new("Reshape", "f", ["g", "sides"]),
        NodeProto::new("MatMul", "m", ["f", "m.w"]),
        NodeProto::new("Add", "logits", ["m", "m.b"]),
    ];
    let constants = vec![
        weight("c.w", &[8, 3, 3, 3]),
        weight("n.s", &[8]),
        weight("n.b", &[8]),
        weight("n.m", &[8]),
        weight("n.v", &[8]),
        TensorProto::int64("zero", &[0]),
        TensorProto::int64("rest", &[-1]),
        weight("m.w", &[8, 5]),
        weight("m.b", &[5]),
    ];
    model(&[3, 32, 32], nodes, constants)
}

#[test]
fn another_programs_network_is_counted() {
    let inspection = inspected(&exported());
    assert_eq!(inspection.depth, 2);
    assert_eq!(inspection.parameters.stored, 216 + 16 + 40 + 5);
    assert_eq!(inspection.multiply_adds, Some(16 * 16 * 216 + 40));
    assert_eq!(inspection.unknown_operators, [""; 0]);
}

#[test]
fn an_inspection_prints_as_a_table() {
    insta::assert_snapshot!(inspected(&exported()), @r"
    depth           2 layers with weights
    parameters      277 (with a scale and a shift per normalised channel)
    multiply-adds   55,336 (0.1 M)
    input           x: float32 [batch, 3, 32, 32]
    output          logits: float32 [batch]
    operators       ai.onnx 13
    producer        pytorch 2.15.0
    file            1,234 bytes
    ");
}

#[test]
fn shapes_are_numbers_and_names_in_json() {
    let json = serde_json::to_value(inspected(&exported())).unwrap();
    assert_eq!(json["inputs"][0]["shape"], serde_json::json!(["batch", 3, 32, 32]));
    assert_eq!(json["inputs"][0]["type"], "float32");
    assert_eq!(json["parameters"]["normalization"], "separate");
}

#[test]
fn an_unknown_operator_is_said_instead_of_guessed() {
    let nodes =
        vec![NodeProto::new("Conv", "c", ["x", "c.w"]), NodeProto::new("Fourier", "logits", ["c"])];
    let inspection = inspected(&model(&[3, 8, 8], nodes, vec![weight("c.w", &[8, 3, 3, 3])]));
    assert_eq!(inspection.multiply_adds, None);
    assert_eq!(inspection.unknown_operators, ["Fourier"]);
    let table = inspection.to_string();
    assert!(table.contains("unknown: operator `Fourier` is not known"), "{table}");
    assert!(table.contains("1 layers with weights, not counting Fourier"), "{table}");
}

#[test]
fn an_input_without_a_size_leaves_the_multiply_adds_open() {
    let mut model = exported();
    let graph = model.graph.as_mut().unwrap();
    graph.input = vec![ValueInfoProto { name: "x".to_owned(), r#type: None }];
    let inspection = inspected(&model);
    let reason = inspection.multiply_adds_unknown.unwrap();
    assert_eq!(reason, "input `x` has no fixed size");
    assert_eq!(inspection.depth, 2);
}

#[test]
fn float16_weights_behind_a_cast_are_parameters_and_depth() {
    let nodes = vec![
        NodeProto::new("Cast", "w32", ["w"]).int("to", 1),
        NodeProto::new("MatMul", "logits", ["x", "w32"]),
    ];
    let halves = TensorProto::float16("w", &[4, 2], &[half::f16::ONE; 8]);
    let inspection = inspected(&model(&[4], nodes, vec![halves]));
    assert_eq!((inspection.depth, inspection.parameters.stored), (1, 8));
    assert_eq!(inspection.multiply_adds, Some(8));
}

#[test]
fn absurd_sizes_are_answered_without_overflow() {
    for value in [i64::MAX, i64::MIN, 0, -1] {
        let mut model = exported();
        for node in &mut model.graph.as_mut().unwrap().node {
            for attribute in &mut node.attribute {
                attribute.ints.fill(value);
            }
        }
        inspected(&model);
    }
}

#[test]
fn impossible_constants_are_refused_by_name() {
    for dims in [vec![-1, 3], vec![i64::MAX, i64::MAX]] {
        let mut model = exported();
        model.graph.as_mut().unwrap().initializer[0].dims = dims;
        let error = inspect_model(&model, 0).unwrap_err().to_string();
        assert!(error.starts_with("constant `c.w` has impossible dimensions"), "{error}");
    }
}

#[test]
fn a_file_with_any_byte_changed_is_inspected_or_refused() {
    let whole = exported().encode_to_vec();
    for index in 0..whole.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[index] ^= change;
            if let Ok(model) = ModelProto::decode(Bytes::from(bytes)) {
                let _ = inspect_model(&model, 0).map(|inspection| inspection.to_string());
            }
        }
    }
}

#[test]
fn what_stands_in_the_way_is_said_briefly_however_long_the_file_says_it() {
    let long = "a".repeat(1 << 16);
    let many_axes = TensorProto { dims: vec![1; 1 << 16], ..weight("c", &[1]) };
    for (nodes, constant) in [
        (vec![NodeProto::new("Relu", "y", ["c"])], many_axes),
        (vec![NodeProto::new("Relu", "y", [long.as_str()])], weight("c", &[1])),
        (vec![NodeProto::new("Flatten", &long, ["c"]).int("axis", 9)], weight("c", &[1])),
    ] {
        let last = nodes.last().unwrap().output[0].clone();
        let behind = (0..100).map(|_| NodeProto::new("MatMul", "m", [last.as_str(), "c"]));
        let nodes = nodes.into_iter().chain(behind).collect();
        let inspection = inspected(&model(&[3], nodes, vec![constant]));
        let reason = inspection.multiply_adds_unknown.unwrap();
        assert!(reason.chars().count() <= 201, "{reason}");
    }
}

#[test]
fn a_million_axes_are_refused_and_not_counted_one_by_one() {
    let nodes = vec![
        NodeProto::new("Unsqueeze", "u", ["x"]).ints("axes", &vec![0; 1 << 20]),
        NodeProto::new("MatMul", "y", ["u", "w"]),
    ];
    let inspection = inspected(&model(&[3], nodes, vec![weight("w", &[3, 2])]));
    let reason = inspection.multiply_adds_unknown.unwrap();
    assert_eq!(reason, "the shape of Unsqueeze `u` cannot be inferred");
}

#[test]
fn what_is_no_onnx_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let whole = exported().encode_to_vec();
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(inspect(&path).unwrap().file_bytes, whole.len());
    for bytes in [&whole[..whole.len() / 2], b"", b"<html></html>", &[0xff; 64]] {
        std::fs::write(&path, bytes).unwrap();
        let error = inspect(&path).unwrap_err().to_string();
        assert!(error.contains("is no ONNX file"), "{error}");
    }
    let error = inspect(&folder.path().join("absent")).unwrap_err().to_string();
    assert!(error.starts_with("cannot read"), "{error}");
}
