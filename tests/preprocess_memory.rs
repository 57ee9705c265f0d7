//! The memory that decoding takes against the memory that it was estimated to take.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Cursor;
use std::sync::Mutex;

use image::{DynamicImage, ImageFormat};
use libjpeg_turbo_rs::{Encoder, PixelFormat, Subsampling};
use peak_alloc::PeakAlloc;
use resnet_serve::model::manifest::Interpolation;
use resnet_serve::preprocess::{ImageHeader, Transform};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What one test takes is not another's.
static MEASURING: Mutex<()> = Mutex::new(());

const WIDTH: u32 = 1500;
const HEIGHT: u32 = 1100;
const TRANSFORM: Transform = Transform {
    resize_shorter_side: 256,
    crop_height: 224,
    crop_width: 224,
    interpolation: Interpolation::Bicubic,
};

/// What work gives, and the most bytes that it took at a time.
fn measured<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = work();
    (result, ALLOCATOR.peak_usage() - before)
}

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
        ("webp of many codes", webp_of_many_codes(2000)),
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

/// A lossless pixel in the last of so many groups of codes, each of a few bytes and with a large table.
fn webp_of_many_codes(groups: u32) -> Vec<u8> {
    let name = |symbol| [(1, 1), (0, 1), (1, 1), (symbol, 8)];
    // In stored order 17, 18, 0, 1, …, 10: the lengths 1 to 6 have a code of 3 bits, 7 to 10 one of 4.
    let stored = [0, 0, 0, 3, 3, 3, 3, 3, 0, 3, 4, 4, 4, 4].map(|length| (length, 3));
    // Of 11 symbols each has a longer code than the one before, but for the last.
    let lengths = [0, 4, 2, 6, 1, 5, 3, 11, 7, 15, 15];
    let lengths = (0..).zip(lengths).map(|(index, code)| (code, if index < 6 { 3 } else { 4 }));
    let code = [&[(0, 1), (10, 4)], &stored[..], &[(1, 1), (1, 3), (9, 4)]].concat();
    let code: Vec<(u32, usize)> = code.into_iter().chain(lengths).collect();
    let header = [(0x2f, 8), (0, 14), (0, 14), (0, 4), (0, 1), (0, 1), (1, 1), (0, 3), (0, 1)];
    let last = groups - 1;
    let of_pixel = [name(last & 255), name(last >> 8), name(0), name(0), name(0)].concat();
    let numbers = [&header[..], &of_pixel, &code.repeat(5 * groups as usize)].concat();
    let bits =
        numbers.iter().flat_map(|(number, size)| (0..*size).map(move |bit| number >> bit & 1));
    let bits: Vec<u8> = bits.map(|bit| u8::from(bit == 1)).chain([0; 64]).collect();
    let mut data: Vec<u8> =
        bits.chunks(8).map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | bit)).collect();
    data.resize(data.len().next_multiple_of(2), 0);
    let length = |bytes: usize| u32::try_from(bytes).unwrap().to_le_bytes();
    let chunk = [b"WEBPVP8L", &length(data.len())[..], &data].concat();
    [b"RIFF", &length(chunk.len())[..], &chunk].concat()
}

/// Lossy frames of WebP that say more than they hold: the length of the first part, the length of the
/// second, and sides that are not the canvas'.
fn boasting_webps() -> [(&'static str, Vec<u8>); 4] {
    let chunk = |kind: &[u8], length: usize, data: &[u8]| {
        [kind, &u32::try_from(length).unwrap().to_le_bytes(), data].concat()
    };
    let file = |chunks: &[Vec<u8>]| {
        let chunks = chunks.concat();
        chunk(b"RIFF", chunks.len() + 4, &[b"WEBP", &chunks[..]].concat())
    };
    let start =
        |side: u16| [&[0x9d, 1, 0x2a][..], &side.to_le_bytes(), &side.to_le_bytes()].concat();
    let canvas = chunk(b"VP8X", 10, &[0, 0, 0, 0, 15, 0, 0, 15, 0, 0]);
    let long_first = [&[0xf0, 0xff, 0xff][..], &start(16), &[0; 8]].concat();
    // Four bytes for a header that says that there are two parts behind it.
    let long_second = [&[0x90, 0, 0][..], &start(16), &[0, 1, 0, 0, 0xff, 0xff, 0xff, 0]].concat();
    let huge = [&[0x10, 0, 0][..], &start(0x3fff), &[0; 9]].concat();
    let alpha = chunk(b"ALPH", 257, &[0; 258]);
    let frame = [&[0; 6][..], &[15, 0, 0, 15, 0, 0, 0, 0, 0, 0], &alpha].concat();
    let frame = [frame, chunk(b"VP8 ", huge.len() + 1, &huge)].concat();
    let moving = chunk(b"VP8X", 10, &[2, 0, 0, 0, 15, 0, 0, 15, 0, 0]);
    [
        ("a long first part", file(&[chunk(b"VP8 ", long_first.len(), &long_first)])),
        ("a long second part", file(&[chunk(b"VP8 ", long_second.len(), &long_second)])),
        ("a large frame that is cut off", file(&[canvas, chunk(b"VP8 ", huge.len() + 2, &huge)])),
        (
            "a large frame behind alpha",
            file(&[
                moving,
                chunk(b"ANIM", 6, &[0; 6]),
                chunk(b"ANMF", frame.len(), &frame),
                chunk(b"XXXX", 0, &[]),
            ]),
        ),
    ]
}

#[test]
fn a_webp_that_announces_more_than_it_holds_takes_no_memory_for_it() {
    let _alone = MEASURING.lock();
    for (name, bytes) in boasting_webps() {
        let (decoded, taken) = measured(|| {
            ImageHeader::parse(&bytes, u64::MAX).and_then(|header| TRANSFORM.apply(&bytes, &header))
        });
        let words = decoded.map(|_| ()).unwrap_err().to_string();
        assert!(words.starts_with("the webp"), "{name}: {words}");
        assert!(taken < 64 << 10, "{name}: {taken} bytes; {words}");
    }
}

#[test]
fn no_format_takes_more_than_its_estimate() {
    let _alone = MEASURING.lock();
    let mut mistakes = Vec::new();
    // At half its resolution a JPEG is decoded at full scale, too.
    let unreduced = Transform { resize_shorter_side: 900, ..TRANSFORM };
    for (name, bytes) in pictures() {
        for transform in [TRANSFORM, unreduced] {
            let header = ImageHeader::parse(&bytes, u64::MAX).unwrap();
            let estimate = transform.peak_bytes(bytes.len(), &header);
            let (decoded, taken) = measured(|| transform.apply(&bytes, &header));
            decoded.unwrap();
            if taken as u64 > estimate {
                mistakes.push(format!("{name}: took {taken} of {estimate} bytes"));
            }
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}
