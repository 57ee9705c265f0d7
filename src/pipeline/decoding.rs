//! From an encoded image to pixels, on a core of the pool.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::{Instrument as _, Span, info_span};

use super::fate::Fate;
use super::{ClassifyError, Encoded, Pipeline, Request};
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
    ) -> Result<Prepared, ClassifyError> {
        let span = decode_span(header);
        self.decode_on_a_core((image, header.clone()), request, fate).instrument(span).await
    }

    /// Waits for a core, charges what decoding will take at its peak, and decodes.
    async fn decode_on_a_core(
        &self,
        (image, header): (Encoded, ImageHeader),
        request: &Request,
        fate: &mut Fate<'_>,
    ) -> Result<Prepared, ClassifyError> {
        let decoding = request.times.begin(Stage::Decode);
        let peak = self.peak_bytes(&image, &header)?;
        let core = request.lane.core().await;
        fate.at = Some(Abandonment::Decode);
        let charge = self.resources.memory.charge(peak).ok_or_else(|| self.out_of_memory())?;
        let (transform, wanted) = (self.transform, request.wanted);
        let started = Instant::now();
        let work = move || {
            let (pixels, charge) = decode(transform, &image, (&header, charge))?;
            Ok(Prepared { content: Content::Pixels(pixels), wanted, charge })
        };
        let decoded = core.run(work).await;
        self.queue.observe_decode(started.elapsed());
        // A decoder that panics has met a picture that it cannot read.
        let broken = |_| Err(ImageError::Undecodable { reason: "the decoder gave up".to_owned() });
        let prepared = decoded.unwrap_or_else(broken)?;
        self.resources.metrics.observe_stage(Stage::Decode, decoding.elapsed());
        Ok(prepared)
    }

    /// What decoding takes beside the image itself. Where that is never there, waiting does not help.
    fn peak_bytes(&self, image: &Encoded, header: &ImageHeader) -> Result<u64, ImageError> {
        let peak = self.transform.peak_bytes(image.bytes.len(), header);
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
    transform: Transform,
    image: &Encoded,
    (header, mut charge): (&ImageHeader, Charge),
) -> Result<(Pixels, Arc<Charge>), ImageError> {
    let pixels = transform.apply(&image.bytes, header)?;
    charge.shrink_to(pixels.bytes().len() as u64);
    Ok((pixels, Arc::new(charge)))
}
