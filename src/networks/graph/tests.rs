//! The nodes, names and constants that options make of a description.

use super::*;
use crate::networks::description::{Convolution, FullyConnected, describe};
use crate::networks::last_layer::LastLayer;
use crate::networks::name::{Family, Network};
use crate::networks::options::{BuildOptions, InputType, Normalization, ShortcutOption};
use crate::networks::weights::Affine;

const TINY: Network = Network::new("tiny", Family::Cifar { blocks_per_stage: 1, residual: true });

/// One number for every weight.
struct Constant(f32);

impl Weights for Constant {
    fn convolution(&self, layer: &Convolution) -> Affine {
        let count = layer.weight_shape().iter().product();
        Affine { weight: vec![self.0; count], bias: vec![0.0; layer.outputs] }
    }

    fn fully_connected(&self, layer: &FullyConnected) -> Affine {
        let count = layer.inputs * layer.outputs;
        Affine { weight: vec![self.0; count], bias: vec![0.0; layer.outputs] }
    }
}

fn graph(options: &BuildOptions, weight: f32) -> Result<GraphProto, WeightError> {
    let options = options.check(TINY).unwrap();
    make_graph(&describe(TINY, &options), &options, &Constant(weight))
}

fn operators(graph: &GraphProto) -> Vec<&str> {
    graph.node.iter().map(|node| node.op_type.as_str()).collect()
}

fn output_names(graph: &GraphProto) -> Vec<&str> {
    graph.output.iter().map(|value| value.name.as_str()).collect()
}

#[test]
fn logits_are_the_only_output_until_features_are_asked_for() {
    let options = BuildOptions::default();
    assert_eq!(output_names(&graph(&options, 1.0).unwrap()), ["logits"]);
    let options = BuildOptions { features: true, ..options };
    let graph = graph(&options, 1.0).unwrap();
    assert_eq!(output_names(&graph), ["logits", "features", "feature_map"]);
    assert_eq!(graph.output[1], float(FEATURES, &[64]));
    assert_eq!(graph.output[2], float(FEATURE_MAP, &[64, 8, 8]));
}

#[test]
fn each_name_is_made_once() {
    let options = BuildOptions { features: true, ..BuildOptions::default() };
    let graph = graph(&options, 1.0).unwrap();
    let constants = graph.initializer.iter().map(|constant| &constant.name);
    let mut names: Vec<_> =
        graph.node.iter().flat_map(|node| &node.output).chain(constants).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn option_a_subsamples_and_pads_where_the_shape_changes() {
    let graph = graph(&BuildOptions::default(), 1.0).unwrap();
    let operators = operators(&graph);
    let count = |wanted| operators.iter().filter(|&&operator| operator == wanted).count();
    assert_eq!((count("Conv"), count("Slice"), count("Pad"), count("Add")), (7, 2, 2, 3));
}

#[test]
fn option_c_is_all_projections() {
    let options = BuildOptions { shortcut: Some(ShortcutOption::C), ..BuildOptions::default() };
    let graph = graph(&options, 1.0).unwrap();
    let operators = operators(&graph);
    assert_eq!(operators.iter().filter(|&&operator| operator == "Conv").count(), 10);
    assert!(!operators.contains(&"Pad"));
}

#[test]
fn bytes_are_normalised_and_small_pictures_enlarged_before_the_first_layer() {
    let options = BuildOptions {
        input_type: InputType::Uint8(Normalization::IMAGENET),
        upscale: Some(2),
        height: Some(16),
        ..BuildOptions::default()
    };
    let graph = graph(&options, 1.0).unwrap();
    assert_eq!(operators(&graph)[..5], ["Transpose", "Cast", "Mul", "Add", "Resize"]);
    let expected = ValueInfoProto::batched(INPUT, DataType::Uint8, &[16, 32, 3]);
    assert_eq!(graph.input, [expected]);
}

#[test]
fn float16_weights_are_cast_and_biases_are_not() {
    let options = BuildOptions { weights_type: WeightsType::Float16, ..BuildOptions::default() };
    let graph = graph(&options, 0.5).unwrap();
    assert_eq!(operators(&graph).iter().filter(|&&operator| operator == "Cast").count(), 8);
    let constant = |name: &str| graph.initializer.iter().find(|tensor| tensor.name == name);
    assert_eq!(constant("conv1.weight").unwrap().data_type(), DataType::Float16);
    assert_eq!(constant("conv1.weight").unwrap().raw_data.len(), 864);
    assert_eq!(constant("conv1.bias").unwrap().data_type(), DataType::Float);
}

#[test]
fn half_precision_goes_from_the_first_layer_to_the_last() {
    let half = BuildOptions { precision: Precision::Float16, ..BuildOptions::default() };
    let without_features = graph(&half, 0.5).unwrap();
    let operators = operators(&without_features);
    assert_eq!([operators[0], operators[operators.len() - 1]], ["Cast"; 2]);
    assert_eq!(operators.iter().filter(|&&operator| operator == "Cast").count(), 2);
    let in_halves = |tensor: &&TensorProto| tensor.data_type() == DataType::Float16;
    assert_eq!(without_features.initializer.iter().filter(in_halves).count(), 16);
    let with_features = graph(&BuildOptions { features: true, ..half }, 0.5).unwrap();
    assert_eq!(output_names(&with_features), ["logits", "features", "feature_map"]);
    assert_eq!(with_features.output[1], float(FEATURES, &[64]), "as in single precision");
    assert_eq!(LastLayer::find(&with_features, FEATURE_MAP, LOGITS).unwrap().channels(), 64);
}

#[test]
fn weights_that_cannot_be_stored_are_refused_by_layer() {
    let error = graph(&BuildOptions::default(), f32::NAN).unwrap_err();
    assert_eq!(error.to_string(), "the weights of `conv1` are not finite");
    let options = BuildOptions { weights_type: WeightsType::Float16, ..BuildOptions::default() };
    let error = graph(&options, 70_000.0).unwrap_err();
    assert_eq!(error.to_string(), "`conv1` has a weight of 70000, which float16 cannot hold");
}
