//! `model.toml`: mistakes in words, or a manifest that holds what it promises.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resnet_serve::model::Manifest;
use resnet_serve_fuzz::{assert_in_proportion, peak_of};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (read, peak) = peak_of(|| Manifest::parse(text));
    assert_in_proportion(peak, data.len());
    match read {
        Ok(manifest) => {
            let (input, preprocess) = (&manifest.input, &manifest.preprocess);
            assert!(preprocess.std.iter().all(|std| std.is_finite() && *std > 0.0));
            assert!(preprocess.resize_shorter_side >= input.height.max(input.width));
        }
        Err(mistakes) => assert!(!mistakes.is_empty()),
    }
});
