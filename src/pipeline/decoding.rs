//! From an encoded image to pixels, on a core of the pool.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::{Instrument as _, Span, info_span};

use super::fate::Fate;
use super::{ClassifyError, Crops, Encoded, Pipeline, Request};
use crate::batching::{Content, Prepared};
use crate::memory::Charge;
use crate::preprocess::{ImageError, ImageHeader, Pixels, Transform};
use crate::telemetry::metrics::{Abandonment, Stage};

impl Pipeline {
    pub(super) async fn decode(
        &self,
        (image, header): (Encoded, &ImageHeader),
        request: &Request,
        fate: &mut Fate<'_>,
    ) -> Result<Vec<Prepared>, ClassifyError> {
        let span = decode_span(header);
        self.decode_on_a_core((image, header.clone()), request, fate).instrument(span).await
    }

    /// Waits for a core, charges what decoding will take at its peak, and decodes.
    async fn decode_on_a_core(
        &self,
        (image, header): (Encoded, ImageHeader),
        request: &Request,
        fate: &mut Fate<'_>,
    ) -> Result<Vec<Prepared>, ClassifyError> {
        let decoding = request.times.begin(Stage::Decode);
        let (crops, wanted) = (request.crops, request.wanted);
        let peak = self.peak_bytes(&image, &header, crops)?;
        let core = request.lane.core().await;
        fate.at = Some(Abandonment::Decode);
        let charge = self.charge(peak)?;
        let transform = self.transform;
        let started = Instant::now();
        let work = move || {
            let (pixels, charge) = decode((transform, crops), &image, (&header, charge))?;
            let prepared = |pixels| Prepared {
                content: Content::Pixels(pixels),
                wanted,
                charge: Arc::clone(&charge),
            };
            Ok(pixels.into_iter().map(prepared).collect())
        };
        let decoded = core.run(work).await;
        // A picture that is broken takes less time than one that is not.
        if let Ok(Ok(_)) = &decoded {
            let count = u32::try_from(crops.count().get()).unwrap_or(u32::MAX);
            self.queue.observe_decode(started.elapsed() / count);
        }
        // A decoder that panics has met a picture that it cannot read.
        let broken = |_| Err(ImageError::Undecodable { reason: "the decoder gave up".to_owned() });
        let prepared = decoded.unwrap_or_else(broken)?;
        self.resources.metrics.observe_stage(Stage::Decode, decoding.elapsed());
        Ok(prepared)
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

fn decode_span(header: &ImageHeader) -> Span {
    info_span!(
        "decode",
        image.format = header.format().name(),
        image.width = i64::from(header.width()),
        image.height = i64::from(header.height()),
    )
}

/// The encoded image is dropped here: from now on the pixels are all that is held.
fn decode(
    (transform, crops): (Transform, Crops),
    image: &Encoded,
    (header, mut charge): (&ImageHeader, Charge),
) -> Result<(Vec<Pixels>, Arc<Charge>), ImageError> {
    let pixels = crops.of(transform, (&image.bytes, header))?;
    charge.shrink_to(pixels.iter().map(|pixels| pixels.bytes().len() as u64).sum());
    Ok((pixels, Arc::new(charge)))
}
