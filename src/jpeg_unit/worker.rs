//! A thread's work with the unit.

use super::BATCH_BYTES;
use super::line::{Job, Line};
use crate::preprocess::Pixels;

/// Batches in a row that may fail before the unit is opened anew: files can be to blame too.
pub(super) const PATIENCE: u32 = 8;

/// What decodes a batch of plain JPEGs, whole and as they are stored, in their order. It stays on the
/// thread where it was made.
pub trait Unit {
    /// # Errors
    ///
    /// Why there is nothing of the whole batch.
    fn decode(&mut self, files: &[&[u8]]) -> Result<Vec<Pixels>, String>;
}

impl Unit for nvjpeg::Decoder {
    fn decode(&mut self, files: &[&[u8]]) -> Result<Vec<Pixels>, String> {
        let pictures = self.decode(files).map_err(|cause| cause.to_string())?;
        let pixels = pictures
            .iter()
            .map(|picture| Pixels::new(picture.height, picture.width, picture.rgb.to_vec()));
        pixels.collect::<Option<_>>().ok_or_else(|| "its pixels do not fit its size".to_owned())
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
        match decode(&mut unit, batch) {
            Ok(()) => failures = 0,
            Err(cause) => {
                tracing::debug!(%cause, "the JPEG unit failed, and the CPU decodes instead");
                failures += 1;
            }
        }
        if failures == PATIENCE {
            failures = 0;
            // Both at once may be more than there is memory for.
            drop(unit);
            match open() {
                Ok(new) => unit = new,
                Err(cause) => {
                    return tracing::error!(%cause, "the JPEG unit is lost; the CPU decodes from now on");
                }
            }
            tracing::warn!("the JPEG unit failed again and again, and was opened anew");
        }
    }
}

/// Where it fails, whoever waits hears nothing, and so knows.
fn decode(unit: &mut impl Unit, batch: Vec<Job>) -> Result<(), String> {
    let files: Vec<&[u8]> = batch.iter().map(|job| &job.file[..]).collect();
    let pictures = unit.decode(&files)?;
    for (job, pixels) in batch.into_iter().zip(pictures) {
        // Who went away in the meantime misses nothing.
        let _ = job.answer.send(pixels);
    }
    Ok(())
}
