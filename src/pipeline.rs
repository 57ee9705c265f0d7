//! One image's way from bytes to ranked classes, the same for every door.

use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::future::try_join_all;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use tracing::{Span, info_span};

use crate::batching::{Content, JobError, Prepared, Queue, Rejection, Row, Slot, Spent};
use crate::cpu_pool::{CpuPool, Lane};
use crate::explanation::Explainer;
use crate::inference::{FeatureShapes, Wanted};
use crate::jpeg_unit::JpegUnit;
use crate::memory::{Charge, MemoryBudget};
use crate::model::{Manifest, Model};
use crate::preprocess::{ImageError, ImageHeader, Transform};
use crate::ranking::{self, Ranked};
use crate::telemetry::metrics::{Metrics, Outcome, Stage};
use crate::telemetry::stages::StageTimes;

mod crops;
mod decoding;
mod explain;
mod fate;
mod room;
mod scores;
mod waiting;

pub use crops::Crops;
pub use explain::Explanation;
pub use scores::Scores;

use fate::Fate;
use waiting::Waiting;

/// What all models of a process share.
#[derive(Clone)]
pub struct Resources {
    /// Decodes and resizes.
    pub pool: CpuPool,
    /// Decodes JPEGs, where a GPU is asked to.
    pub jpeg_unit: Option<JpegUnit>,
    /// Bounds bodies and pixels.
    pub memory: MemoryBudget,
    /// Pixels that a picture may have, as it is stored.
    pub max_pixels: u64,
    /// Counts and times.
    pub metrics: Arc<Metrics>,
}

/// The way through one model.
pub struct Pipeline {
    /// The model, as its folder describes it.
    pub model: Arc<Model>,
    queue: Queue,
    transform: Transform,
    resources: Resources,
    /// What the network can be asked for beside its scores.
    features: FeatureShapes,
    explainer: Option<Arc<Explainer>>,
}

/// What is asked of every image of one request.
#[derive(Clone)]
pub struct Request {
    /// Classes in the answer.
    pub top_k: usize,
    /// When the answer is of no use any more.
    pub deadline: Instant,
    /// What the network sees of each.
    pub crops: Crops,
    /// What of the network's outputs is of interest.
    pub wanted: Wanted,
    /// The request's share of the pool.
    pub lane: Lane,
    /// What its stages take.
    pub times: StageTimes,
    /// What became of the image that has failed all of it.
    failed: Arc<OnceLock<Outcome>>,
}

/// An image as it was sent, and the memory that it holds.
#[derive(Clone)]
pub struct Encoded {
    /// The file.
    pub bytes: Bytes,
    /// Given back with the last image of a body.
    pub charge: Arc<Charge>,
}

/// What is sent for one image.
#[derive(Clone)]
pub enum Input {
    /// A picture.
    Picture(Encoded),
    /// The network's own input: all elements of one image, little-endian.
    Tensor(Encoded),
}

/// What is known of one image.
#[derive(Clone, Debug)]
pub struct Classification {
    /// The most probable classes, best first.
    pub ranked: Vec<Ranked>,
    /// The picture as it came.
    pub image: ImageHeader,
    /// What speaks for the first of the classes, where that was asked for.
    pub explanation: Option<Explanation>,
}

/// Why an image has no classes.
#[derive(Clone, Debug, Error)]
pub enum ClassifyError {
    /// It is no picture that can be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// There was no room for it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// No waiting would make room for it.
    #[error("the request takes `{needed}` bytes, and the memory budget is `{budget}`")]
    TooLarge {
        /// Bytes that it holds and asks for.
        needed: u64,
        /// Bytes of the whole budget.
        budget: u64,
    },
    /// Its deadline passed before its turn.
    #[error("the deadline passed before the image's turn")]
    Expired,
    /// The network did not run on it.
    #[error("{0}")]
    Failed(String),
}

impl Pipeline {
    /// The way into a queue.
    #[must_use]
    pub fn new(model: Arc<Model>, queue: Queue, resources: Resources) -> Self {
        let transform = transform(&model.manifest);
        let (features, explainer) = (FeatureShapes::default(), None);
        Self { model, queue, transform, resources, features, explainer }
    }

    /// The same for a network that shows what its scores are made of, and with what explains them.
    #[must_use]
    pub fn showing(mut self, features: FeatureShapes, explainer: Option<Arc<Explainer>>) -> Self {
        self.features = features;
        self.explainer = explainer;
        self
    }

    /// Says whether one image would be admitted now, so that a hopeless body is not read.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::admit`].
    pub fn check(&self, deadline: Instant) -> Result<(), Rejection> {
        self.queue.check(deadline).inspect_err(|_| self.count_rejected(1))
    }

    /// Takes the places of a request's images, all or none.
    ///
    /// # Errors
    ///
    /// When the queue is full or closed, or the deadline is out of reach; every image counts as
    /// rejected.
    pub fn admit(&self, images: NonZeroUsize, deadline: Instant) -> Result<Vec<Slot>, Rejection> {
        let places = self.admit_crops((images, Crops::One), deadline)?;
        Ok(places.into_iter().flatten().collect())
    }

    /// The same with a place for each crop: that is what an image costs.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::admit`].
    pub fn admit_crops(
        &self,
        (images, crops): (NonZeroUsize, Crops),
        deadline: Instant,
    ) -> Result<Vec<Vec<Slot>>, Rejection> {
        let reserved = self.queue.reserve(images.saturating_mul(crops.count()), deadline);
        let mut slots = reserved.inspect_err(|_| self.count_rejected(images.get()))?.into_iter();
        let mut places = || slots.by_ref().take(crops.count().get()).collect();
        Ok((0..images.get()).map(|_| places()).collect())
    }

    fn count_rejected(&self, images: usize) {
        for _ in 0..images {
            self.resources.metrics.count_image(Outcome::Rejected);
        }
    }

    /// Where its images wait.
    #[must_use]
    pub fn queue(&self) -> Queue {
        self.queue.clone()
    }

    /// The threads on which images are decoded.
    #[must_use]
    pub fn pool(&self) -> &CpuPool {
        &self.resources.pool
    }

    /// The most images that one request can have.
    #[must_use]
    pub fn max_images(&self) -> NonZeroUsize {
        self.queue.capacity()
    }

    /// A request for images of this model.
    #[must_use]
    pub fn request(&self, top_k: usize, deadline: Instant) -> Request {
        let lane = self.resources.pool.lane();
        let wanted = Wanted::Logits;
        let crops = Crops::One;
        let (times, failed) = (StageTimes::default(), Arc::default());
        Request { top_k, deadline, crops, wanted, lane, times, failed }
    }

    /// A request for images whose scores are wanted as they are.
    #[must_use]
    pub fn unranked(&self, deadline: Instant) -> Request {
        let no_classes = 0;
        self.request(no_classes, deadline)
    }

    /// Classifies one encoded image, with a place for each crop of it, or gives up at the deadline.
    /// Dropping the future withdraws the image from wherever it is. `image` may also be why there is
    /// none, so that this counts as the others do.
    ///
    /// # Errors
    ///
    /// When it is no picture, came too late, found no memory, or failed in the network.
    pub async fn classify(
        &self,
        image: Result<Encoded, ImageError>,
        places: Vec<Slot>,
        request: &Request,
    ) -> Result<Classification, ClassifyError> {
        let mut fate = Fate::of_one_image(&self.resources.metrics, request);
        let steps = async { self.classify_picture((image?, places), request, &mut fate).await };
        let result = timeout_at(request.deadline, steps).await;
        fate.settle(result)
    }

    /// Runs the network on one image and gives its scores as they are; otherwise does as
    /// [`Pipeline::classify`]. The image is counted even where nothing is awaited.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::classify`].
    pub fn score<'a>(
        &'a self,
        input: Input,
        slot: Slot,
        request: &'a Request,
    ) -> impl Future<Output = Result<Scores, ClassifyError>> + 'a {
        let mut fate = Fate::of_one_image(&self.resources.metrics, request);
        async move {
            let steps = self.score_input((input, slot), request, &mut fate);
            let result = timeout_at(request.deadline, steps).await;
            fate.settle(result)
        }
    }

    async fn classify_picture(
        &self,
        (image, places): (Encoded, Vec<Slot>),
        request: &Request,
        fate: &mut Fate<'_>,
    ) -> Result<Classification, ClassifyError> {
        let header = ImageHeader::parse(&image.bytes, self.resources.max_pixels)?;
        let prepared = self.decode((image, &header), request, fate).await?;
        fate.at = None;
        let crops = prepared.into_iter().zip(places).map(|crop| self.run(crop, request));
        let scores = try_join_all(crops).await?;
        let activation = self.model.manifest.output.activation;
        let of_each = scores.iter().map(|scores| scores.probabilities(activation));
        let probabilities = ranking::mean(of_each.collect::<Result<Vec<_>, _>>()?.into_iter());
        let ranked = ranking::top_k(&probabilities, request.top_k);
        let explanation = self.explain((&ranked, scores), &header, request).await?;
        if request.crops == Crops::Ten {
            self.resources.metrics.ten_crop_images.inc();
        }
        Ok(Classification { ranked, image: header, explanation })
    }

    async fn score_input(
        &self,
        (input, slot): (Input, Slot),
        request: &Request,
        fate: &mut Fate<'_>,
    ) -> Result<Scores, ClassifyError> {
        let prepared = match input {
            Input::Picture(image) => {
                let header = ImageHeader::parse(&image.bytes, self.resources.max_pixels)?;
                self.decode((image, &header), request, fate).await?.pop()
            }
            Input::Tensor(Encoded { bytes, charge }) => {
                Some(Prepared { content: Content::Tensor(bytes), wanted: request.wanted, charge })
            }
        };
        let gone = || ClassifyError::Failed("there is nothing of the image".to_owned());
        fate.at = None;
        self.run((prepared.ok_or_else(gone)?, slot), request).await
    }

    /// Waits for a worker and for its answer.
    async fn run(
        &self,
        (prepared, slot): (Prepared, Slot),
        request: &Request,
    ) -> Result<Scores, ClassifyError> {
        let charge = self.charge_features(request)?;
        let waiting = Waiting::begin(&slot, request);
        let sent = matches!(prepared.content, Content::Tensor(_));
        let Row { logits, features } = slot.submit(prepared, request.deadline).await?;
        let Spent { queue, inference } = waiting.spent();
        self.resources.metrics.observe_stage(Stage::Queue, queue);
        self.resources.metrics.observe_stage(Stage::Inference, inference);
        Scores { logits, features, _charge: charge }.finite(sent)
    }
}

/// The span that tells one of a request's images from the others; of a single one the request's.
#[must_use]
pub fn image_span(index: usize, images: usize) -> Span {
    let index = i64::try_from(index).unwrap_or(i64::MAX);
    if images > 1 { info_span!("image", index) } else { Span::current() }
}

impl Drop for Pipeline {
    /// Nobody can send an image any more: the workers go home.
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// How pictures become the input of a model.
#[must_use]
pub fn transform(manifest: &Manifest) -> Transform {
    Transform {
        resize_shorter_side: manifest.preprocess.resize_shorter_side.get(),
        crop_height: manifest.input.height.get(),
        crop_width: manifest.input.width.get(),
        interpolation: manifest.preprocess.interpolation,
    }
}

impl From<JobError> for ClassifyError {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Expired => Self::Expired,
            JobError::Failed(cause) => Self::Failed(cause),
        }
    }
}

impl Request {
    /// The same, with those crops of each image.
    #[must_use]
    pub fn cropped(self, crops: Crops) -> Self {
        Self { crops, ..self }
    }

    /// The same, with that of the network's outputs.
    #[must_use]
    pub fn wanting(self, wanted: Wanted) -> Self {
        Self { wanted, ..self }
    }

    /// One of its images has failed all of it: the others are withdrawn and count as that one.
    pub fn fail(&self, cause: &ClassifyError) {
        self.failed.get_or_init(|| fate::outcome(cause));
    }

    /// The same, with the times of its stages written down there.
    #[must_use]
    pub fn timed(self, times: StageTimes) -> Self {
        Self { times, ..self }
    }
}
