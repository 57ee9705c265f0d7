//! What the graph in 8 bits looks like; what it answers, tests of the program say.

use std::collections::BTreeMap;

use super::*;
use crate::networks::onnx::{DataType, NodeProto, TensorProto};
use crate::networks::{BuildOptions, BuildRequest, Precision, WeightSource, WeightsType, build};

fn built(name: &str, options: BuildOptions) -> ModelProto {
    let weights = WeightSource::Random { seed: 1 };
    let network = build(&BuildRequest { network: name.parse().unwrap(), options, weights });
    ModelProto::decode(network.unwrap().bytes()).unwrap()
}

fn small() -> ModelProto {
    built("cifar-resnet20", BuildOptions { features: true, ..BuildOptions::default() })
}

/// As if every value had been from -1 to 1.55, and where a rectifier gives it, from 0.
fn quantized(model: ModelProto) -> ModelProto {
    let network = Quantizable::new(model).unwrap();
    let between = |value: &String| Extremes {
        least: if value.ends_with("relu") || value == "feature_map" { 0.0 } else { -1.0 },
        greatest: 1.55,
    };
    let extremes: Vec<Extremes> = network.plan.values.iter().map(between).collect();
    ModelProto::decode(network.quantize(&extremes).unwrap().bytes()).unwrap()
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
fn what_a_rectifier_reads_is_not_rounded_before() {
    let model = quantized(small());
    let graph = model.graph.as_ref().unwrap();
    for rectifier in graph.node.iter().filter(|node| node.op_type == "Relu") {
        let (operator, _) = origin(graph, &rectifier.input[0]);
        assert!(["Conv", "Add"].contains(&operator), "{operator}");
        assert!(rectifier.output[0].ends_with(".unrounded"), "{}", rectifier.output[0]);
    }
    let rounded = operators(graph)["QuantizeLinear"];
    // The input; behind each of 19 rectifiers and each second convolution of 9 blocks; what option A's two
    // shortcuts pass on.
    assert_eq!(rounded, 1 + 19 + 9 + 2);
}

#[test]
fn pooling_passes_bytes_on_as_they_are() {
    let options = BuildOptions { height: Some(64), width: Some(64), ..BuildOptions::default() };
    let network = Quantizable::new(built("resnet18", options)).unwrap();
    let seen = |index: usize| Extremes {
        least: 0.0,
        greatest: 1.0 + f32::from(u8::try_from(index).unwrap()),
    };
    let extremes: Vec<Extremes> = (0..network.plan.values.len()).map(seen).collect();
    let model = ModelProto::decode(network.quantize(&extremes).unwrap().bytes()).unwrap();
    let graph = model.graph.as_ref().unwrap();
    let pooling = graph.node.iter().find(|node| node.op_type == "MaxPool").unwrap();
    let scale = |value: &str| graph.stored(&format!("{value}.scale")).unwrap().float32_values();
    let pooled = pooling.output[0].strip_suffix(".unrounded").unwrap();
    assert_eq!(scale(pooled), scale(&pooling.input[0]));
}

#[test]
fn a_graph_of_old_operators_rounds_by_the_runtimes_own() {
    let mut old = small();
    old.opset_import[0].version = 11;
    let model = quantized(old);
    let sets: Vec<(&str, i64)> =
        model.opset_import.iter().map(|set| (set.domain.as_str(), set.version)).collect();
    assert_eq!(sets, [("", 11), ("com.microsoft", 1)]);
    let rounding = |node: &&NodeProto| node.op_type.ends_with("tizeLinear");
    let nodes = &model.graph.as_ref().unwrap().node;
    assert!(nodes.iter().filter(rounding).all(|node| node.domain == "com.microsoft"));
}

#[test]
fn a_watched_graph_tells_of_every_value_and_nothing_else() {
    let network = Quantizable::new(small()).unwrap();
    let watched = ModelProto::decode(network.watched().as_slice()).unwrap();
    let graph = watched.graph.as_ref().unwrap();
    let outputs: Vec<&str> = graph.output.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(outputs, [LEAST, GREATEST]);
    for output in outputs {
        assert_eq!(graph.producer(output).unwrap().input.len(), network.plan.values.len());
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
fn a_graph_without_constant_weights_has_nothing_to_be_rounded() {
    // Casts that nobody has folded.
    let cast = BuildOptions { weights_type: WeightsType::Float16, ..BuildOptions::default() };
    for model in [built("cifar-resnet20", cast), ModelProto::default()] {
        assert!(matches!(Quantizable::new(model), Err(QuantizeError::NoLayers)));
    }
}

#[test]
fn values_without_extremes_are_refused_by_name() {
    let network = Quantizable::new(small()).unwrap();
    let count = network.plan.values.len();
    let unwatched = network.quantize(&[]).unwrap_err().to_string();
    assert_eq!(
        unwatched,
        format!("0 values were watched, and the graph has {count} to be rounded")
    );
    for odd in [f32::NAN, f32::INFINITY] {
        let mut extremes = vec![Extremes { least: 0.0, greatest: 1.0 }; count];
        extremes[1].greatest = odd;
        let error = network.quantize(&extremes).unwrap_err().to_string();
        assert!(error.contains(&network.plan.values[1]), "{error}");
    }
}

#[test]
fn one_picture_that_is_no_number_is_not_forgotten() {
    let (odd, fine) =
        (Extremes { least: f32::NAN, greatest: 1.0 }, Extremes { least: 0.0, greatest: 2.0 });
    for merged in [odd.with(fine), fine.with(odd)] {
        assert!(merged.least.is_nan(), "{merged:?}");
    }
    assert_eq!(
        fine.with(Extremes { least: -1.0, greatest: 1.0 }),
        Extremes { least: -1.0, greatest: 2.0 }
    );
}

#[test]
fn weights_that_are_not_in_the_file_are_named() {
    for spoil in [
        (|weights| weights.raw_data = Bytes::new()) as fn(&mut TensorProto),
        |weights| *weights = TensorProto::float32(&weights.name.clone(), &[1], &[f32::NAN]),
        |weights| *weights = TensorProto::float32(&weights.name.clone(), &[2, 1], &[1.0, 2.0]),
    ] {
        let mut model = small();
        let constants = &mut model.graph.as_mut().unwrap().initializer;
        spoil(constants.iter_mut().find(|one| one.name == "conv1.weight").unwrap());
        let network = Quantizable::new(model).unwrap();
        let extremes = vec![Extremes { least: 0.0, greatest: 1.0 }; network.plan.values.len()];
        let error = network.quantize(&extremes).unwrap_err().to_string();
        assert!(error.contains("`conv1.weight`"), "{error}");
    }
}
