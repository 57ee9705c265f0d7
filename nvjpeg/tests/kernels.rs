//! The kernels and how they are told, with a C library in the place of NVIDIA's that runs them on the CPU.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use libloading::Library;
use nvjpeg::{ALIGNMENT, Capacity, Colors, Decoder, Error, Job, Weights};
use tempfile::TempDir;

/// Libraries that are in the place of NVIDIA's for this process, because they have their names.
struct InPlace {
    libraries: Vec<Library>,
    _folder: TempDir,
}

/// For all tests of a process, which finds them by their names.
static IN_PLACE: LazyLock<InPlace> = LazyLock::new(InPlace::put);

impl InPlace {
    fn put() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = repository().join("tests/fixtures/nvjpeg/unit.c");
        let load = |name: &&str| {
            let file = folder.path().join(name);
            let mut compiler = Command::new("cc");
            compiler.args(["-O1", "-shared", "-fPIC", &format!("-Wl,-soname,{name}"), "-o"]);
            assert!(compiler.arg(&file).arg(&source).status().unwrap().success());
            // SAFETY: the library does nothing when it is loaded.
            unsafe { Library::new(file) }.unwrap()
        };
        let libraries =
            ["libnvjpeg.so.13", "libcudart.so.13", "libcuda.so.1"].iter().map(load).collect();
        let in_place = Self { libraries, _folder: folder };
        in_place.paint_a_pattern();
        in_place
    }

    fn paint_a_pattern(&self) {
        for library in &self.libraries {
            // SAFETY: it takes nothing and returns nothing.
            unsafe { library.get::<unsafe extern "C" fn()>("paint_a_pattern").unwrap()() };
        }
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(repository().join("tests/fixtures/preprocess").join(name)).unwrap()
}

/// What the library paints.
fn painted(row: usize, byte: usize) -> i32 {
    i32::try_from((7 * row + 13 * byte + row * byte) % 256).unwrap()
}

/// Each of so many made of `of` neighbours by equal parts, which add up to more than one.
struct Means {
    starts: Vec<u32>,
    counts: Vec<u32>,
    values: Vec<i16>,
    of: u32,
}

impl Means {
    fn new(count: u32, of: u32) -> Self {
        let values = vec![i16::try_from(1100 / of).unwrap(); (count * of) as usize];
        let starts = (0..count).map(|each| each * of).collect();
        Self { starts, counts: vec![of; count as usize], values, of }
    }

    fn weights(&self) -> Weights<'_> {
        let Self { starts, counts, values, of } = self;
        Weights { starts, counts, values, window: *of as usize, precision: 10 }
    }

    fn of(&self, number: u32, value: impl Fn(usize) -> i32) -> u8 {
        let places = (number * self.of) as usize..((number + 1) * self.of) as usize;
        let sum: i32 = places.map(|place| value(place) * i32::from(self.values[0])).sum();
        u8::try_from(((sum + 512) >> 10).clamp(0, 255)).unwrap()
    }
}

#[test]
fn the_wanted_parts_of_a_batch_are_resized() {
    LazyLock::force(&IN_PLACE);
    let sizes = [("sampling-444.jpg", 1), ("gray.jpg", 3), ("unscaled-500x375.jpg", 40)];
    for colors in [Colors::Interpolated, Colors::Repeated] {
        let mut decoder =
            Decoder::new(0, Capacity { on_device: 4 << 20, in_memory: 1 << 20 }, colors).unwrap();
        let files = sizes.map(|(name, first_row)| (fixture(name), first_row));
        let means = files.each_ref().map(|(file, first_row)| {
            let [height, width] = size(file);
            (Means::new(width / 3, 3), Means::new((height - first_row) / 2, 2))
        });
        let jobs: Vec<Job<'_>> = files
            .iter()
            .zip(&means)
            .map(|((file, first_row), (columns, rows))| Job {
                file,
                size: size(file),
                rows_seen: [*first_row, size(file)[0] - first_row],
                columns: columns.weights(),
                rows: rows.weights(),
            })
            .collect();

        let pictures = decoder.decode(&jobs).unwrap();

        assert_eq!(pictures.len(), 3);
        for (((_, first_row), (columns, rows)), picture) in files.iter().zip(&means).zip(pictures) {
            let picture = picture.unwrap();
            let (width, first_row) = (picture.width as usize, *first_row as usize);
            assert_eq!(picture.rgb.len(), picture.height as usize * width * 3);
            for (at, value) in picture.rgb.iter().enumerate() {
                let (row, column, channel) = (at / 3 / width, at / 3 % width, at % 3);
                let number = |number: usize| u32::try_from(number).unwrap();
                let narrowed = |row: usize| {
                    columns
                        .of(number(column), |column| painted(first_row + row, column * 3 + channel))
                };
                let expected = rows.of(number(row), |row| narrowed(row).into());
                assert_eq!(*value, expected, "row {row}, column {column}, channel {channel}");
            }
        }
    }
}

#[test]
fn jobs_that_cannot_be_done_are_errors() {
    LazyLock::force(&IN_PLACE);
    let file = fixture("unscaled-500x375.jpg");
    let (columns, rows) = (Means::new(100, 5), Means::new(75, 5));
    let (columns, rows) = (columns.weights(), rows.weights());
    let job = Job { file: &file, size: [375, 500], rows_seen: [0, 375], columns, rows };
    let needed = 375 * 500 * 3 + 375 * 100 * 3 + 75 * 100 * 3;
    let capacity = Capacity { on_device: needed + 3 * ALIGNMENT, in_memory: 1 << 20 };
    let mut decoder = Decoder::new(0, capacity, Colors::Interpolated).unwrap();

    assert!(decoder.decode(&[job]).is_ok());
    assert!(matches!(decoder.decode(&[job, job]), Err(Error::TooLarge { .. })));
    let other_size = decoder.decode(&[Job { size: [376, 500], ..job }]);
    assert_eq!(other_size.err(), Some(Error::OtherSize));
    let unsound = decoder.decode(&[Job { rows_seen: [1, 375], ..job }]);
    assert_eq!(unsound.err(), Some(Error::Unsound));
    assert!(decoder.decode(&[job]).is_ok());
}

/// Rows and columns, as the frame of the file says.
fn size(file: &[u8]) -> [u32; 2] {
    let frame = file.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let side = |at: usize| u32::from(u16::from_be_bytes([file[frame + at], file[frame + at + 1]]));
    [side(5), side(7)]
}
