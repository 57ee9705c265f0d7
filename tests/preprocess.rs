//! Pictures of every kind against the pixels that Pillow makes of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use resnet_serve::model::manifest::Interpolation;
use resnet_serve::preprocess::{ImageError, ImageHeader, Pixels, Transform};

const MAX_PIXELS: u64 = 20_000_000;

/// A line of `cases.tsv` with the pixels that it expects.
struct Case {
    file: String,
    transform: Transform,
    kind: String,
    expected: Vec<u8>,
}

/// How far pixels may be from Pillow's, in levels of 255: the farthest, and on average.
fn tolerance(kind: &str) -> (u8, f64) {
    match kind {
        // The same pixels, resized with another order of passes and rounding.
        "lossless" | "jpeg" | "webp" => (1, 0.3),
        // One rounding more, in the composition over white or the conversion from CMYK.
        "alpha" => (2, 0.6),
        // Decoded at a reduced scale: the noise of JPEG is averaged in another order.
        "scaled" => (4, 0.4),
        _ => panic!("unknown kind `{kind}`"),
    }
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/preprocess");
    fs::read(folder.join(name)).unwrap()
}

fn cases() -> Vec<Case> {
    let expected = fixture("expected.rgb");
    let mut rest = expected.as_slice();
    let cases = String::from_utf8(fixture("cases.tsv")).unwrap();
    cases.lines().map(|line| case(line, &mut rest)).collect()
}

fn case(line: &str, rest: &mut &[u8]) -> Case {
    let columns: Vec<&str> = line.split('\t').collect();
    let [file, shorter_side, height, width, filter, kind] = columns[..] else {
        panic!("`{line}` has not six columns");
    };
    let transform = Transform {
        resize_shorter_side: shorter_side.parse().unwrap(),
        crop_height: height.parse().unwrap(),
        crop_width: width.parse().unwrap(),
        interpolation: if filter == "bicubic" {
            Interpolation::Bicubic
        } else {
            Interpolation::Bilinear
        },
    };
    let (expected, after) =
        rest.split_at((transform.crop_height * transform.crop_width * 3) as usize);
    *rest = after;
    Case { file: file.into(), transform, kind: kind.into(), expected: expected.into() }
}

fn files() -> Vec<String> {
    let mut files: Vec<String> = cases().into_iter().map(|case| case.file).collect();
    files.dedup();
    files
}

fn apply(bytes: &[u8], transform: &Transform) -> Result<Pixels, ImageError> {
    let header = ImageHeader::parse(bytes, MAX_PIXELS)?;
    transform.apply(bytes, &header)
}

fn square(resize_shorter_side: u32, crop: u32) -> Transform {
    let interpolation = Interpolation::Bilinear;
    Transform { resize_shorter_side, crop_height: crop, crop_width: crop, interpolation }
}

/// The farthest and the mean distance.
fn distance(pixels: &[u8], expected: &[u8]) -> (u8, f64) {
    let distances = pixels.iter().zip(expected).map(|(a, b)| a.abs_diff(*b));
    let sum: u32 = distances.clone().map(u32::from).sum();
    (
        distances.max().unwrap_or(0),
        f64::from(sum) / f64::from(u32::try_from(expected.len()).unwrap()),
    )
}

#[test]
fn every_kind_of_picture_has_the_pixels_of_pillow() {
    let mut mistakes = Vec::new();
    for case in cases() {
        let bytes = fixture(&case.file);
        let (farthest, mean) = match apply(&bytes, &case.transform) {
            Ok(pixels) => distance(pixels.bytes(), &case.expected),
            Err(error) => {
                mistakes.push(format!("{}: {error}", case.file));
                continue;
            }
        };
        let (farthest_allowed, mean_allowed) = tolerance(&case.kind);
        if farthest > farthest_allowed || mean > mean_allowed {
            mistakes
                .push(format!("{} {:?}: {farthest}, on average {mean}", case.file, case.transform));
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn headers_say_format_stored_size_and_orientation() {
    let facts = |name: &str| {
        let header = ImageHeader::parse(&fixture(name), MAX_PIXELS).unwrap();
        (header.format().name(), header.width(), header.height(), header.orientation().to_exif())
    };

    assert_eq!(facts("orientation-6.png"), ("png", 61, 44, 6));
    assert_eq!(facts("orientation-6.webp"), ("webp", 61, 44, 6));
    assert_eq!(facts("orientation-5.jpg"), ("jpeg", 61, 44, 5));
    assert_eq!(facts("orientation-8.tiff"), ("tiff", 61, 44, 8));
    assert_eq!(facts("animated.gif"), ("gif", 40, 30, 1));
    assert_eq!(facts("animated.webp"), ("webp", 40, 30, 1));
    assert_eq!(facts("palette.bmp"), ("bmp", 33, 25, 1));
}

#[test]
fn a_picture_over_the_limit_is_refused_in_every_format() {
    for file in files() {
        let bytes = fixture(&file);
        let header = ImageHeader::parse(&bytes, MAX_PIXELS).unwrap();
        let pixels = u64::from(header.width()) * u64::from(header.height());

        assert!(ImageHeader::parse(&bytes, pixels).is_ok(), "{file}");
        let error = ImageHeader::parse(&bytes, pixels - 1).unwrap_err();
        assert!(matches!(error, ImageError::TooLarge { .. }), "{file}: {error}");
    }
}

#[test]
fn a_picture_that_is_cut_off_is_undecodable() {
    // Half of a moving picture has a whole first frame.
    for file in files().into_iter().filter(|file| file != "animated.gif") {
        let bytes = fixture(&file);
        for eighths in 0..8 {
            let cut = &bytes[..bytes.len() * eighths / 8];
            let result = apply(cut, &square(32, 28));
            let is_undecodable = matches!(result, Err(ImageError::Undecodable { .. }));
            assert!(is_undecodable, "{eighths} eighths of {file}");
        }
    }
}

#[test]
fn ten_crops_are_five_and_their_mirrors() {
    let bytes = fixture("size-67x45.png");
    let header = ImageHeader::parse(&bytes, MAX_PIXELS).unwrap();
    let transform = square(32, 28);

    let crops = transform.open(&bytes, &header).unwrap().ten_crops().unwrap();

    assert_eq!(crops.len(), 10);
    assert_eq!(crops[4], transform.apply(&bytes, &header).unwrap());
    let whole = square(32, 32).apply(&bytes, &header).unwrap();
    assert_ne!(crops[0], crops[1]);
    assert_eq!((whole.height(), crops[0].height(), crops[0].width()), (32, 28, 28));
    for (crop, mirror) in crops[..5].iter().zip(&crops[5..]) {
        let rows = crop.bytes().chunks_exact(28 * 3).zip(mirror.bytes().chunks_exact(28 * 3));
        for (row, mirrored) in rows {
            assert!(row.chunks_exact(3).eq(mirrored.chunks_exact(3).rev()));
        }
    }
}

#[test]
fn a_thin_picture_is_answered_like_any_other() {
    let pixels = apply(&fixture("size-1x37.png"), &square(256, 224)).unwrap();

    assert_eq!((pixels.height(), pixels.width()), (224, 224));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), format in 0..8_usize) {
        let starts: [&[u8]; 8] = [
            b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x10\0\0\0WEBP", b"GIF89a", b"BM", b"II*\0", b"MM\0*",
        ];
        let bytes = [starts[format], &bytes].concat();
        let _ = apply(&bytes, &square(32, 28));
    }

    #[test]
    fn no_damaged_picture_panics(
        file in select(files()),
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<Index>()),
    ) {
        let mut bytes = fixture(&file);
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = apply(&bytes, &square(32, 28));
    }
}
