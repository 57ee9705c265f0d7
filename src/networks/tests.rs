//! The figures of the paper's networks, and what a request may get wrong.

use super::*;
use crate::networks::inspect::Dimension;

fn request(name: &str, options: BuildOptions) -> BuildRequest {
    BuildRequest {
        network: name.parse().unwrap(),
        options,
        weights: WeightSource::Random { seed: 1 },
    }
}

/// The graph's figures without the time that random weights take.
fn figures(name: &str, options: &BuildOptions) -> Inspection {
    struct Zeros;
    impl Weights for Zeros {
        fn convolution(&self, layer: &description::Convolution) -> weights::Affine {
            zeros(layer.weight_shape().iter().product(), layer.outputs)
        }
        fn fully_connected(&self, layer: &description::FullyConnected) -> weights::Affine {
            zeros(layer.inputs * layer.outputs, layer.outputs)
        }
    }
    fn zeros(weights: usize, biases: usize) -> weights::Affine {
        weights::Affine { weight: vec![0.0; weights], bias: vec![0.0; biases] }
    }
    let network = name.parse().unwrap();
    let options = options.check(network).unwrap();
    let description = describe(network, &options);
    let model = ModelProto {
        graph: Some(graph::make_graph(&description, &options, &Zeros).unwrap()),
        metadata_props: remarks(network, &description),
        ..ModelProto::default()
    };
    inspect::inspect_model(&model, 0).unwrap()
}

fn paper(variant: Option<Variant>) -> BuildOptions {
    BuildOptions { variant, ..BuildOptions::default() }
}

/// Name, variant, depth, parameters, multiply-adds. The paper's figures beside them: 1.8, 3.6, 3.8, 7.6, 11.3
/// and 19.6 thousand million, and 0.27, 0.46, 0.66, 0.85, 1.7 and 19.4 million parameters.
const TABLE: [(&str, Option<Variant>, usize, u64, u64); 22] = [
    ("plain18", None, 18, 11_515_688, 1_794_805_760),
    ("plain34", None, 34, 21_623_848, 3_644_493_824),
    ("resnet18", None, 18, 11_689_512, 1_814_073_344),
    ("resnet34", None, 34, 21_797_672, 3_663_761_408),
    ("resnet50", Some(Variant::V1), 50, 25_557_032, 3_857_973_248),
    ("resnet50", None, 50, 25_557_032, 4_089_184_256),
    ("resnet101", Some(Variant::V1), 101, 44_549_160, 7_570_194_432),
    ("resnet101", None, 101, 44_549_160, 7_801_405_440),
    ("resnet152", Some(Variant::V1), 152, 60_192_808, 11_282_415_616),
    ("resnet152", None, 152, 60_192_808, 11_513_626_624),
    ("vgg19", None, 19, 143_667_240, 19_632_062_464),
    ("cifar-plain20", None, 20, 269_722, 40_551_040),
    ("cifar-plain32", None, 32, 464_154, 68_862_592),
    ("cifar-plain44", None, 44, 658_586, 97_174_144),
    ("cifar-plain56", None, 56, 853_018, 125_485_696),
    ("cifar-plain110", None, 110, 1_727_962, 252_887_680),
    ("cifar-resnet20", None, 20, 269_722, 40_551_040),
    ("cifar-resnet32", None, 32, 464_154, 68_862_592),
    ("cifar-resnet44", None, 44, 658_586, 97_174_144),
    ("cifar-resnet56", None, 56, 853_018, 125_485_696),
    ("cifar-resnet110", None, 110, 1_727_962, 252_887_680),
    ("cifar-resnet1202", None, 1202, 19_421_274, 2_829_238_912),
];

#[test]
fn every_network_has_the_figures_of_the_paper() {
    let mut wrong = Vec::new();
    for (name, variant, depth, parameters, multiply_adds) in TABLE {
        let found = figures(name, &paper(variant));
        let found = (found.depth, found.parameters.unfolded.unwrap(), found.multiply_adds.unwrap());
        if found != (depth, parameters, multiply_adds) {
            wrong.push(format!("{name} {variant:?}: {found:?}"));
        }
    }
    assert_eq!(wrong, [""; 0], "{}", wrong.join("\n"));
}

#[test]
fn a_built_network_can_be_written_and_read_again() {
    let built = build(&request("cifar-resnet20", BuildOptions::default())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    built.write(&path).unwrap();
    let read = inspect::inspect(&path).unwrap();
    assert_eq!(&read, built.inspection());
    assert_eq!(read.network.as_deref(), Some("cifar-resnet20"));
    assert_eq!(read.inputs[0].shape[0], Dimension::Named("batch".to_owned()));
    assert_eq!(std::fs::read(&path).unwrap(), built.bytes());
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let request = request("cifar-resnet20", BuildOptions::default());
    let other = BuildRequest { weights: WeightSource::Random { seed: 2 }, ..request.clone() };
    let first = build(&request).unwrap();
    assert_eq!(first.bytes(), build(&request).unwrap().bytes());
    assert_ne!(first.bytes(), build(&other).unwrap().bytes());
}

#[test]
fn float16_weights_take_half_the_bytes_and_leave_the_figures() {
    let float16 = BuildOptions { weights_type: WeightsType::Float16, ..BuildOptions::default() };
    let whole = build(&request("cifar-resnet56", BuildOptions::default())).unwrap();
    let half = build(&request("cifar-resnet56", float16)).unwrap();
    assert!(half.bytes().len() * 100 < whole.bytes().len() * 55);
    assert_eq!(half.inspection().parameters, whole.inspection().parameters);
    assert_eq!(half.inspection().multiply_adds, whole.inspection().multiply_adds);
    assert_eq!(half.inspection().depth, 56);
}

#[test]
fn every_option_leaves_a_graph_whose_figures_can_be_counted() {
    let uint8 = InputType::Uint8(Normalization::IMAGENET);
    let default = BuildOptions::default;
    for options in [
        BuildOptions { shortcut: Some(ShortcutOption::A), ..default() },
        BuildOptions { shortcut: Some(ShortcutOption::C), ..default() },
        BuildOptions { input_type: uint8, features: true, ..default() },
        BuildOptions { upscale: Some(2), height: Some(64), width: Some(48), ..default() },
    ] {
        let inspection = figures("resnet50", &options);
        assert_eq!(inspection.multiply_adds_unknown, None, "{options:?}");
        assert_eq!(inspection.depth, 50, "{options:?}");
    }
}

#[test]
fn upscaling_counts_at_the_size_that_the_network_sees() {
    let options = BuildOptions {
        upscale: Some(7),
        height: Some(32),
        width: Some(32),
        ..BuildOptions::default()
    };
    let enlarged = figures("vgg19", &options);
    assert_eq!(enlarged.multiply_adds, figures("vgg19", &BuildOptions::default()).multiply_adds);
}

#[test]
fn option_errors_come_before_anything_is_built() {
    let options = BuildOptions { classes: Some(0), ..BuildOptions::default() };
    let error = build(&request("resnet152", options)).unwrap_err();
    assert_eq!(error.to_string(), "classes is 0; it must be from 1 to 100000");
}
