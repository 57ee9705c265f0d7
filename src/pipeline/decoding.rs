//! From an encoded image to pixels, on a core of the pool or in the GPU's unit for JPEG.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{Instrument as _, Span, info_span};

use super::fate::Fate;
use super::{ClassifyError, Crops, Encoded, Pipeline, Request};
use crate::batching::{Content, Prepared};
use crate::cpu_pool::{self, Core, Panicked};
use crate::jpeg_unit::{JpegUnit, Place};
use crate::memory::Charge;
use crate::preprocess::{Baseline, ImageError, ImageHeader, Picture, Pixels, Region, Transform};
use crate::telemetry::metrics::{Abandonment, Metrics, Stage, UnitResult};

impl Pipeline {
    pub(super) async fn decode(
        &self,
        (image, header): (Encoded, &ImageHeader),
        request: &Request,
        fate: &mut Fate<'_>,
    ) -> Result<Vec<Prepared>, ClassifyError> {
        let span = decode_span(header);
        self.decode_in_turn((image, header.clone()), request, fate).instrument(span).await
    }

    /// Waits for who decodes, charges what decoding will take at its peak, and decodes.
    async fn decode_in_turn(
        &self,
        (image, header): (Encoded, ImageHeader),
        request: &Request,
        fate: &mut Fate<'_>,
    ) -> Result<Vec<Prepared>, ClassifyError> {
        let decoding = request.times.begin(Stage::Decode);
        let (crops, wanted) = (request.crops, request.wanted);
        let peak = self.peak_bytes(&image, &header, crops)?;
        let turn = self.turn((&image, &header), (peak, request)).await;
        fate.at = Some(Abandonment::Decode);
        let (turn, charge) = self.charged(turn, peak).await?;
        let picture = Charged { image, header, charge };
        // A decoder that panics has met a picture that it cannot read.
        let broken = |_| ImageError::Undecodable { reason: "the decoder gave up".to_owned() };
        let (picture, source, core) = match turn {
            Turn::Core(core) => (picture, Source::File, core),
            Turn::Unit(place, mut turn, region) => {
                let pixels = place.decode(picture.image.bytes.clone(), region.clone());
                let (pixels, followed) = tokio::join!(pixels, picture.follow(&turn));
                let (picture, followed) = followed.map_err(broken)?;
                let core = turn.core_to_end().await;
                drop(place); // not before, or the unit would fill the memory with pixels
                (picture, Source::Unit { pixels, region, followed }, core)
            }
        };
        let metrics = Arc::clone(&self.resources.metrics);
        let cropping = Cropping { transform: self.transform, crops, metrics };
        let followed = source.followed();
        let started = Instant::now();
        let work = move || {
            let (pixels, charge) = cropping.of(picture, source)?;
            let prepared = |pixels| Prepared {
                content: Content::Pixels(pixels),
                wanted,
                charge: Arc::clone(&charge),
            };
            Ok::<_, ImageError>(pixels.into_iter().map(prepared).collect())
        };
        let decoded = core.run(work).await;
        // A picture that is broken takes less time than one that is not.
        if let Ok(Ok(_)) = &decoded {
            let count = u32::try_from(crops.count().get()).unwrap_or(u32::MAX);
            self.queue.observe_decode((followed + started.elapsed()) / count);
        }
        let prepared = decoded.map_err(broken)??;
        self.resources.metrics.observe_stage(Stage::Decode, decoding.elapsed());
        Ok(prepared)
    }

    /// Waits for the GPU's unit, if it takes the picture, or for a core, whichever comes first.
    async fn turn(
        &self,
        (image, header): (&Encoded, &ImageHeader),
        (peak, request): (u64, &Request),
    ) -> Turn {
        let takes = |unit: &JpegUnit, region: &Region| {
            let needed = || image.charge.bytes() + peak + region.bytes();
            unit.takes(&image.bytes, (header, region)) && needed() <= self.resources.memory.limit()
        };
        let for_unit = self.resources.jpeg_unit.as_ref().and_then(|unit| {
            let region = request.crops.region(self.transform, header)?;
            takes(unit, &region).then_some((unit, region))
        });
        let Some((unit, region)) = for_unit else {
            return Turn::Core(request.lane.core().await);
        };
        let mut turn = request.lane.turn().await;
        if unit.is_worth_waiting(header)
            && let Some(place) = unit.place().await
        {
            return Turn::Unit(place, turn, region);
        }
        let place = if unit.is_behind() {
            tokio::select! {
                biased;
                core = turn.core() => return Turn::Core(core),
                Some(place) = unit.place() => place,
            }
        } else {
            tokio::select! {
                biased;
                Some(place) = unit.place() => place,
                core = turn.core() => return Turn::Core(core),
            }
        };
        Turn::Unit(place, turn, region)
    }

    /// The turn with the memory that it takes. The unit's pixels are there beside what a core takes, which
    /// may have to decode after all; where that is not there, a core decodes at once.
    async fn charged(&self, turn: Turn, peak: u64) -> Result<(Turn, Charge), ClassifyError> {
        let Turn::Unit(place, mut turn, region) = turn else {
            return Ok((turn, self.charge(peak)?));
        };
        if let Some(charge) = self.resources.memory.charge(peak + region.bytes()) {
            return Ok((Turn::Unit(place, turn, region), charge));
        }
        drop(place);
        Ok((Turn::Core(turn.core().await), self.charge(peak)?))
    }

    /// What decoding takes beside the image itself. Where that is never there, waiting does not help.
    fn peak_bytes(
        &self,
        image: &Encoded,
        header: &ImageHeader,
        crops: Crops,
    ) -> Result<u64, ImageError> {
        let peak = crops.peak_bytes(self.transform, (image.bytes.len(), header));
        let (needed, budget) = (image.charge.bytes() + peak, self.resources.memory.limit());
        if needed > budget {
            let (width, height) = (header.width(), header.height());
            return Err(ImageError::TooLargeForMemory { width, height, needed, budget });
        }
        Ok(peak)
    }
}

/// A file with the memory that it takes to decode it.
struct Charged {
    image: Encoded,
    header: ImageHeader,
    charge: Charge,
}

impl Charged {
    /// Follows the file's code words on a core, while the unit decodes it.
    async fn follow(self, turn: &cpu_pool::Turn) -> Result<(Self, Followed), Panicked> {
        let core = turn.core_to_go_on().await;
        let work = move || {
            let started = Instant::now();
            let file = Baseline::of(&self.image.bytes, &self.header);
            let is_whole = file.is_some_and(|file| file.is_whole());
            (self, Followed { is_whole, took: started.elapsed() })
        };
        core.run(work).await
    }
}

fn decode_span(header: &ImageHeader) -> Span {
    info_span!(
        "decode",
        image.format = header.format().name(),
        image.width = i64::from(header.width()),
        image.height = i64::from(header.height()),
    )
}

/// Who decodes.
enum Turn {
    Core(Core),
    /// And the request's turn, with which a core is waited for.
    Unit(Place, cpu_pool::Turn, Region),
}

/// What a core makes the picture of.
enum Source {
    File,
    Unit {
        /// What the unit made of it, if anything.
        pixels: Option<Pixels>,
        /// What it was asked for.
        region: Region,
        followed: Followed,
    },
}

/// What a core found where it followed a file's code words.
#[derive(Clone, Copy)]
struct Followed {
    is_whole: bool,
    took: Duration,
}

impl Source {
    /// What a core has already spent on the picture.
    fn followed(&self) -> Duration {
        match self {
            Self::File => Duration::ZERO,
            Self::Unit { followed, .. } => followed.took,
        }
    }
}

/// What a core does with a picture.
struct Cropping {
    transform: Transform,
    crops: Crops,
    metrics: Arc<Metrics>,
}

impl Cropping {
    /// The encoded image is dropped here: from now on the pixels are all that is held.
    fn of(
        &self,
        Charged { image, header, mut charge }: Charged,
        source: Source,
    ) -> Result<(Vec<Pixels>, Arc<Charge>), ImageError> {
        let (decoded, is_broken) = match source {
            Source::File => (None, false),
            Source::Unit { pixels, region, followed } => {
                (self.checked((pixels, &region), followed, &header), !followed.is_whole)
            }
        };
        let open = || {
            // The library decodes all of it, and says what is wrong.
            if is_broken {
                return self.transform.open(&image.bytes, &header);
            }
            let region = self.crops.region(self.transform, &header);
            self.transform.open_region_of(&image.bytes, &header, region.as_ref())
        };
        let picture = decoded.map_or_else(open, Result::Ok)?;
        let pixels = self.crops.of(&picture)?;
        charge.shrink_to(pixels.iter().map(|pixels| pixels.bytes().len() as u64).sum());
        Ok((pixels, Arc::new(charge)))
    }

    /// The unit's picture, if it shows all of the file and nothing else.
    fn checked<'a>(
        &self,
        (pixels, region): (Option<Pixels>, &Region),
        followed: Followed,
        header: &'a ImageHeader,
    ) -> Option<Picture<'a>> {
        let picture =
            pixels.and_then(|pixels| self.transform.open_region((pixels, region), header));
        let (result, picture) = match picture {
            None => (UnitResult::Failed, None),
            Some(picture) if followed.is_whole => (UnitResult::Decoded, Some(picture)),
            Some(_) => (UnitResult::Broken, None),
        };
        self.metrics.count_unit_image(result);
        picture
    }
}
