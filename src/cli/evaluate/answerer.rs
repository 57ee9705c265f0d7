//! Who is asked: a model in this process, or a service somewhere.

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task;

use super::Arguments;
use super::service::Service;
use crate::api::error::ApiError;
use crate::api::response::ModelSummary;
use crate::cli::{Failure, local};
use crate::config::InferenceConfig;
use crate::evaluation::score::TOP;
use crate::evaluation::{Classes, Sample};
use crate::loading::LoadedModel;
use crate::pipeline::ClassifyError;
use crate::ranking::Ranked;
use crate::serving::RequestError;

/// What is said of one picture.
pub(super) enum Verdict {
    /// The most probable classes, best first.
    Ranked(Vec<Ranked>),
    /// It is no picture that can be read, or not one that is taken.
    Unreadable(String),
    /// It might have been answered, and was not.
    Unanswered(String),
}

/// A model that answers.
pub(super) enum Answerer {
    Local(Box<LoadedModel>),
    Service { service: Arc<Service>, at_a_time: usize },
}

impl Answerer {
    /// Loads the model, or connects to the service; also the classes that it knows.
    pub(super) async fn start(arguments: &Arguments) -> Result<(Self, Classes), Failure> {
        let Some(url) = arguments.url.clone() else {
            // As many sessions as suit the device, unlike for a few files.
            let config = InferenceConfig { sessions: None, ..arguments.inference.clone().into() };
            let model = local::load(&arguments.model, config, arguments.max_pixels).await?;
            let classes = Classes::new(model.pipeline.model.labels.clone());
            return Ok((Self::Local(Box::new(model)), classes));
        };
        let headers = arguments.header.clone();
        let connecting = task::spawn_blocking(move || Service::connect(&url, &headers));
        let (service, labels) = connecting.await.map_err(|cause| lost(&cause))??;
        let at_a_time = arguments.concurrency.get();
        Ok((Self::Service { service: Arc::new(service), at_a_time }, Classes::new(labels)))
    }

    /// Pictures that are asked about at a time: enough to fill every batch and decode the next.
    pub(super) fn at_a_time(&self) -> usize {
        match self {
            Self::Local(model) => {
                let batches = model.layout.sessions.get() * model.layout.max_batch.get() * 2;
                (batches + model.pipeline.pool().threads().get())
                    .min(model.pipeline.max_images().get())
            }
            Self::Service { at_a_time, .. } => *at_a_time,
        }
    }

    /// The model, and where it runs.
    pub(super) fn description(&self) -> Value {
        match self {
            Self::Local(model) => {
                let mut summary = json!(ModelSummary::new(&model.pipeline.model));
                summary["provider"] = model.provider.to_string().into();
                summary
            }
            Self::Service { service, .. } => service.description(),
        }
    }

    /// Asks about one picture.
    ///
    /// # Errors
    ///
    /// When it would be of no use to ask about another.
    pub(super) async fn answer(&self, sample: &Sample) -> Result<Verdict, Failure> {
        match self {
            Self::Local(model) => {
                let top_k = TOP.min(model.pipeline.model.labels.len());
                Ok(match local::classify(model, &sample.file, top_k).await {
                    Ok(found) => Verdict::Ranked(found.ranked),
                    Err(error) => verdict(&error),
                })
            }
            Self::Service { service, .. } => {
                let (service, file) = (Arc::clone(service), sample.file.clone());
                let asking = task::spawn_blocking(move || match fs::read(&file) {
                    Ok(bytes) => service.ask(&bytes),
                    Err(cause) => Ok(Verdict::Unreadable(cause.to_string())),
                });
                asking.await.map_err(|cause| lost(&cause))?
            }
        }
    }
}

fn verdict(error: &ApiError) -> Verdict {
    match error {
        ApiError::InvalidRequest(_)
        | ApiError::Request(RequestError::Image(ClassifyError::Image(_))) => {
            Verdict::Unreadable(error.detail())
        }
        _ => Verdict::Unanswered(error.detail()),
    }
}

fn lost(cause: &task::JoinError) -> Failure {
    Failure::Incomplete(cause.to_string())
}
