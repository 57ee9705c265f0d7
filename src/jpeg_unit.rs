//! The GPU's unit for JPEG, shared by all models of a process: files in, resized pixels out, in batches.
//!
//! A picture either has a place here, or goes to a core of the pool, whichever is free first, but large
//! ones wait a while for a place, or all, where the unit is to decode alone; whatever it cannot do, a core does.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use crate::preprocess::{Baseline, ImageFormat, ImageHeader, Pixels, Region};

mod line;
mod worker;

use line::{Job, Line};
pub use nvjpeg::Colors;
pub use worker::{Unit, UnitError, open_nvjpeg};

/// Most pictures in a batch: one more than the units that an H100 has.
const BATCH: usize = 8;

/// Most bytes of pixels in a batch on the GPU, so that a picture of 15 million fits, decoded and resized.
/// As many are set aside there for each thread.
const BATCH_BYTES: usize = 48 << 20;

/// Most bytes of resized pixels in a batch. As many are set aside in memory for each thread.
const RESULT_BYTES: usize = 8 << 20;

/// Beside those that are decoded, pictures that wait for it or, decoded, for a core.
const WAITING_BATCHES: usize = 1;

/// A hundred times what a batch takes.
const PATIENCE: Duration = Duration::from_secs(1);

/// From so many pixels on a picture waits for the unit even where a core is free: that would take
/// ten times as long.
const WORTH_WAITING: u64 = 1_000_000;

/// Where pictures wait for the unit. Clones are the same.
#[derive(Clone)]
pub struct JpegUnit {
    places: Arc<Semaphore>,
    line: Arc<Line>,
    alone: bool,
    /// The last one lets the threads go.
    _open: Arc<Open>,
}

/// A place in the unit's line. As long as it is held, nothing else is decoded in its stead, so that the unit
/// runs no further ahead than the cores follow.
pub struct Place {
    line: Arc<Line>,
    permit: Arc<OwnedSemaphorePermit>,
}

struct Open(Arc<Line>);

impl JpegUnit {
    /// Starts `threads`, each with a unit that `open` makes there.
    ///
    /// # Errors
    ///
    /// What `open` says, where it fails.
    pub fn start<U: Unit>(
        threads: NonZeroUsize,
        open: impl Fn() -> Result<U, String> + Clone + Send + 'static,
    ) -> Result<Self, String> {
        let places = Arc::new(Semaphore::new((threads.get() + WAITING_BATCHES) * BATCH));
        let line = Arc::new(Line::default());
        let unit = Self { places, _open: Arc::new(Open(Arc::clone(&line))), line, alone: false };
        let (report, reports) = std::sync::mpsc::channel();
        for _ in 0..threads.get() {
            let attendant = unit.line.attend(&unit.places);
            let (open, report) = (open.clone(), report.clone());
            let work = move || match open() {
                Ok(unit) => {
                    let _ = report.send(Ok(()));
                    drop(report);
                    worker::work(&attendant.line, unit, open);
                }
                Err(cause) => drop(report.send(Err(cause))),
            };
            thread::Builder::new()
                .name("jpeg-unit".to_owned())
                .spawn(work)
                .map_err(|cause| cause.to_string())?;
        }
        drop(report);
        let opened = reports.iter().collect::<Result<Vec<()>, String>>()?.len();
        if opened < threads.get() {
            return Err("a thread of it died".to_owned());
        }
        Ok(unit)
    }

    /// The same, where every picture that it takes waits for a place, for a second at most, before a core
    /// may decode it.
    #[must_use]
    pub fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// Whether the unit can decode it: a plain JPEG that is not too large.
    #[must_use]
    pub fn takes(&self, file: &[u8], (header, region): (&ImageHeader, &Region)) -> bool {
        header.format() == ImageFormat::Jpeg
            && region.bytes_on_device() <= BATCH_BYTES as u64
            && region.bytes() <= RESULT_BYTES as u64
            && Baseline::of(file, header).is_some()
    }

    /// Waits for a place, first come, first served; `None` where the unit is not used any more, or hangs,
    /// or none came for a second.
    pub async fn place(&self) -> Option<Place> {
        if self.line.hangs() {
            return None;
        }
        let acquired = timeout(PATIENCE, Arc::clone(&self.places).acquire_owned());
        let permit = Arc::new(acquired.await.ok()?.ok()?);
        Some(Place { line: Arc::clone(&self.line), permit })
    }

    /// Whether as many pictures wait for a thread as one takes at a time, so that a core is better that is
    /// free.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.line.waiting() >= BATCH
    }

    /// Whether waiting for a place is better than a core that is free.
    #[must_use]
    pub fn is_worth_waiting(&self, header: &ImageHeader) -> bool {
        self.alone || header.pixels() >= WORTH_WAITING
    }
}

impl Place {
    /// The region of the resized picture; `None` where the unit failed or took so long that it may hang.
    /// **A file that is cut off or broken is not noticed**: its pixels may show another picture.
    pub async fn decode(&self, file: Bytes, region: Region) -> Option<Pixels> {
        let (answer, answered) = oneshot::channel();
        let place = Arc::clone(&self.permit);
        self.line.join(Job { file, region, answer, _place: place })?;
        let answered = timeout(PATIENCE, answered).await;
        answered.inspect_err(|_| self.line.note_hanging()).ok()?.ok()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests;
