//! Why a request has no answer, whichever door it came through.

use thiserror::Error;

use crate::batching::Rejection;
use crate::pipeline::ClassifyError;

/// What a request can be refused or fail with behind the doors.
#[derive(Clone, Debug, Error)]
pub enum RequestError {
    /// It asks for what cannot be.
    #[error("{0}")]
    Invalid(String),
    /// No such model.
    #[error("no model `{asked}` is served; there is {}", listed(served))]
    UnknownModel {
        /// What the request says.
        asked: String,
        /// The models that there are.
        served: Vec<String>,
    },
    /// No such version of a model.
    #[error("version `{served}` of the model `{model}` is served, not `{asked}`")]
    UnknownVersion {
        /// The model.
        model: String,
        /// Its version.
        served: String,
        /// What the request says.
        asked: String,
    },
    /// Its only image has failed, or all of its images were refused.
    #[error(transparent)]
    Image(#[from] ClassifyError),
    /// One of its images has failed.
    #[error("image {index}: {cause}")]
    OneOfSeveral {
        /// Counted from 0.
        index: usize,
        /// What happened to it.
        cause: ClassifyError,
    },
}

fn listed(names: &[String]) -> String {
    format!("`{}`", names.join("`, `"))
}

impl From<Rejection> for RequestError {
    fn from(rejection: Rejection) -> Self {
        Self::Image(rejection.into())
    }
}

impl RequestError {
    /// What the pipeline says, where that is the cause.
    #[must_use]
    pub fn classify_error(&self) -> Option<&ClassifyError> {
        match self {
            Self::Image(cause) | Self::OneOfSeveral { cause, .. } => Some(cause),
            Self::Invalid(_) | Self::UnknownModel { .. } | Self::UnknownVersion { .. } => None,
        }
    }
}
