//! Built networks in ONNX Runtime against what PyTorch answers with the same weights and pictures.
//!
//! `tests/reference/make_network_goldens.py` writes the expected answers, and says how weights and pictures
//! are made.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "networks/formula.rs"]
mod formula;
#[path = "networks/golden.rs"]
mod golden;

use std::sync::LazyLock;

use golden::Golden;
use ort::environment::Environment;
use ort::session::Session;
use ort::value::Tensor;
use resnet_serve::inference::runtime;
use resnet_serve::networks::{
    self, BuildOptions, BuildRequest, BuiltNetwork, InputType, Precision, WeightSource, WeightsType,
};

/// Of the largest logit. The goldens are computed in float64, so this is all of float32's rounding.
const TOLERANCE: f32 = 1e-4;
/// The same where weights were rounded to float16's eleven bits.
const FLOAT16_TOLERANCE: f32 = 1e-2;

/// Not finding the library fails the tests, with a line that names `make runtime`.
static ENVIRONMENT: LazyLock<Environment> = LazyLock::new(|| {
    let library = runtime::locate(None).unwrap_or_else(|error| panic!("{error}"));
    ort::init_from(library).unwrap().build().unwrap()
});

/// Pictures as `[n, height, width, 3]` bytes.
struct Pictures {
    size: [usize; 2],
    bytes: Vec<u8>,
}

impl Pictures {
    fn of_size(size: [usize; 2], count: usize) -> Self {
        Self { size, bytes: formula::pictures(count * size[0] * size[1] * 3) }
    }

    fn count(&self) -> usize {
        self.bytes.len() / (self.size[0] * self.size[1] * 3)
    }
}

/// The values of each output, in the graph's order.
fn run(network: &BuiltNetwork, input_type: InputType, pictures: &Pictures) -> Vec<Vec<f32>> {
    let mut session =
        Session::builder(&ENVIRONMENT).unwrap().commit_from_memory(network.bytes()).unwrap();
    let (count, [height, width]) = (pictures.count(), pictures.size);
    let input = match input_type {
        InputType::Uint8(_) => {
            let shape = [count, height, width, 3];
            Tensor::from_array((shape, pictures.bytes.clone())).unwrap().into_dyn()
        }
        InputType::Float32 => {
            let planes = formula::normalized_planes(&pictures.bytes, height * width);
            Tensor::from_array(([count, 3, height, width], planes)).unwrap().into_dyn()
        }
    };
    let outputs = session.run(ort::inputs!["input" => input]).unwrap();
    let values = outputs.values();
    values.map(|value| value.try_extract_tensor::<f32>().unwrap().1.to_vec()).collect()
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let distances = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs());
    let distance = distances.fold(0.0_f32, f32::max);
    assert!(
        distance <= tolerance * largest,
        "{distance} apart where the largest value is {largest}"
    );
}

fn check(name: &str) {
    check_in(Precision::Float32, name);
}

fn check_in(precision: Precision, name: &str) {
    let golden = Golden::read(name);
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("weights.safetensors");
    formula::write_weights(&weights, &golden.tensors);
    let request = BuildRequest {
        network: golden.network,
        options: BuildOptions { precision, ..golden.options.clone() },
        weights: WeightSource::Safetensors(weights),
    };
    let built = networks::build(&request).unwrap();
    let pictures = Pictures::of_size(golden.size, golden.logits.len());
    let outputs = run(&built, golden.options.input_type, &pictures);
    let float16 =
        golden.options.weights_type == WeightsType::Float16 || precision == Precision::Float16;
    let tolerance = if float16 { FLOAT16_TOLERANCE } else { TOLERANCE };
    assert_close(&outputs[0], &golden.logits.concat(), tolerance);
    if let Some(features) = &golden.features {
        assert_close(&outputs[1], &features.concat(), tolerance);
        assert_eq!(outputs[2].len(), pictures.count() * 64 * 8 * 8);
    }
}

#[test]
fn resnet18_answers_as_pytorch_does() {
    check("resnet18");
}

#[test]
fn the_place_of_the_stride_is_the_variants() {
    check("bottleneck-v1");
    check("bottleneck-v1.5");
}

#[test]
fn every_shortcut_option_answers_as_pytorch_does() {
    for name in ["basic-a", "bottleneck-a", "cifar-a", "cifar-b", "cifar-c"] {
        check(name);
    }
}

#[test]
fn plain_networks_have_no_shortcuts() {
    check("plain");
    check("cifar-plain");
}

#[test]
fn half_precision_answers_as_pytorch_does_but_for_its_rounding() {
    for name in ["resnet18", "cifar-a", "plain", "cifar-uint8"] {
        check_in(Precision::Float16, name);
    }
}

#[test]
fn bytes_are_normalised_in_the_graph() {
    check("cifar-uint8");
}

#[test]
fn upscaling_is_pytorchs_bilinear_interpolation() {
    check("cifar-upscale");
    check("cifar-uint8-upscale");
}

#[test]
fn float16_weights_answer_nearly_the_same() {
    check("cifar-float16");
}

#[test]
fn random_weights_give_reasonable_logits_at_any_depth() {
    for name in ["plain34", "resnet18", "resnet50", "cifar-plain110", "cifar-resnet110"] {
        let side = if name.starts_with("cifar") { 32 } else { 64 };
        let request = BuildRequest {
            network: name.parse().unwrap(),
            options: BuildOptions {
                height: Some(side),
                width: Some(side),
                ..BuildOptions::default()
            },
            weights: WeightSource::Random { seed: 0 },
        };
        let built = networks::build(&request).unwrap();
        for count in [1, 2, 5] {
            let pictures = Pictures::of_size([side, side], count);
            let logits = run(&built, InputType::Float32, &pictures).remove(0);
            let largest = logits.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            assert_eq!(logits.len() % count, 0);
            assert!((1e-3..100.0).contains(&largest), "{name}: largest logit {largest}");
        }
    }
}
