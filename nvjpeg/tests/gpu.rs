//! On a GPU that has the unit: `cargo test -p nvjpeg -- --ignored`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;

use libjpeg_turbo_rs::{Decoder as Reference, PixelFormat};
use nvjpeg::{Capacity, Colors, Decoder, Error, Job, Picture, Weights};

const CAPACITY: Capacity = Capacity { on_device: 16 << 20, in_memory: 4 << 20 };

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

/// The weights of a picture that stays as it is.
struct Unchanged {
    starts: [Vec<u32>; 2],
    counts: [Vec<u32>; 2],
    values: [Vec<i16>; 2],
    size: [u32; 2],
}

impl Unchanged {
    fn new(file: &[u8]) -> Self {
        let (frame, _) =
            file.windows(2).enumerate().find(|(_, pair)| *pair == [0xff, 0xc0]).unwrap();
        let side =
            |at: usize| u32::from(u16::from_be_bytes([file[frame + at], file[frame + at + 1]]));
        let [rows, columns] = [side(5), side(7)];
        Self {
            starts: [rows, columns].map(|count| (0..count).collect()),
            counts: [rows, columns].map(|count| vec![1; count as usize]),
            values: [rows, columns].map(|count| vec![1 << 14; count as usize]),
            size: [rows, columns],
        }
    }

    fn job<'a>(&'a self, file: &'a [u8]) -> Job<'a> {
        let weights = |way: usize| Weights {
            starts: &self.starts[way],
            counts: &self.counts[way],
            values: &self.values[way],
            window: 1,
            precision: 14,
        };
        let rows_seen = [0, self.size[0]];
        Job { file, size: self.size, rows_seen, columns: weights(1), rows: weights(0) }
    }
}

/// The pictures as they are decoded, each given to `look`.
fn decode(
    decoder: &mut Decoder,
    files: &[&[u8]],
    mut look: impl FnMut(usize, Option<Picture<'_>>),
) -> Result<(), Error> {
    let unchanged: Vec<Unchanged> = files.iter().map(|file| Unchanged::new(file)).collect();
    let jobs: Vec<Job<'_>> =
        files.iter().zip(&unchanged).map(|(file, unchanged)| unchanged.job(file)).collect();
    let pictures = decoder.decode(&jobs)?;
    assert_eq!(pictures.len(), files.len());
    pictures.into_iter().enumerate().for_each(|(number, picture)| look(number, picture));
    Ok(())
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
    let mut decoder = Decoder::new(0, CAPACITY, Colors::Interpolated).unwrap();

    // In batches of other sizes by turns, as requests come.
    for count in [7, 1, 3, 7, 2] {
        let batch: Vec<&[u8]> = files.iter().map(Vec::as_slice).take(count).collect();
        let compare = |number: usize, picture: Option<Picture<'_>>| {
            let apart = farthest_apart(picture.unwrap().rgb, &reference(&files[number]));
            assert!(apart <= 1, "{} in a batch of {count}: {apart} levels", names[number]);
        };
        decode(&mut decoder, &batch, compare).unwrap();
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU with a JPEG unit"]
fn without_interpolation_only_the_colors_of_some_differ_by_little() {
    let mut decoder = Decoder::new(0, CAPACITY, Colors::Repeated).unwrap();
    for (name, mean_level) in
        [("sampling-444.jpg", 0), ("gray.jpg", 0), ("unscaled-500x375.jpg", 3)]
    {
        let file = fixture(name);
        decode(&mut decoder, &[&file], |_, picture| {
            let (found, expected) = (picture.unwrap().rgb, reference(&file));
            let apart =
                found.iter().zip(&expected).map(|(one, other)| usize::from(one.abs_diff(*other)));
            assert!(apart.sum::<usize>() <= mean_level * found.len(), "{name}");
        })
        .unwrap();
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU with a JPEG unit"]
fn a_batch_with_a_file_of_another_kind_fails_and_the_next_one_does_not() {
    let (good, progressive) = (fixture("sampling-444.jpg"), fixture("progressive.jpg"));
    let mut decoder = Decoder::new(0, CAPACITY, Colors::Interpolated).unwrap();
    let unchanged = Unchanged::new(&good);

    assert!(decoder.decode(&[unchanged.job(&good), unchanged.job(&progressive)]).is_err());
    assert!(decoder.decode(&[unchanged.job(b"no picture")]).is_err());
    let compare = |_: usize, picture: Option<Picture<'_>>| {
        assert!(farthest_apart(picture.unwrap().rgb, &reference(&good)) <= 1);
    };
    decode(&mut decoder, &[&good], compare).unwrap();
}

#[test]
#[ignore = "needs an NVIDIA GPU with a JPEG unit"]
fn what_follows_the_end_of_a_picture_changes_nothing() {
    let (file, other) = (fixture("sampling-444.jpg"), fixture("sampling-420.jpg"));
    let mut decoder = Decoder::new(0, CAPACITY, Colors::Interpolated).unwrap();

    let both = [&file[..], &other].concat();
    let compare = |_: usize, picture: Option<Picture<'_>>| {
        assert!(farthest_apart(picture.unwrap().rgb, &reference(&file)) <= 1);
    };
    decode(&mut decoder, &[&both], compare).unwrap();
}

#[test]
#[ignore = "needs an NVIDIA GPU with a JPEG unit"]
fn pictures_that_do_not_fit_are_an_error() {
    let file = fixture("unscaled-500x375.jpg");
    let mut decoder =
        Decoder::new(0, Capacity { on_device: 2 << 20, ..CAPACITY }, Colors::Interpolated).unwrap();

    assert!(decode(&mut decoder, &[&file], |_, _| ()).is_ok());
    let refused = decode(&mut decoder, &[&file, &file], |_, _| ());
    assert!(matches!(refused, Err(Error::TooLarge { capacity: 0x20_0000, .. })), "{refused:?}");
}

#[test]
#[ignore = "needs an NVIDIA GPU with a JPEG unit"]
fn a_gpu_that_is_not_there_is_said() {
    assert_eq!(Decoder::new(4096, CAPACITY, Colors::Interpolated).err(), Some(Error::NoGpu));
}
