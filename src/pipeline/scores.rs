//! What comes out of the network for one image.

use super::ClassifyError;
use crate::inference::ImageFeatures;
use crate::memory::Charge;
use crate::model::manifest::Activation;
use crate::preprocess::ImageError;
use crate::ranking;

/// What the network says of one image, and the memory that its features hold.
#[derive(Debug)]
pub struct Scores {
    /// `[classes]`, as the network gives them.
    pub logits: Vec<f32>,
    /// What they are made of, where that is wanted and shown.
    pub features: Option<ImageFeatures>,
    pub(super) _charge: Charge,
}

impl Scores {
    /// From 0 to 1 for each class. A network that gives them by itself may give something else.
    pub(super) fn probabilities(&self, activation: Activation) -> Result<Vec<f32>, ClassifyError> {
        if activation == Activation::None && !ranking::may_be_probabilities(&self.logits) {
            return Err(ClassifyError::Failed(ranking::no_probabilities(&self.logits)));
        }
        Ok(ranking::probabilities(&self.logits, activation))
    }

    /// Themselves, if every one is a finite number: from others nothing follows. A tensor that was
    /// `sent` may hold anything; a picture cannot be at fault, so there it is the network.
    pub(super) fn finite(self, sent: bool) -> Result<Self, ClassifyError> {
        let cause = "the network gives scores that are no finite numbers";
        match sent {
            _ if self.logits.iter().all(|score| score.is_finite()) => Ok(self),
            true => {
                let reason = format!("for this tensor {cause}");
                Err(ImageError::Undecodable { reason }.into())
            }
            false => Err(ClassifyError::Failed(cause.to_owned())),
        }
    }
}
