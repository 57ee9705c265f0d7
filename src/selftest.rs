//! What a model is known to make of a known picture: `selftest.toml` in its folder.
//!
//! A changed decoder, resize, weight file, runtime, driver or device shows here before the first
//! request does.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::model::digest;
use crate::preprocess::{ImageError, ImageHeader, Pixels, Transform};

mod file;
mod picture;

/// The file's name in a model's folder.
pub const FILE: &str = "selftest.toml";

/// Logits may differ by this share of their span: ten times what TF32 on a GPU changes, and a
/// tenth of what a network with other weights would.
const TOLERANCE: f32 = 0.01;

/// Kept pixels in each direction, so that it can be said by how much others differ.
const SAMPLES: u32 = 8;

/// A picture, the pixels that the network is to see of it, and what the network is to answer.
#[derive(Clone, Debug, PartialEq)]
pub struct SelfTest {
    /// A JPEG.
    picture: Vec<u8>,
    /// Of the pixels, `[height, width, 3]`.
    pixels_sha256: String,
    /// Of a grid of pixels, row by row: red, green, blue.
    samples: Vec<u8>,
    /// What the graph is to answer.
    logits: Vec<f32>,
    /// By how much each of them may differ.
    tolerance: f32,
}

/// A model that is no longer what it was, or a file that does not say what it was.
#[derive(Clone, Debug, Error)]
pub enum SelfTestError {
    /// `selftest.toml` cannot be used.
    #[error("`{}`: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The picture cannot be decoded any more.
    #[error("the picture cannot be decoded: {0}")]
    Picture(#[from] ImageError),
    /// What the network answers cannot be compared with anything.
    #[error("the network gives scores that are no finite numbers")]
    NotFinite,
    /// The network would see something else.
    #[error(
        "the pixels differ by up to {levels} levels at the {places} places that are kept (SHA-256 \
         `{found}`, `{expected}` is due): decoding, resizing or model.toml has changed"
    )]
    Pixels {
        /// The greatest difference at the kept places, of 255.
        levels: u8,
        /// How many these are.
        places: usize,
        /// Of the pixels.
        found: String,
        /// As it was.
        expected: String,
    },
    /// The network sees the same and answers something else.
    #[error(
        "the pixels are as they were, but the logits differ by up to {difference} where \
         {tolerance} is allowed (class {class}: {found}, {expected} is due): the weights, the \
         runtime or the device has changed"
    )]
    Logits {
        /// The greatest difference.
        difference: f32,
        /// What is allowed.
        tolerance: f32,
        /// Where it is.
        class: usize,
        /// The logit.
        found: f32,
        /// As it was.
        expected: f32,
    },
    /// The network has another number of classes.
    #[error("the network answers with {found} logits, {expected} are due")]
    Classes {
        /// As many as there are.
        found: usize,
        /// As many as there were.
        expected: usize,
    },
}

/// The picture that models are tested with, and what one sees of it.
pub struct KnownPicture {
    jpeg: Vec<u8>,
    /// In the network's size.
    pub pixels: Pixels,
}

impl KnownPicture {
    /// As large as suits the model.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn new(transform: Transform) -> Result<Self, SelfTestError> {
        let jpeg = picture::encoded(transform.resize_shorter_side)?;
        let pixels = decode(&jpeg, transform)?;
        Ok(Self { jpeg, pixels })
    }
}

impl SelfTest {
    /// Writes down what a model answers to the picture.
    #[must_use]
    pub fn new(picture: KnownPicture, logits: Vec<f32>) -> Self {
        let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let least = logits.iter().copied().fold(f32::INFINITY, f32::min);
        Self {
            pixels_sha256: digest::sha256_of(picture.pixels.bytes()),
            samples: samples(&picture.pixels),
            picture: picture.jpeg,
            logits,
            tolerance: (greatest - least) * TOLERANCE,
        }
    }

    /// Reads the file of a model's folder, where there is one.
    ///
    /// # Errors
    ///
    /// When it is there and cannot be used.
    pub fn read(folder: &Path) -> Result<Option<Self>, SelfTestError> {
        file::read(&folder.join(FILE))
    }

    /// Writes the file: a reader sees all of it or none.
    ///
    /// # Errors
    ///
    /// When the folder does not take it.
    pub fn write(&self, folder: &Path) -> std::io::Result<PathBuf> {
        file::write(self, &folder.join(FILE))
    }

    /// The pixels that the network sees.
    ///
    /// # Errors
    ///
    /// When they are not those that it saw.
    pub fn pixels(&self, transform: Transform) -> Result<Pixels, SelfTestError> {
        let pixels = decode(&self.picture, transform)?;
        let found = digest::sha256_of(pixels.bytes());
        if found == self.pixels_sha256 {
            return Ok(pixels);
        }
        let samples = samples(&pixels);
        let levels = samples.iter().zip(&self.samples).map(|(a, b)| a.abs_diff(*b)).max();
        Err(SelfTestError::Pixels {
            levels: levels.unwrap_or(0),
            places: self.samples.len() / 3,
            found,
            expected: self.pixels_sha256.clone(),
        })
    }

    /// Compares what the network answers.
    ///
    /// # Errors
    ///
    /// When it is further off than is allowed, or no number.
    pub fn check_logits(&self, logits: &[f32]) -> Result<(), SelfTestError> {
        let (found, expected) = (logits.len(), self.logits.len());
        if found != expected {
            return Err(SelfTestError::Classes { found, expected });
        }
        let off = |(found, expected): (&f32, &f32)| (found - expected).abs();
        let differences = logits.iter().zip(&self.logits).map(off).enumerate();
        // What is no number is as far off as can be.
        let worst = differences.max_by(|(_, a), (_, b)| a.total_cmp(b));
        match worst {
            Some((class, difference)) if difference.is_nan() || difference > self.tolerance => {
                Err(SelfTestError::Logits {
                    difference,
                    tolerance: self.tolerance,
                    class,
                    found: logits[class],
                    expected: self.logits[class],
                })
            }
            _ => Ok(()),
        }
    }
}

fn decode(picture: &[u8], transform: Transform) -> Result<Pixels, ImageError> {
    let header = ImageHeader::parse(picture, u64::MAX)?;
    transform.apply(picture, &header)
}

/// The pixels in the middles of a grid of equal fields.
fn samples(pixels: &Pixels) -> Vec<u8> {
    let middle = |index: u32, side: u32| (side * (2 * index + 1) / (2 * SAMPLES)).min(side - 1);
    let places = (0..SAMPLES).flat_map(|y| (0..SAMPLES).map(move |x| (x, y)));
    let at = places.map(|(x, y)| {
        let (x, y) = (middle(x, pixels.width()), middle(y, pixels.height()));
        (y * pixels.width() + x) as usize * 3
    });
    at.flat_map(|at| pixels.bytes()[at..at + 3].to_vec()).collect()
}

#[cfg(test)]
mod tests;
