//! `model inspect`: figures of any ONNX file, or an error in words.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use resnet_serve::networks::inspect::inspect;
use resnet_serve_fuzz::{Scratch, assert_in_proportion, peak_of};

static FILE: LazyLock<Scratch> = LazyLock::new(Scratch::new);

fuzz_target!(|data: &[u8]| {
    let path = FILE.holding(data);
    let (words, peak) = peak_of(|| match inspect(path) {
        Ok(inspection) => inspection.to_string(),
        Err(error) => error.to_string(),
    });
    assert!(!words.is_empty());
    assert_in_proportion(peak, data.len());
});
