//! One request's way, the same for both doors.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::input::{self, Images};
use super::message::{InferRequest, InferResponse};
use super::output::{self, Selected};
use crate::memory::Charge;
use crate::pipeline::{ClassifyError, Encoded, Input, Request, Scores, image_span};
use crate::serving::{RequestError, ServedModel};
use crate::telemetry::stages::StageTimes;

/// A request that is known to make sense.
#[derive(Debug)]
pub struct Prepared {
    id: String,
    timeout: Option<Duration>,
    images: Images,
    outputs: Vec<Selected>,
    charge: Charge,
    times: StageTimes,
}

/// When a request came, and when its answer is of no use any more whatever it says itself.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// From then on its own timeout counts.
    pub at: Instant,
    /// The server's limit, or the transport's.
    pub deadline: Instant,
}

impl Prepared {
    /// Checks a request against the model. `charge` is what it holds of the memory budget, of
    /// which `body` bytes were sent.
    ///
    /// # Errors
    ///
    /// For inputs and outputs that the model does not have.
    pub fn new(
        model: &ServedModel,
        request: InferRequest,
        (body, mut charge): (usize, Charge),
    ) -> Result<Self, RequestError> {
        let outputs = output::select(model, &request)?;
        let InferRequest { id, timeout, inputs, .. } = request;
        let images = input::images(model, inputs)?;
        // Images either share the body or were copied out of it.
        charge.shrink_to(body.max(images.bytes()) as u64);
        Ok(Self { id, timeout, images, outputs, charge, times: StageTimes::default() })
    }

    /// The same, with the times of its stages written down there.
    #[must_use]
    pub fn timed(self, times: StageTimes) -> Self {
        Self { times, ..self }
    }

    /// How many images it has.
    #[must_use]
    pub fn images(&self) -> usize {
        self.images.len()
    }
}

/// Runs the network on all images of a request. The first that fails fails the request, and the
/// others are withdrawn.
///
/// # Errors
///
/// When the images are not admitted, or one of them fails.
pub async fn run(
    model: &ServedModel,
    prepared: Prepared,
    arrival: Arrival,
) -> Result<InferResponse, RequestError> {
    let Prepared { id, timeout, images, outputs, charge, times } = prepared;
    let images = images.into_inputs(&Arc::new(charge));
    let request = model.pipeline.unranked(arrival.deadline(timeout)).timed(times);
    let request = request.wanting(output::wanted(&outputs));
    let answer = output::bytes(&outputs, model).saturating_mul(images.len() as u64);
    let charge = Arc::new(model.pipeline.charge(answer)?);
    let values = score_all(model, images, request).await?;
    Ok(InferResponse {
        id,
        model_name: model.name().to_owned(),
        model_version: model.version().to_owned(),
        trained: model.pipeline.model.manifest.trained,
        outputs: outputs.iter().map(|output| output.tensor(model, &values)).collect(),
        charge,
    })
}

async fn score_all(
    model: &ServedModel,
    images: Vec<Input>,
    request: Request,
) -> Result<Vec<Scores>, RequestError> {
    let count = images.len();
    let slots = model.admit(count, request.deadline)?;
    let fail = |index: usize, cause: ClassifyError| {
        request.fail(&cause);
        if count == 1 { cause.into() } else { RequestError::OneOfSeveral { index, cause } }
    };
    let score = |(index, (image, slot))| {
        let score = model.pipeline.score(image, slot, &request);
        let score = score.instrument(image_span(index, count));
        async move { score.await.map_err(|cause| fail(index, cause)) }
    };
    try_join_all(images.into_iter().zip(slots).enumerate().map(score)).await
}

impl Arrival {
    fn deadline(self, timeout: Option<Duration>) -> Instant {
        let own = timeout.and_then(|timeout| self.at.checked_add(timeout));
        own.map_or(self.deadline, |own| own.min(self.deadline))
    }
}

impl Images {
    fn len(&self) -> usize {
        let (Self::Pictures(images) | Self::Tensors(images)) = self;
        images.len()
    }

    fn bytes(&self) -> usize {
        let (Self::Pictures(images) | Self::Tensors(images)) = self;
        images.iter().map(Bytes::len).sum()
    }

    fn into_inputs(self, charge: &Arc<Charge>) -> Vec<Input> {
        let (images, input): (_, fn(Encoded) -> Input) = match self {
            Self::Pictures(images) => (images, Input::Picture),
            Self::Tensors(images) => (images, Input::Tensor),
        };
        let encoded = |bytes| input(Encoded { bytes, charge: Arc::clone(charge) });
        images.into_iter().map(encoded).collect()
    }
}
