//! The memory that decoding takes against the memory that it was estimated to take.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Cursor;

use image::{DynamicImage, ImageFormat};
use libjpeg_turbo_rs::{Encoder, PixelFormat, Subsampling};
use peak_alloc::PeakAlloc;
use resnet_serve::model::manifest::Interpolation;
use resnet_serve::preprocess::{ImageHeader, Transform};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const WIDTH: u32 = 1500;
const HEIGHT: u32 = 1100;
const TRANSFORM: Transform = Transform {
    resize_shorter_side: 256,
    crop_height: 224,
    crop_width: 224,
    interpolation: Interpolation::Bicubic,
};

/// Bytes that compress neither too well nor too badly.
fn samples(channels: u32) -> Vec<u8> {
    let value = |index: u32| (index / 7 % 251) as u8 ^ (index % 5) as u8;
    (0..WIDTH * HEIGHT * channels).map(value).collect()
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).unwrap();
    file.into_inner()
}

fn jpeg(channels: PixelFormat, subsampling: Subsampling, progressive: bool) -> Vec<u8> {
    let samples = samples(u32::try_from(channels.bytes_per_pixel()).unwrap());
    Encoder::new(&samples, WIDTH as usize, HEIGHT as usize, channels)
        .quality(80)
        .subsampling(subsampling)
        .progressive(progressive)
        .encode()
        .unwrap()
}

fn pictures() -> Vec<(&'static str, Vec<u8>)> {
    let rgb =
        DynamicImage::ImageRgb8(image::RgbImage::from_raw(WIDTH, HEIGHT, samples(3)).unwrap());
    let rgba = DynamicImage::from(rgb.to_rgba8());
    let gray = DynamicImage::from(rgb.to_luma8());
    vec![
        ("png", encoded(&rgb, ImageFormat::Png)),
        ("png with alpha", encoded(&rgba, ImageFormat::Png)),
        ("png of 16 bits", encoded(&DynamicImage::from(rgb.to_rgba16()), ImageFormat::Png)),
        ("gray png", encoded(&gray, ImageFormat::Png)),
        ("webp", encoded(&rgb, ImageFormat::WebP)),
        ("webp with alpha", encoded(&rgba, ImageFormat::WebP)),
        ("gif", encoded(&rgba, ImageFormat::Gif)),
        ("bmp", encoded(&rgb, ImageFormat::Bmp)),
        ("tiff", encoded(&rgb, ImageFormat::Tiff)),
        ("tiff of 16 bits", encoded(&DynamicImage::from(rgb.to_rgb16()), ImageFormat::Tiff)),
        ("jpeg 4:4:4", jpeg(PixelFormat::Rgb, Subsampling::S444, false)),
        ("jpeg 4:2:2", jpeg(PixelFormat::Rgb, Subsampling::S422, false)),
        ("jpeg 4:2:0", jpeg(PixelFormat::Rgb, Subsampling::S420, false)),
        ("progressive jpeg", jpeg(PixelFormat::Rgb, Subsampling::S420, true)),
        ("cmyk jpeg", jpeg(PixelFormat::Cmyk, Subsampling::S444, false)),
        ("gray jpeg", jpeg(PixelFormat::Grayscale, Subsampling::S444, false)),
    ]
}

#[test]
fn no_format_takes_more_than_its_estimate() {
    let mut mistakes = Vec::new();
    // At half its resolution a JPEG is decoded at full scale, too.
    let unreduced = Transform { resize_shorter_side: 900, ..TRANSFORM };
    for (name, bytes) in pictures() {
        for transform in [TRANSFORM, unreduced] {
            let header = ImageHeader::parse(&bytes, u64::MAX).unwrap();
            let estimate = transform.peak_bytes(bytes.len(), &header);
            let before = ALLOCATOR.current_usage();
            ALLOCATOR.reset_peak_usage();

            transform.apply(&bytes, &header).unwrap();

            let taken = (ALLOCATOR.peak_usage() - before) as u64;
            if taken > estimate {
                mistakes.push(format!("{name}: took {taken} of {estimate} bytes"));
            }
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}
