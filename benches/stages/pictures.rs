//! Pictures like photographs: smooth, with edges, and with a camera's grain.

use std::path::Path;
use std::{env, fs};

use image::{ImageFormat, RgbImage};
use libjpeg_turbo_rs::{Encoder, PixelFormat, Subsampling};

/// As most of ImageNet's are.
pub(crate) const USUAL: [u32; 2] = [500, 375];

/// As a camera's are.
pub(crate) const LARGE: [u32; 2] = [4000, 3000];

/// How far a value may be off, to both sides, for the grain.
const GRAIN: u32 = 12;

/// The first photograph of `PHOTOS`, or one that is made.
pub(crate) fn small() -> Vec<u8> {
    match env::var_os("PHOTOS").filter(|folder| !folder.is_empty()) {
        Some(folder) => first(folder.as_ref()),
        None => jpeg(USUAL),
    }
}

fn first(folder: &Path) -> Vec<u8> {
    let files = fs::read_dir(folder).expect("PHOTOS names a folder");
    let paths = files.map(|file| file.unwrap().path());
    let photos = paths.filter(|path| path.extension().is_some_and(|name| name == "jpg"));
    fs::read(photos.min().expect("PHOTOS has a .jpg")).unwrap()
}

/// As a camera stores it.
pub(crate) fn jpeg([width, height]: [u32; 2]) -> Vec<u8> {
    let picture = picture([width, height]);
    Encoder::new(picture.as_raw(), width as usize, height as usize, PixelFormat::Rgb)
        .quality(90)
        .subsampling(Subsampling::S420)
        .encode()
        .unwrap()
}

/// As it stands in memory.
pub(crate) fn bmp(size: [u32; 2]) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    picture(size).write_to(&mut file, ImageFormat::Bmp).unwrap();
    file.into_inner()
}

/// A sky, a ground and a disc, always the same.
fn picture([width, height]: [u32; 2]) -> RgbImage {
    let mut random = fastrand::Rng::with_seed(0);
    RgbImage::from_fn(width, height, |x, y| {
        let (across, down) = (x * 200 / width, y * 200 / height);
        let away = across.abs_diff(120).pow(2) + down.abs_diff(80).pow(2);
        let color = match (away < 40 * 40, down < 110) {
            (true, _) => [200, 120, 40 + across / 4],
            (false, true) => [60 + down / 2, 110 + down / 2, 220],
            (false, false) => [70, 150 - down / 2 + across / 8, 50],
        };
        let grain = random.u32(0..=2 * GRAIN);
        image::Rgb(color.map(|value| u8::try_from(value + grain - GRAIN).unwrap_or(u8::MAX)))
    })
}
