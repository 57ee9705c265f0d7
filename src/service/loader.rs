//! Brings models from their folders into service, and says in the metrics what is served.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use tokio::task;

use super::ServeError;
use crate::config::Config;
use crate::inference::onnx::OnnxRuntime;
use crate::loading::{self, LoadedModel, Read, StartError};
use crate::model::{self, Model};
use crate::networks;
use crate::pipeline::Resources;
use crate::serving::ServedModel;
use crate::telemetry::metrics::Metrics;

/// What every model of the process is loaded with. Clones are the same.
#[derive(Clone)]
pub(super) struct Loader {
    runtime: OnnxRuntime,
    config: Config,
    resources: Resources,
}

/// A model that is ready to be served.
pub(super) struct Ready {
    pub(super) model: ServedModel,
    pub(super) info: Info,
    pub(super) workers: Vec<JoinHandle<()>>,
}

/// What the metrics say of a model.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Info {
    /// As `model_info` has them.
    labels: [String; 6],
    /// As `provider_info` has them.
    provider: [String; 3],
    trained: bool,
    /// As `ensemble_info` has them.
    members: Vec<[String; 4]>,
}

impl Loader {
    /// Loads ONNX Runtime.
    pub(super) fn new(config: &Config, resources: &Resources) -> Result<Self, StartError> {
        let runtime = OnnxRuntime::load(config.inference.onnxruntime.as_deref())?;
        let mut config = config.clone();
        config.inference.cores = share(config.inference.cores, config.models.len());
        Ok(Self { runtime, config, resources: resources.clone() })
    }

    /// Loads every model of the configuration. Two of one name are refused before any is loaded.
    pub(super) fn load_all(&self) -> Result<Vec<Ready>, ServeError> {
        let mut named: HashMap<String, PathBuf> = HashMap::new();
        for folder in &self.config.models {
            let folder = model::resolve(folder).map_err(StartError::from)?;
            let name = model::name(&folder).map_err(StartError::from)?;
            match named.insert(name.clone(), folder.clone()) {
                Some(other) if other == folder => return Err(ServeError::Twice(folder)),
                Some(other) => {
                    return Err(ServeError::SameName { name, folders: [other, folder] });
                }
                None => {}
            }
        }
        let all =
            self.config.models.iter().map(|folder| Ok(self.load_here((folder, Model::open))?));
        all.collect()
    }

    /// Loads one model beside those that serve; loading computes, so it runs off the async threads.
    pub(super) async fn load(&self, folder: &Path) -> Result<Ready, StartError> {
        let (loader, folder) = (self.clone(), folder.to_owned());
        // The runtime of a process that serves sees no file that is not what it should be.
        let loading = task::spawn_blocking(move || loader.load_here((&folder, Model::load)));
        // A panic must not end the reloads to come.
        loading.await.unwrap_or_else(|panic| Err(io::Error::other(panic).into()))
    }

    /// Loads, warms up and tests a model.
    fn load_here(&self, source: (&Path, Read)) -> Result<Ready, StartError> {
        let with = (&self.config.inference, &self.resources);
        let loaded = loading::load(&self.runtime, source, with)?;
        let info = Info::of(&loaded);
        let model = ServedModel {
            pipeline: loaded.pipeline,
            tensors: loaded.tensors,
            provider: loaded.provider,
            onnxruntime: loaded.onnxruntime,
            sessions: loaded.layout.sessions,
        };
        Ok(Ready { model, info, workers: loaded.workers })
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.resources.metrics
    }
}

/// The cores of one of several models, at least one. Each with all of them would have more threads
/// than cores when all are busy, and every forecast wrong.
fn share(cores: NonZeroUsize, models: usize) -> NonZeroUsize {
    NonZeroUsize::new(cores.get() / models.max(1)).unwrap_or(NonZeroUsize::MIN)
}

/// What a model computes in; of an ensemble, what each member does, where these differ.
fn precision(model: &Model) -> String {
    let of = |graph: &Path| networks::arithmetic(graph).ok().flatten();
    let mut graphs: Vec<&Path> =
        model.members.iter().map(|member| member.graph.as_path()).collect();
    if graphs.is_empty() {
        graphs.push(&model.graph);
    }
    let mut all: Vec<String> =
        graphs.into_iter().map(|graph| of(graph).unwrap_or_else(|| "unknown".to_owned())).collect();
    all.dedup();
    all.join(", ")
}

impl Info {
    fn of(loaded: &LoadedModel) -> Self {
        let model = &loaded.pipeline.model;
        let name = model.manifest.name.as_str().to_owned();
        let used = loaded.provider.to_string();
        Self {
            labels: [
                name.clone(),
                model.manifest.version.clone(),
                model.sha256().to_owned(),
                used.clone(),
                precision(model),
                loaded.onnxruntime.clone(),
            ],
            members: model.members.iter().map(|member| of_member(&name, member)).collect(),
            provider: [name, loaded.asked.to_string(), used],
            trained: model.manifest.trained,
        }
    }

    pub(super) fn publish(&self, metrics: &Metrics) {
        let name = &self.labels[..1];
        metrics.model_info.with_label_values(&self.labels).set(1.0);
        metrics.model_trained.with_label_values(name).set(f64::from(u8::from(self.trained)));
        metrics.provider_info.with_label_values(&self.provider).set(1.0);
        for member in &self.members {
            metrics.ensemble_info.with_label_values(member).set(1.0);
        }
    }

    /// Withdraws what is no longer true, now that another is served.
    pub(super) fn withdraw_for(&self, other: &Self, metrics: &Metrics) {
        // What is not there need not be removed.
        if self.labels != other.labels {
            let _ = metrics.model_info.remove_label_values(&self.labels);
        }
        if self.labels[0] != other.labels[0] {
            let _ = metrics.model_trained.remove_label_values(&self.labels[..1]);
        }
        if self.provider != other.provider {
            let _ = metrics.provider_info.remove_label_values(&self.provider);
        }
        for member in self.members.iter().filter(|member| !other.members.contains(member)) {
            let _ = metrics.ensemble_info.remove_label_values(member);
        }
    }
}

fn of_member(ensemble: &str, member: &Model) -> [String; 4] {
    let (name, version) = (member.manifest.name.as_str(), member.manifest.version.as_str());
    [ensemble, name, version, member.sha256()].map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_models_share_the_cores_and_each_has_one() {
        let shares = |cores: usize| {
            let cores = NonZeroUsize::new(cores).unwrap();
            [1, 2, 3, 5].map(|models| share(cores, models).get())
        };
        assert_eq!(shares(4), [4, 2, 1, 1]);
        assert_eq!(shares(16), [16, 8, 5, 3]);
    }
}
