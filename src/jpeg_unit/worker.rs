//! A thread's work with the unit.

use thiserror::Error;

use super::line::{Job, Line};
use super::{BATCH, BATCH_BYTES, RESULT_BYTES};
use crate::preprocess::{Pixels, Region, Weights};

/// Failures in a row after which the unit is opened anew.
pub(super) const FAILURES: u32 = 8;

/// What decodes and resizes a batch of plain JPEGs, as they are stored, in their order. It stays on the
/// thread where it was made.
pub trait Unit {
    /// # Errors
    ///
    /// Why there is nothing of the whole batch; there may also be nothing of a picture.
    fn decode(&mut self, files: &[(&[u8], &Region)]) -> Result<Vec<Option<Pixels>>, UnitError>;
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
    fn decode(&mut self, files: &[(&[u8], &Region)]) -> Result<Vec<Option<Pixels>>, UnitError> {
        let weights: Vec<[Weights; 2]> =
            files.iter().map(|(_, region)| [region.columns(), region.rows()]).collect();
        let jobs: Vec<_> =
            files.iter().zip(&weights).map(|(file, weights)| job(*file, weights)).collect();
        let pictures = self.decode(&jobs).map_err(|cause| {
            let kind = if cause.is_of_a_file() { UnitError::File } else { UnitError::Unit };
            kind(cause.to_string())
        })?;
        let pixels = |picture: nvjpeg::Picture<'_>| {
            Pixels::new(picture.height, picture.width, picture.rgb.to_vec())
        };
        Ok(pictures.into_iter().map(|picture| picture.and_then(pixels)).collect())
    }
}

fn job<'a>(
    (file, region): (&'a [u8], &Region),
    [columns, rows]: &'a [Weights; 2],
) -> nvjpeg::Job<'a> {
    let (columns, rows) = (told(columns), told(rows));
    nvjpeg::Job { file, size: region.decoded_size(), rows_seen: region.rows_seen(), columns, rows }
}

fn told(weights: &Weights) -> nvjpeg::Weights<'_> {
    let Weights { starts, counts, values, window, precision } = weights;
    nvjpeg::Weights { starts, counts, values, window: *window, precision: *precision }
}

/// The JPEG unit of the GPU on which networks run.
///
/// # Errors
///
/// Where there is none, or NVIDIA's libraries are missing.
pub fn open_nvjpeg(colors: nvjpeg::Colors) -> Result<nvjpeg::Decoder, String> {
    let gpu = 0;
    let gaps = (3 * BATCH + 1) * nvjpeg::ALIGNMENT;
    let capacity =
        nvjpeg::Capacity { on_device: BATCH_BYTES + gaps, in_memory: RESULT_BYTES + gaps };
    nvjpeg::Decoder::new(gpu, capacity, colors).map_err(|cause| cause.to_string())
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
    let files: Vec<(&[u8], &Region)> =
        batch.iter().map(|job| (&job.file[..], &job.region)).collect();
    match unit.decode(&files) {
        Ok(pictures) => {
            let left_out = pictures.iter().filter(|picture| picture.is_none()).count();
            if left_out > 0 {
                let batch = pictures.len();
                tracing::debug!(
                    left_out,
                    batch,
                    "the JPEG unit left pictures out, and the CPU decodes"
                );
            }
            let works = left_out < pictures.len();
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
            tracing::debug!(%cause, "the JPEG unit failed, and the CPU decodes");
            matches!(cause, UnitError::File(_))
        }
    }
}
