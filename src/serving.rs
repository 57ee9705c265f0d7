//! What every door leads to: the models that are served, and what a request may cost.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use crate::batching::Slot;
use crate::inference::TensorNames;
use crate::inference::provider::Provider;
use crate::keys::{Key, Keys};
use crate::memory::MemoryBudget;
use crate::pipeline::{Crops, Pipeline};
use crate::readiness::{Readiness, State};
use crate::telemetry::metrics::Metrics;
use crate::vitals::Vitals;

mod error;
mod models;
mod request_id;

pub use error::{RequestError, shown};
pub use models::Models;
pub use request_id::{REQUEST_ID, RequestId};

/// What every handler sees. Clones are the same application.
pub type App = Arc<AppState>;

/// What the listeners serve.
pub struct AppState {
    /// The models; filled before the public listener takes its first request.
    pub models: Models,
    /// Who may ask; everybody without keys.
    pub keys: Option<Keys>,
    /// What a request may cost.
    pub limits: Limits,
    /// Bounds bodies and pixels.
    pub memory: MemoryBudget,
    /// Counts and times.
    pub metrics: Arc<Metrics>,
    /// Whether the process wants traffic.
    pub readiness: Readiness,
    /// Whether it works.
    pub vitals: Vitals,
}

/// What a request may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a body.
    pub max_body: usize,
    /// How long a request may take, and takes where it does not say.
    pub request_timeout: Duration,
}

/// A model that is served, and what serves it.
pub struct ServedModel {
    /// The way through it.
    pub pipeline: Pipeline,
    /// How the graph calls its input and output.
    pub tensors: TensorNames,
    /// The device, as a probe run has shown.
    pub provider: Provider,
    /// The version of ONNX Runtime.
    pub onnxruntime: String,
    /// Workers, each with sessions of its own.
    pub sessions: NonZeroUsize,
}

impl AppState {
    /// The model of that name, or the default one for no name.
    ///
    /// # Errors
    ///
    /// When there is none of that name.
    pub fn model(&self, name: Option<&str>) -> Result<Arc<ServedModel>, RequestError> {
        self.models.get(name).ok_or_else(|| RequestError::UnknownModel {
            asked: name.unwrap_or_default().to_owned(),
            served: self.models.iter().map(|model| model.name().to_owned()).collect(),
        })
    }

    /// That version of a model; any for none.
    ///
    /// # Errors
    ///
    /// When there is no such model, or another version of it.
    pub fn version(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<Arc<ServedModel>, RequestError> {
        let model = self.model(Some(name))?;
        match version {
            Some(asked) if asked != model.version() => Err(RequestError::UnknownVersion {
                model: name.to_owned(),
                served: model.version().to_owned(),
                asked: asked.to_owned(),
            }),
            _ => Ok(model),
        }
    }

    /// Whose request it is; nobody's where the service asks for no keys.
    ///
    /// # Errors
    ///
    /// When it asks for keys and the headers have none that is known.
    pub fn key(&self, headers: &HeaderMap) -> Result<Option<Key>, RequestError> {
        Ok(self.keys.as_ref().map(|keys| keys.find_in(headers)).transpose()?)
    }

    /// When an answer to a request that has just arrived is of no use any more: the client's word
    /// within the server's own limit.
    #[must_use]
    pub fn deadline(&self, timeout: Option<Duration>) -> Instant {
        let longest = self.limits.request_timeout;
        Instant::now() + timeout.map_or(longest, |timeout| timeout.min(longest))
    }

    /// Whether the process wants traffic and every model has a worker that works.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.models.iter().all(|model| self.serves(&model))
    }

    /// Whether the process wants traffic and the model has a worker that works.
    #[must_use]
    pub fn serves(&self, model: &ServedModel) -> bool {
        self.readiness.state() == State::Ready && model.pipeline.queue().load().workers > 0
    }
}

impl ServedModel {
    /// The name under which it is asked for.
    #[must_use]
    pub fn name(&self) -> &str {
        self.pipeline.model.manifest.name.as_str()
    }

    /// As whoever publishes it has set it.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.pipeline.model.manifest.version
    }

    /// Takes the places of a request's images, all or none.
    ///
    /// # Errors
    ///
    /// For no image, for more than can ever be admitted, and as [`Pipeline::admit`].
    pub fn admit(&self, images: usize, deadline: Instant) -> Result<Vec<Slot>, RequestError> {
        let places = self.admit_crops((images, Crops::One), deadline)?;
        Ok(places.into_iter().flatten().collect())
    }

    /// The same with a place for each crop of each image.
    ///
    /// # Errors
    ///
    /// As [`ServedModel::admit`].
    pub fn admit_crops(
        &self,
        (images, crops): (usize, Crops),
        deadline: Instant,
    ) -> Result<Vec<Vec<Slot>>, RequestError> {
        let limit = self.pipeline.max_images().get() / crops.count();
        let count = NonZeroUsize::new(images).filter(|count| count.get() <= limit);
        let count = count.ok_or_else(|| {
            let each = match crops {
                Crops::One => "",
                Crops::Ten => " where each is seen ten times",
            };
            let words = format!("{images} images in a request; 1 to {limit} are taken{each}");
            RequestError::Invalid(words)
        })?;
        Ok(self.pipeline.admit_crops((count, crops), deadline)?)
    }
}
