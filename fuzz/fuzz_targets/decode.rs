//! A picture of any format: what its header says, what decoding takes, and the pixels that come out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resnet_serve::model::manifest::Interpolation;
use resnet_serve::preprocess::{Baseline, ImageHeader, Transform};
use resnet_serve_fuzz::{peak_of, print_panics_once};

const TRANSFORM: Transform = Transform {
    resize_shorter_side: 36,
    crop_height: 32,
    crop_width: 24,
    interpolation: Interpolation::Bilinear,
};

const MAX_PIXELS: u64 = 1 << 16;

/// Reading a header allocates no pixels: tables, and copies of what the file holds.
const HEADER_BYTES: u64 = 1 << 20;

fuzz_target!(init: print_panics_once(), |data: &[u8]| {
    let (header, peak) = peak_of(|| ImageHeader::parse(data, MAX_PIXELS));
    assert!(peak <= HEADER_BYTES, "{peak} bytes at the peak for {header:?}");
    let Ok(header) = header else { return };
    let pixels = u64::from(header.width()) * u64::from(header.height());
    assert!((1..=MAX_PIXELS).contains(&pixels), "{header:?}");
    let promised = TRANSFORM.peak_bytes(data.len(), &header);
    let (_, peak) = peak_of(|| Baseline::read(data).map(|file| file.is_whole()));
    assert!(peak <= promised, "{peak} bytes to follow code words, {promised} promised: {header:?}");
    let (decoded, peak) = peak_of(|| TRANSFORM.apply(data, &header));
    assert!(peak <= promised, "{peak} bytes at the peak, {promised} promised: {header:?}");
    if let Ok(pixels) = decoded {
        assert_eq!((pixels.height(), pixels.width()), (32, 24));
        let crops = TRANSFORM.open(data, &header).and_then(|picture| picture.ten_crops());
        assert_eq!(crops.expect("what was decoded once is decoded again")[4], pixels);
    }
});
