//! Weights of `model build`: what is no network's is an error in words.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use resnet_serve::networks::{self, BuildOptions, BuildRequest, WeightSource};
use resnet_serve_fuzz::{Scratch, assert_in_proportion, peak_of};

static FILE: LazyLock<Scratch> = LazyLock::new(Scratch::new);

fuzz_target!(|data: &[u8]| {
    let request = BuildRequest {
        network: "cifar-resnet20".parse().expect("a network"),
        options: BuildOptions::default(),
        weights: WeightSource::Safetensors(FILE.holding(data).to_owned()),
    };
    let (built, peak) = peak_of(|| networks::build(&request));
    assert_in_proportion(peak, data.len());
    if let Err(error) = built {
        assert!(!error.to_string().is_empty());
    }
});
