//! What speaks for an image's first class, from the features that its scores are made of.

use super::{ClassifyError, Crops, Pipeline, Request, Scores};
use crate::inference::Wanted;
use crate::memory::Charge;
use crate::preprocess::ImageHeader;
use crate::ranking::Ranked;

/// What of a picture speaks for a class.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The class.
    pub class: usize,
    /// A PNG that lies over the upright picture.
    pub heat_map: Vec<u8>,
}

impl Pipeline {
    /// Whether a request may ask for explanations.
    #[must_use]
    pub fn explains(&self) -> bool {
        self.explainer.is_some()
    }

    /// Explains the first class, on the pool, where that is asked for and can be had.
    pub(super) async fn explain(
        &self,
        (ranked, mut scores): (&[Ranked], Vec<Scores>),
        header: &ImageHeader,
        request: &Request,
    ) -> Result<Option<Explanation>, ClassifyError> {
        // Of several crops none is the picture.
        let scores =
            scores.pop().filter(|scores| scores.features.is_some() && request.crops == Crops::One);
        let wanted = (&self.explainer, scores, ranked.first());
        let (Some(explainer), Some(scores), Some(first)) = wanted else { return Ok(None) };
        let (explainer, class, seen) =
            (explainer.clone(), first.class, self.transform.seen(header));
        let work = move || {
            let map = scores.features.as_ref().map(|features| features.map.as_slice());
            explainer.heat_map(class, map.unwrap_or_default(), &seen)
        };
        let drawn = request.lane.core().await.run(work).await;
        let failed = |_| ClassifyError::Failed("the explanation could not be drawn".to_owned());
        Ok(Some(Explanation { class, heat_map: drawn.map_err(failed)? }))
    }

    /// Charges the features of one image, where they are wanted: a large network's map takes more
    /// than its picture.
    pub(super) fn charge_features(&self, request: &Request) -> Result<Charge, ClassifyError> {
        let bytes = match request.wanted {
            Wanted::Logits => return Ok(Charge::nothing()),
            Wanted::Features => self.features.values() * size_of::<f32>(),
        };
        self.charge(bytes as u64)
    }
}
