//! On a GPU that has the unit: `cargo test -p nvjpeg -- --ignored`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;

use libjpeg_turbo_rs::{Decoder as Reference, PixelFormat};
use nvjpeg::{Decoder, Error};

const CAPACITY: usize = 16 << 20;

fn fixture(name: &str) -> Vec<u8> {
    let root = option_env!("CARGO_MANIFEST_DIR").unwrap_or(".");
    let beside = format!("{root}/../tests/fixtures/preprocess/{name}");
    fs::read(beside).or_else(|_| fs::read(format!("tests/fixtures/preprocess/{name}"))).unwrap()
}

/// What libjpeg-turbo makes of it.
fn reference(file: &[u8]) -> Vec<u8> {
    let mut decoder = Reference::new(file).unwrap();
    decoder.set_output_format(PixelFormat::Rgb);
    decoder.decode_image().unwrap().data
}

fn farthest_apart(one: &[u8], other: &[u8]) -> u8 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(one, other)| one.abs_diff(*other)).max().unwrap_or(0)
}

#[test]
#[ignore = "needs an NVIDIA GPU with a JPEG unit"]
fn pictures_of_all_kinds_are_decoded_together_as_libjpeg_turbo_does() {
    let names = [
        "sampling-444.jpg",
        "gray.jpg",
        "sampling-420.jpg",
        "restarts.jpg",
        "sampling-422.jpg",
        "unscaled-500x375.jpg",
        "orientation-5.jpg",
    ];
    let files = names.map(fixture);
    let mut decoder = Decoder::new(0, CAPACITY).unwrap();

    // In batches of other sizes by turns, as requests come.
    for count in [7, 1, 3, 7, 2] {
        let batch: Vec<&[u8]> = files.iter().map(Vec::as_slice).take(count).collect();
        let pictures = decoder.decode(&batch).unwrap();
        assert_eq!(pictures.len(), count);
        for ((name, file), picture) in names.iter().zip(&files).zip(pictures) {
            let apart = farthest_apart(picture.unwrap().rgb, &reference(file));
            assert!(apart <= 1, "{name} in a batch of {count}: {apart} levels");
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU with a JPEG unit"]
fn a_batch_with_a_file_of_another_kind_fails_and_the_next_one_does_not() {
    let (good, progressive) = (fixture("sampling-444.jpg"), fixture("progressive.jpg"));
    let mut decoder = Decoder::new(0, CAPACITY).unwrap();

    assert!(decoder.decode(&[&good, &progressive]).is_err());
    assert!(decoder.decode(&[b"no picture"]).is_err());
    let pictures = decoder.decode(&[&good]).unwrap();
    assert!(farthest_apart(pictures[0].unwrap().rgb, &reference(&good)) <= 1);
}

#[test]
#[ignore = "needs an NVIDIA GPU with a JPEG unit"]
fn what_follows_the_end_of_a_picture_changes_nothing() {
    let (file, other) = (fixture("sampling-444.jpg"), fixture("sampling-420.jpg"));
    let mut decoder = Decoder::new(0, CAPACITY).unwrap();

    let both = [&file[..], &other].concat();
    let pictures = decoder.decode(&[&both]).unwrap();
    assert!(farthest_apart(pictures[0].unwrap().rgb, &reference(&file)) <= 1);
}

#[test]
#[ignore = "needs an NVIDIA GPU with a JPEG unit"]
fn pictures_that_do_not_fit_are_an_error() {
    let file = fixture("unscaled-500x375.jpg");
    let mut decoder = Decoder::new(0, 1 << 20).unwrap();

    assert!(decoder.decode(&[&file]).is_ok());
    let refused = decoder.decode(&[&file, &file]);
    assert!(matches!(refused, Err(Error::TooLarge { capacity: 0x10_0000, .. })), "{refused:?}");
}

#[test]
#[ignore = "needs an NVIDIA GPU with a JPEG unit"]
fn a_gpu_that_is_not_there_is_said() {
    assert_eq!(Decoder::new(4096, CAPACITY).err(), Some(Error::NoGpu));
}
