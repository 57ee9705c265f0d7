//! What the graph in 8 bits looks like; what it answers, tests of the program say.

use std::collections::BTreeMap;

use super::*;
use crate::networks::onnx::{
    AttributeProto, DataType, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto,
};
use crate::networks::{BuildOptions, BuildRequest, Precision, WeightSource, WeightsType, build};

fn built(name: &str, options: BuildOptions) -> ModelProto {
    let weights = WeightSource::Random { seed: 1 };
    let network = build(&BuildRequest { network: name.parse().unwrap(), options, weights });
    ModelProto::decode(network.unwrap().bytes()).unwrap()
}

fn small() -> ModelProto {
    built("cifar-resnet20", BuildOptions { features: true, ..BuildOptions::default() })
}

fn of(model: ModelProto) -> Result<Quantizable, QuantizeError> {
    Quantizable::new(model, Path::new(""), None)
}

/// As if every value had been from -1 to 1.55, and where a rectifier gives it, from 0.
fn quantized(model: ModelProto) -> ModelProto {
    let network = of(model).unwrap();
    let between = |value: &String| Range {
        minimum: if value.ends_with("relu") || value == "feature_map" { 0.0 } else { -1.0 },
        maximum: 1.55,
    };
    let ranges: Vec<Range> = network.plan.activations.iter().map(between).collect();
    ModelProto::decode(network.quantize(&ranges).unwrap().bytes()).unwrap()
}

fn operators(graph: &GraphProto) -> BTreeMap<&str, usize> {
    let mut count = BTreeMap::new();
    graph.node.iter().for_each(|node| *count.entry(node.op_type.as_str()).or_default() += 1);
    count
}

/// The node that gives a value, and what that node reads.
fn origin<'a>(graph: &'a GraphProto, value: &str) -> (&'a str, &'a [String]) {
    let node = graph.producer(value).unwrap_or_else(|| panic!("nothing gives `{value}`"));
    (&node.op_type, &node.input)
}

#[test]
fn every_convolution_reads_bytes_and_the_last_layer_floats() {
    let model = quantized(small());
    let graph = model.graph.as_ref().unwrap();
    assert_eq!(operators(graph)["Conv"], 19);
    for layer in graph.node.iter().filter(|node| node.op_type == "Conv") {
        for (input, inner) in layer.input.iter().zip(["uint8", "int8", "int32"]) {
            let (operator, read) = origin(graph, input);
            assert_eq!(operator, "DequantizeLinear", "{input}");
            assert!(read[0].ends_with(inner), "{}", read[0]);
        }
    }
    let (operator, read) = origin(graph, "logits");
    assert_eq!(operator, "Gemm");
    assert_eq!(graph.stored(&read[1]).unwrap().data_type(), DataType::Float);
}

#[test]
fn inputs_outputs_and_figures_stay_as_they_were() {
    let before = small();
    let after = quantized(before.clone());
    let (old, new) = (before.graph.as_ref().unwrap(), after.graph.as_ref().unwrap());
    assert_eq!((&new.input, &new.output), (&old.input, &old.output));
    let figures = |model| inspect::inspect_model(model, 0).unwrap();
    let (old, new) = (figures(&before), figures(&after));
    assert_eq!(
        (new.depth, new.parameters, new.multiply_adds),
        (old.depth, old.parameters, old.multiply_adds)
    );
    assert_eq!((new.network, new.outputs), (old.network, old.outputs));
    assert_eq!(new.unknown_operators, [""; 0]);
}

#[test]
fn what_a_rectifier_reads_is_not_quantized_before() {
    let model = quantized(small());
    let graph = model.graph.as_ref().unwrap();
    for rectifier in graph.node.iter().filter(|node| node.op_type == "Relu") {
        let (operator, _) = origin(graph, &rectifier.input[0]);
        assert!(["Conv", "Add"].contains(&operator), "{operator}");
        assert!(rectifier.output[0].ends_with(".float32"), "{}", rectifier.output[0]);
    }
    let quantized = operators(graph)["QuantizeLinear"];
    // The input; behind each of 19 rectifiers and each second convolution of 9 blocks; of option A's two
    // shortcuts what is cut out and what is passed on.
    assert_eq!(quantized, 1 + 19 + 9 + 4);
}

#[test]
fn pooling_passes_bytes_on_as_they_are() {
    let options = BuildOptions { height: Some(64), width: Some(64), ..BuildOptions::default() };
    let network = of(built("resnet18", options)).unwrap();
    let seen = |index: usize| Range {
        minimum: 0.0,
        maximum: 1.0 + f32::from(u8::try_from(index).unwrap()),
    };
    let ranges: Vec<Range> = (0..network.plan.activations.len()).map(seen).collect();
    let model = ModelProto::decode(network.quantize(&ranges).unwrap().bytes()).unwrap();
    let graph = model.graph.as_ref().unwrap();
    let pooling = graph.node.iter().find(|node| node.op_type == "MaxPool").unwrap();
    let scale = |value: &str| graph.stored(&format!("{value}.scale")).unwrap().float32_values();
    let pooled = pooling.output[0].strip_suffix(".float32").unwrap();
    assert_eq!(scale(pooled), scale(&pooling.input[0]));
}

#[test]
fn dilations_of_one_are_dropped_from_pooling() {
    for (dilations, kept) in [([1, 1], false), ([2, 2], true)] {
        let mut model = with_hidden_product();
        let graph = model.graph.as_mut().unwrap();
        let pooling = NodeProto::new("AveragePool", "pooled", ["c"])
            .ints("kernel_shape", &[1, 1])
            .ints("dilations", &dilations);
        graph.node.insert(1, pooling);
        graph.node[2].input[0] = "pooled".to_owned();
        let model = quantized(model);
        let graph = model.graph.unwrap();
        let pooling = graph.node.iter().find(|node| node.op_type == "AveragePool").unwrap();
        assert_eq!(pooling.attribute("dilations").is_some(), kept);
        assert_eq!(origin(&graph, &pooling.input[0]).0, "DequantizeLinear");
    }
}

#[test]
fn a_graph_of_old_operators_quantizes_by_the_runtimes_own() {
    let mut old = small();
    old.opset_import[0].version = 11;
    let model = quantized(old);
    let sets: Vec<(&str, i64)> =
        model.opset_import.iter().map(|set| (set.domain.as_str(), set.version)).collect();
    assert_eq!(sets, [("", 12), ("com.microsoft", 1)]);
    let quantizing = |node: &&NodeProto| node.op_type.ends_with("tizeLinear");
    let nodes = &model.graph.as_ref().unwrap().node;
    assert!(nodes.iter().filter(quantizing).all(|node| node.domain == "com.microsoft"));
}

#[test]
fn the_observed_graph_tells_of_every_activation_and_nothing_else() {
    let network = of(small()).unwrap();
    let observed = ModelProto::decode(network.observed().as_slice()).unwrap();
    let graph = observed.graph.as_ref().unwrap();
    let outputs: Vec<&str> = graph.output.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(outputs, [MINIMA, MAXIMA]);
    for output in outputs {
        assert_eq!(graph.producer(output).unwrap().input.len(), network.plan.activations.len());
    }
}

#[test]
fn a_network_that_is_not_in_float32_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let half = BuildOptions { precision: Precision::Float16, ..BuildOptions::default() };
    for (model, word) in [(built("cifar-resnet20", half), "float16"), (quantized(small()), "int8")]
    {
        let file = folder.path().join(word);
        std::fs::write(&file, model.encode_to_vec()).unwrap();
        let error = Quantizable::check(&file).unwrap_err().to_string();
        assert!(error.contains(&format!("computes in {word}")), "{error}");
    }
    std::fs::write(folder.path().join("float32"), small().encode_to_vec()).unwrap();
    Quantizable::check(&folder.path().join("float32")).unwrap();
    assert!(matches!(Quantizable::check(folder.path()), Err(QuantizeError::Read { .. })));
}

#[test]
fn a_graph_without_constant_weights_has_nothing_to_quantize() {
    // Casts that nobody has folded.
    let cast = BuildOptions { weights_type: WeightsType::Float16, ..BuildOptions::default() };
    for model in [built("cifar-resnet20", cast), ModelProto::default()] {
        assert!(matches!(of(model), Err(QuantizeError::NoLayers)));
    }
}

#[test]
fn there_has_to_be_a_range_for_each_activation() {
    let network = of(small()).unwrap();
    let count = network.plan.activations.len();
    let error = network.quantize(&[]).unwrap_err().to_string();
    assert_eq!(error, format!("there are 0 ranges for {count} activations"));
}

#[test]
fn activations_that_are_no_finite_numbers_are_named() {
    let network = of(small()).unwrap();
    for odd in [f32::NAN, f32::INFINITY] {
        let finite = Range { minimum: 0.0, maximum: 1.0 };
        let mut ranges = vec![finite; network.plan.activations.len()];
        ranges[1].maximum = odd;
        let error = network.quantize(&ranges).unwrap_err().to_string();
        assert!(error.contains(&network.plan.activations[1]), "{error}");
    }
}

#[test]
fn the_layer_that_makes_the_scores_is_kept_wherever_it_stands() {
    // As in SqueezeNet: a convolution makes a map of each class's scores.
    let mut model = with_hidden_product();
    let graph = model.graph.as_mut().unwrap();
    graph.node.truncate(1);
    let convolution = NodeProto::new("Conv", "classes", ["c", "c2.weight", "c.bias"]);
    graph.node.push(convolution);
    graph.initializer.push(TensorProto::float32("c2.weight", &[2, 2, 1, 1], &[0.5; 4]));
    graph.node.push(NodeProto::new("Relu", "rectified", ["classes"]));
    graph.node.push(NodeProto::new("GlobalAveragePool", "mean", ["rectified"]));
    graph.node.push(NodeProto::new("Flatten", "scores", ["mean"]));
    assert_eq!(of(model.clone()).unwrap().layers(), (1, 2));
    // Another output does not make the layer before it the last.
    model.graph.as_mut().unwrap().output.push(ValueInfoProto::batched("c", DataType::Float, &[2]));
    let named = Quantizable::new(model.clone(), Path::new(""), Some("scores")).unwrap();
    assert_eq!(named.layers(), (1, 2));
    assert!(matches!(of(model), Err(QuantizeError::NoLayers)));
}

#[test]
fn a_range_with_nan_stays_nan() {
    let (odd, fine) =
        (Range { minimum: f32::NAN, maximum: 1.0 }, Range { minimum: 0.0, maximum: 2.0 });
    for merged in [odd.with(fine), fine.with(odd)] {
        assert!(merged.minimum.is_nan(), "{merged:?}");
    }
    assert_eq!(
        fine.with(Range { minimum: -1.0, maximum: 1.0 }),
        Range { minimum: -1.0, maximum: 2.0 }
    );
}

#[test]
fn weights_that_no_scale_can_be_found_for_are_named() {
    for (spoil, words) in [
        ((|weights| weights.raw_data = Bytes::new()) as fn(&mut TensorProto), "cannot be read"),
        (
            |weights| weights.raw_data = vec![0xff; weights.raw_data.len()].into(),
            "no finite numbers",
        ),
    ] {
        let mut model = small();
        let constants = &mut model.graph.as_mut().unwrap().initializer;
        spoil(constants.iter_mut().find(|one| one.name == "conv1.weight").unwrap());
        let network = of(model).unwrap();
        let ranges = vec![Range { minimum: 0.0, maximum: 1.0 }; network.plan.activations.len()];
        let error = network.quantize(&ranges).unwrap_err().to_string();
        assert!(error.contains("`conv1.weight`") && error.contains(words), "{error}");
    }
}

/// `input → Conv → Gemm → Gemm → scores`, with names that quantizing would like to use.
fn with_hidden_product() -> ModelProto {
    let node = |operator, name, inputs: [&str; 3]| NodeProto::new(operator, name, inputs);
    let constant = |name, dims: &[usize]| {
        let count: usize = dims.iter().product();
        let values: Vec<f32> = (0_u8..).take(count).map(|index| f32::from(index) - 2.0).collect();
        TensorProto::float32(name, dims, &values)
    };
    let graph = GraphProto {
        node: vec![
            node("Conv", "c", ["input", "c.weight", "c.bias"]),
            NodeProto::new("Flatten", "flat", ["c"]),
            node("Gemm", "hidden", ["flat", "c.scale", "c.zero_point"]),
            node("Gemm", "scores", ["hidden", "w", "b"]),
        ],
        initializer: vec![
            constant("c.weight", &[2, 3, 1, 1]),
            constant("c.bias", &[2]),
            constant("c.scale", &[2, 4]),
            constant("c.zero_point", &[4]),
            constant("w", &[4, 2]),
            constant("b", &[2]),
        ],
        input: ["input", "c.weight", "w"]
            .map(|name| ValueInfoProto::batched(name, DataType::Float, &[3, 1, 1]))
            .to_vec(),
        output: vec![ValueInfoProto::batched("scores", DataType::Float, &[2])],
        ..GraphProto::default()
    };
    let opset_import = [("", 13), ("ai.onnx.ml", 5)]
        .map(|(domain, version)| OperatorSetIdProto { domain: domain.to_owned(), version })
        .to_vec();
    ModelProto { ir_version: 3, graph: Some(graph), opset_import, ..ModelProto::default() }
}

#[test]
fn names_that_are_taken_are_left_alone() {
    let model = quantized(with_hidden_product());
    let graph = model.graph.unwrap();
    let mut names: Vec<&str> = graph.initializer.iter().map(|one| one.name.as_str()).collect();
    names.extend(graph.node.iter().flat_map(|node| &node.output).map(String::as_str));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn a_product_has_zero_points_for_its_weights_along_their_columns() {
    let model = quantized(with_hidden_product());
    let graph = model.graph.unwrap();
    let (_, read) = origin(&graph, "hidden.float32");
    let weights = graph.producer(&read[1]).unwrap();
    assert_eq!((weights.op_type.as_str(), weights.int_or("axis", 9)), ("DequantizeLinear", 1));
    let zero_points = graph.stored(&weights.input[2]).unwrap();
    assert_eq!((zero_points.dims.as_slice(), zero_points.data_type()), (&[4][..], DataType::Int8));
}

#[test]
fn constants_are_no_inputs_and_sets_without_nodes_go() {
    let model = quantized(with_hidden_product());
    assert_eq!((model.ir_version, model.opset_import.len()), (4, 1));
    let graph = model.graph.unwrap();
    let inputs: Vec<&str> = graph.input.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(inputs, ["input"]);
    let floats = graph.initializer.iter().filter(|one| one.dims.len() > 1);
    let floats: Vec<&str> = floats
        .filter(|one| one.data_type() == DataType::Float)
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(floats, ["w"], "what is in 8 bits is not there in float32 too");
}

#[test]
fn what_a_graph_within_reads_is_kept() {
    let mut model = with_hidden_product();
    let graph = model.graph.as_mut().unwrap();
    graph.node[1].attribute.push(AttributeProto {
        name: "then_branch".to_owned(),
        g: Some(Bytes::from_static(b"\x12\x01g")),
        ..Default::default()
    });
    graph.initializer.push(TensorProto::int64("inner", &[1]));
    let model = quantized(model);
    assert!(model.graph.as_ref().unwrap().stored("inner").is_some());
    assert_eq!(model.opset_import.len(), 2);
}

#[test]
fn operators_that_meant_something_else_are_refused_by_name() {
    let mut old = small();
    old.opset_import[0].version = 9;
    let error = of(old).unwrap_err().to_string();
    assert!(error.contains("set 9") && error.contains("`Slice`"), "{error}");
    let mut ancient = with_hidden_product();
    ancient.opset_import[0].version = 6;
    assert!(matches!(of(ancient), Err(QuantizeError::OldOperators { set: 6, .. })));
    let mut newer = with_hidden_product();
    newer.opset_import[0].version = 7;
    assert_eq!(quantized(newer).opset_import[0].version, 12);
}
