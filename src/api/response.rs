//! The answer of `/classify`, as JSON has it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::Problem;
use crate::model::Model;
use crate::pipeline::{Classification, Explanation};
use crate::preprocess::ImageHeader;
use crate::serving::ServedModel;

/// The answer to a request.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClassifyResponse {
    /// The request, as in the log and in `X-Request-Id`.
    #[schema(example = "0b6f5a3e0a3a4bb0b4c1f5a0f6b8d1c2")]
    pub request_id: String,
    /// What has answered.
    pub model: ModelSummary,
    /// With `crops=10`: the crops of each image over which its probabilities are averaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 10)]
    pub crops: Option<usize>,
    /// One entry an image, in the order of the request.
    pub results: Vec<ImageResult>,
}

/// Which model has answered.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ModelSummary {
    /// Its name.
    #[schema(example = "resnet50")]
    pub name: String,
    /// Its version.
    #[schema(example = "1")]
    pub version: String,
    /// `false` for random weights, whose answers mean nothing.
    pub trained: bool,
    /// Of an ensemble: the models whose probabilities are averaged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, example = json!(["resnet34", "resnet50"]))]
    pub members: Vec<String>,
}

/// One image's answer, or why it has none.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ImageResult {
    /// The image was classified.
    Classified(ClassifiedImage),
    /// The image has failed, in a request where others may not have.
    Failed {
        /// What happened.
        error: Problem,
    },
}

/// The labels of one image.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClassifiedImage {
    /// The most probable classes, best first.
    pub predictions: Vec<Prediction>,
    /// What was sent.
    pub image: ImageSummary,
    /// With `explain=1`: what speaks for the first prediction.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub explanation: Option<HeatMap>,
}

/// What of a picture speaks for a class: its class activation map.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HeatMap {
    /// The index of the class.
    #[schema(example = 281)]
    pub class: usize,
    /// A small PNG in base64, in the proportions of the upright picture, to be laid over it: from
    /// blue (nothing) to red (most), transparent where the network does not look.
    #[schema(content_encoding = "base64", content_media_type = "image/png")]
    pub heat_map: String,
}

/// One class and its probability.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Prediction {
    /// The index of the class among the network's outputs.
    #[schema(example = 281)]
    pub class: usize,
    /// The class for programs.
    #[schema(example = "n02123045")]
    pub id: String,
    /// The class for people.
    #[schema(example = "tabby, tabby cat")]
    pub label: String,
    /// From 0 to 1.
    #[schema(example = 0.62)]
    pub probability: f32,
}

/// A picture as it is stored, before its orientation is applied.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ImageSummary {
    /// Found in the bytes, not taken from a header.
    #[schema(example = "jpeg")]
    pub format: &'static str,
    /// Pixels.
    #[schema(example = 500)]
    pub width: u32,
    /// Pixels.
    #[schema(example = 375)]
    pub height: u32,
    /// The EXIF orientation, 1 to 8; 1 is upright.
    #[schema(example = 1, minimum = 1, maximum = 8)]
    pub orientation: u8,
}

impl ClassifiedImage {
    /// The answer for one image of a model.
    #[must_use]
    pub fn new(model: &Model, classification: &Classification) -> Self {
        let predictions = classification.ranked.iter().map(|ranked| {
            let label = &model.labels[ranked.class];
            Prediction {
                class: ranked.class,
                id: label.id.clone(),
                label: label.text.clone(),
                probability: ranked.probability,
            }
        });
        Self {
            predictions: predictions.collect(),
            image: ImageSummary::new(&classification.image),
            explanation: classification.explanation.as_ref().map(HeatMap::from),
        }
    }
}

impl From<&Explanation> for HeatMap {
    fn from(explanation: &Explanation) -> Self {
        let heat_map = BASE64_STANDARD.encode(&explanation.heat_map);
        Self { class: explanation.class, heat_map }
    }
}

impl ImageSummary {
    fn new(header: &ImageHeader) -> Self {
        Self {
            format: header.format().name(),
            width: header.width(),
            height: header.height(),
            orientation: header.orientation().to_exif(),
        }
    }
}

impl ModelSummary {
    /// What the answer says of a model.
    #[must_use]
    pub fn new(model: &Model) -> Self {
        Self {
            name: model.manifest.name.as_str().to_owned(),
            version: model.manifest.version.clone(),
            trained: model.manifest.trained,
            members: model
                .members
                .iter()
                .map(|member| member.manifest.name.as_str().to_owned())
                .collect(),
        }
    }
}

impl From<&ServedModel> for ModelSummary {
    fn from(model: &ServedModel) -> Self {
        Self::new(&model.pipeline.model)
    }
}
