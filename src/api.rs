//! HTTP: the only place that knows axum.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

pub use axum::Router;

use crate::inference::provider::Provider;
use crate::memory::MemoryBudget;
use crate::pipeline::Pipeline;
use crate::readiness::Readiness;
use crate::telemetry::logs::LogLevel;
use crate::telemetry::metrics::Metrics;
use crate::vitals::Vitals;

pub mod admin;
mod classify;
pub mod document;
pub mod error;
pub mod listener;
mod models;
mod observe;
pub mod response;
pub mod router;
mod upload;

/// What every handler sees. Clones are the same application.
pub type App = Arc<AppState>;

/// What the listeners serve.
pub struct AppState {
    /// The models; filled before the public listener takes its first request.
    pub models: Models,
    /// What a request may cost.
    pub limits: Limits,
    /// Bounds bodies and pixels.
    pub memory: MemoryBudget,
    /// Counts and times.
    pub metrics: Arc<Metrics>,
    /// Whether the process wants traffic.
    pub readiness: Readiness,
}

/// What the admin listener serves, from the first moment on.
#[derive(Clone)]
pub struct AdminState {
    /// Whether the process works and wants traffic.
    pub vitals: Vitals,
    /// What is scraped.
    pub metrics: Arc<Metrics>,
    /// Changed by `PUT /log-level`.
    pub log_level: LogLevel,
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
    /// The device, as a probe run has shown.
    pub provider: Provider,
    /// The version of ONNX Runtime.
    pub onnxruntime: String,
    /// Workers, each with a session of its own.
    pub sessions: NonZeroUsize,
}

/// The models by name.
pub struct Models {
    by_name: BTreeMap<String, Arc<ServedModel>>,
    default: Arc<ServedModel>,
}

impl Models {
    /// The first model is the one for requests that name none.
    #[must_use]
    pub fn new(first: ServedModel, others: impl IntoIterator<Item = ServedModel>) -> Self {
        let default = Arc::new(first);
        let all = others.into_iter().map(Arc::new).chain([Arc::clone(&default)]);
        let by_name = all.map(|model| (model.name().to_owned(), model)).collect();
        Self { by_name, default }
    }

    /// The model of that name, or the default one for no name.
    #[must_use]
    pub fn get(&self, name: Option<&str>) -> Option<&Arc<ServedModel>> {
        name.map_or(Some(&self.default), |name| self.by_name.get(name))
    }

    /// All models, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<ServedModel>> {
        self.by_name.values()
    }

    /// Whether requests that name no model get this one.
    #[must_use]
    pub fn is_default(&self, model: &Arc<ServedModel>) -> bool {
        Arc::ptr_eq(&self.default, model)
    }
}

impl ServedModel {
    /// The name under which it is asked for.
    #[must_use]
    pub fn name(&self) -> &str {
        self.pipeline.model.manifest.name.as_str()
    }
}
