//! A thread's work with the unit.

use thiserror::Error;

use super::BATCH_BYTES;
use super::line::{Job, Line};
use crate::preprocess::Pixels;

/// Failures in a row after which the unit is opened anew.
pub(super) const FAILURES: u32 = 8;

/// What decodes a batch of plain JPEGs, whole and as they are stored, in their order. It stays on the
/// thread where it was made.
pub trait Unit {
    /// # Errors
    ///
    /// Why there is nothing of the whole batch; there may also be nothing of a picture.
    fn decode(&mut self, files: &[&[u8]]) -> Result<Vec<Option<Pixels>>, UnitError>;
}

/// Why a batch was not decoded.
#[derive(Debug, Error)]
pub enum UnitError {
    /// One of its files is of a kind that the unit does not take after all.
    #[error("a file of the batch cannot be decoded: {0}")]
    File(String),
    /// The unit does not work.
    #[error("{0}")]
    Unit(String),
}

impl Unit for nvjpeg::Decoder {
    fn decode(&mut self, files: &[&[u8]]) -> Result<Vec<Option<Pixels>>, UnitError> {
        let pictures = self.decode(files).map_err(|cause| {
            let kind = if cause.is_of_a_file() { UnitError::File } else { UnitError::Unit };
            kind(cause.to_string())
        })?;
        let pixels = |picture: nvjpeg::Picture<'_>| {
            Pixels::new(picture.height, picture.width, picture.rgb.to_vec())
        };
        Ok(pictures.into_iter().map(|picture| picture.and_then(pixels)).collect())
    }
}

/// The JPEG unit of the GPU on which networks run.
///
/// # Errors
///
/// Where there is none, or NVIDIA's libraries are missing.
pub fn open_nvjpeg() -> Result<nvjpeg::Decoder, String> {
    let gpu = 0;
    nvjpeg::Decoder::new(gpu, BATCH_BYTES + super::BATCH * nvjpeg::ALIGNMENT)
        .map_err(|cause| cause.to_string())
}

/// Decodes until the line ends or the unit can be of no more use.
pub(super) fn work<U: Unit>(line: &Line, mut unit: U, open: impl Fn() -> Result<U, String>) {
    let mut failures = 0;
    while let Some(batch) = line.next_batch() {
        failures = if decode(&mut unit, batch) { 0 } else { failures + 1 };
        if failures == FAILURES {
            failures = 0;
            // Both at once may be more than there is memory for.
            drop(unit);
            match open() {
                Ok(new) => unit = new,
                Err(cause) => {
                    return tracing::error!(%cause, "a thread of the JPEG unit is lost; without the last, the CPU decodes");
                }
            }
            tracing::warn!("the JPEG unit failed again and again, and was opened anew");
        }
    }
}

/// Whether the unit works. Whoever hears nothing knows that it failed; if a file is to blame, each is
/// tried alone, so that it costs the others nothing but time.
fn decode(unit: &mut impl Unit, batch: Vec<Job>) -> bool {
    let files: Vec<&[u8]> = batch.iter().map(|job| &job.file[..]).collect();
    match unit.decode(&files) {
        Ok(pictures) => {
            let works = pictures.iter().any(Option::is_some);
            for (job, pixels) in batch.into_iter().zip(pictures) {
                // Who went away in the meantime misses nothing.
                let _ = pixels.map(|pixels| job.answer.send(pixels));
            }
            works
        }
        Err(UnitError::File(_)) if batch.len() > 1 => {
            batch.into_iter().map(|job| decode(unit, vec![job])).fold(true, |all, one| all & one)
        }
        Err(cause) => {
            tracing::debug!(%cause, "the JPEG unit failed, and the CPU decodes instead");
            matches!(cause, UnitError::File(_))
        }
    }
}
