//! Loads models anew beside those that serve, and puts them in their places.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::task;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::loader::{Info, Loader, Ready};
use super::watch::{Look, Watched};
use crate::reloading::{Order, Orders, ReloadError, Reloaded};
use crate::serving::App;
use crate::shutdown::Hangups;
use crate::telemetry;
use crate::vitals::Vitals;

/// The threads of all workers, those of replaced models too until they have ended.
#[derive(Clone, Default)]
pub(super) struct Crew(Arc<Mutex<Vec<JoinHandle<()>>>>);

/// A place that a model serves in.
pub(super) struct Place {
    /// Under which it is asked for at present.
    name: String,
    /// Where it comes from.
    folder: PathBuf,
    info: Info,
    watched: Watched,
}

/// What replacing takes.
pub(super) struct Reloader {
    pub(super) app: App,
    pub(super) vitals: Vitals,
    pub(super) crew: Crew,
    pub(super) loader: Loader,
    pub(super) places: Vec<Place>,
}

impl Place {
    /// The place of a model that was just loaded, from a folder that looked like this before.
    pub(super) fn of(ready: &Ready, folder: PathBuf, look: Look) -> Self {
        let watched = Watched::new(look);
        Self { name: ready.model.name().to_owned(), folder, info: ready.info.clone(), watched }
    }
}

impl Reloader {
    /// Reloads when it is asked to, on SIGHUP and, where folders are watched, when one changes.
    pub(super) async fn run(
        mut self,
        (mut orders, mut hangups): (Orders, Hangups),
        watch: Option<std::time::Duration>,
    ) {
        let mut ticks = watch.map(ticks);
        loop {
            tokio::select! {
                order = orders.next() => match order {
                    Some(Order { model, reply }) => {
                        let result = self.reload(model.as_deref()).await;
                        // Who asked may be gone; the log has the result too.
                        let _ = reply.send(result);
                    }
                    None => return,
                },
                () = hangups.next() => {
                    tracing::info!(signal = "SIGHUP", "loading every model anew");
                    let _ = self.reload(None).await;
                }
                () = tick(&mut ticks) => self.reload_changed().await,
            }
        }
    }

    /// Reloads one model, or all; those that fail serve as before.
    async fn reload(&mut self, name: Option<&str>) -> Result<Vec<Reloaded>, ReloadError> {
        let chosen = |place: &Place| name.is_none_or(|name| name == place.name);
        let chosen: Vec<usize> =
            (0..self.places.len()).filter(|index| chosen(&self.places[*index])).collect();
        if chosen.is_empty() {
            let served = self.places.iter().map(|place| place.name.clone()).collect();
            return Err(ReloadError::Unknown {
                asked: name.unwrap_or_default().to_owned(),
                served,
            });
        }
        let (mut reloaded, mut failures) = (Vec::new(), Vec::new());
        for index in chosen {
            match self.reload_place(index).await {
                Ok(model) => reloaded.push(model),
                Err(cause) => failures.push((self.places[index].name.clone(), cause)),
            }
        }
        if failures.is_empty() {
            Ok(reloaded)
        } else {
            Err(ReloadError::Failed { failures, reloaded })
        }
    }

    async fn reload_changed(&mut self) {
        for index in 0..self.places.len() {
            let place = &mut self.places[index];
            let look = Look::aside(&place.folder, Look::at).await;
            if place.watched.has_changed(look) {
                tracing::info!(folder = %place.folder.display(), "a model's folder has changed");
                let _ = self.reload_place(index).await;
            }
        }
    }

    async fn reload_place(&mut self, index: usize) -> Result<Reloaded, String> {
        let started = Instant::now();
        let name = self.places[index].name.clone();
        let result = self.replace(index).await;
        self.loader.metrics().count_reload(result.is_ok());
        match &result {
            Ok(model) => tracing::info!(
                model = model.name,
                version = model.version,
                sha256 = model.sha256,
                replaced_version = model.replaced_version,
                milliseconds = telemetry::milliseconds(started.elapsed()),
                "model reloaded"
            ),
            Err(cause) => tracing::error!(model = name, cause, "the model serves as before"),
        }
        result
    }

    /// Nothing is replaced before the new model has been warmed up and tested. The old one ends
    /// with the last request that has it.
    async fn replace(&mut self, index: usize) -> Result<Reloaded, String> {
        let place = &mut self.places[index];
        place.watched = Watched::new(Look::aside(&place.folder, Look::before_loading).await);
        let ready = self.loader.load(&place.folder).await.map_err(|cause| cause.to_string())?;
        let Ready { model, info, workers } = ready;
        let (new_name, version) = (model.name().to_owned(), model.version().to_owned());
        let (sha256, queue) = (model.pipeline.model.sha256().to_owned(), model.pipeline.queue());
        let provider = model.provider.to_string();
        let old = self.app.models.replace(&place.name, model);
        let old = old.map_err(|_| format!("another model is named `{new_name}` already"))?;
        self.vitals.replace(&place.name, (&new_name, provider, queue));
        info.publish(self.loader.metrics());
        place.info.withdraw_for(&info, self.loader.metrics());
        place.info = info;
        self.crew.add(workers);
        let replaced = std::mem::replace(&mut place.name, new_name.clone());
        Ok(Reloaded {
            replaced: Some(replaced).filter(|replaced| *replaced != new_name),
            name: new_name,
            version,
            sha256,
            replaced_version: old.version().to_owned(),
        })
    }
}

impl Crew {
    /// Takes in the threads of a model, and forgets those that have ended.
    pub(super) fn add(&self, workers: Vec<JoinHandle<()>>) {
        let mut crew = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        crew.retain(|worker| !worker.is_finished());
        crew.extend(workers);
    }

    /// Waits until all have ended, which they do when their queues are closed and empty.
    pub(super) async fn join(&self) {
        let workers = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let all = task::spawn_blocking(move || {
            for worker in workers {
                drop(worker.join());
            }
        });
        let _ = all.await;
    }
}

fn ticks(period: std::time::Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn tick(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => drop(ticks.tick().await),
        None => std::future::pending().await,
    }
}
